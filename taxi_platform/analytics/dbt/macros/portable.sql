{# Where PostgreSQL, BigQuery and DuckDB differ. #}

{% macro decimal() -%}
  {{ 'decimal(18, 6)' if target.type == 'duckdb' else 'numeric' }}
{%- endmacro %}

{% macro as_integer(column) -%}
  {{ dbt.safe_cast(column, 'int64' if target.type == 'bigquery' else 'integer') }}
{%- endmacro %}

{% macro as_decimal(column) -%}
  cast({{ column }} as {{ decimal() }})
{%- endmacro %}

{% macro as_month(column) -%}
  cast({{ dbt.date_trunc('month', column) }} as date)
{%- endmacro %}

{% macro time_text(column) -%}
  {%- if target.type == 'bigquery' -%} format_timestamp('%Y-%m-%d %H:%M:%S', {{ column }})
  {%- elif target.type == 'duckdb' -%} strftime({{ column }}, '%Y-%m-%d %H:%M:%S')
  {%- else -%} to_char({{ column }}, 'YYYY-MM-DD HH24:MI:SS')
  {%- endif -%}
{%- endmacro %}

{# MD5 of the columns' text forms, equal in all destinations. #}
{% macro surrogate_key(columns) -%}
  {%- set parts = [] -%}
  {%- for column in columns -%}
    {%- do parts.append("coalesce(cast(" ~ column ~ " as " ~ dbt.type_string() ~ "), '')") -%}
    {%- if not loop.last %}{% do parts.append("'-'") %}{% endif -%}
  {%- endfor -%}
  {{ dbt.hash(dbt.concat(parts)) }}
{%- endmacro %}

{# The month in a file's name, green_tripdata_2020-03.csv, as its first day. #}
{% macro file_month(filename) -%}
  {%- if target.type == 'bigquery' -%} cast(concat(substr(split({{ filename }}, '_')[safe_offset(2)], 1, 7), '-01') as date)
  {%- else -%} cast(substr(split_part({{ filename }}, '_', 3), 1, 7) || '-01' as date)
  {%- endif -%}
{%- endmacro %}

{% macro generate_schema_name(custom_schema_name, node) -%} {{ custom_schema_name or target.schema }} {%- endmacro %}
