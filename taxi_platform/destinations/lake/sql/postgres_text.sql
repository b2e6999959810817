-- The text form of a number in Postgres: 8 where DuckDB writes 8.0, 1e+15 for 1000000000000000.0. Above 2^53 the last
-- digit can differ, because Postgres avoids digits that lie exactly between two numbers.
create macro postgres_text(x) as
    case
        when abs(x) >= 1e15 and abs(x) < 1e16
            then if(x < 0, '-', '')
                || regexp_replace(rtrim(replace(abs(x)::varchar, '.', ''), '0'), '^(.)(.+)$', '\1.\2')
                || 'e+15'
        when suffix(x::varchar, '.0') then left(x::varchar, -2)
        else x::varchar
    end
