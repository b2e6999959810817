-- The rows of a published file with their row ids and the file's name. A validated file has no quotes.
select
    md5(concat({row_id_texts})) as unique_row_id,
    $filename as filename,
    {columns}
from read_csv(
    $csv,
    columns = $csv_columns,
    auto_detect = false,
    header = true,
    delim = ',',
    quote = '',
    escape = '',
    nullstr = '',
    compression = 'gzip',
    parallel = false,
    buffer_size = {buffer_size}
)
