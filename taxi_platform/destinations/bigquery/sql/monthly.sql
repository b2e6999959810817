-- Creates a month's table: its rows, typed, each with its row id and the name of its file.
CREATE OR REPLACE TABLE {monthly} AS
SELECT
  MD5(CONCAT({row_id_texts})) AS unique_row_id,
  @filename AS filename,
  {columns}
FROM {external};
