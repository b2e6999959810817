{# A trip table, or no rows in its form where no file of that colour is loaded. #}
{% macro trips(table) -%}
  {%- set relation = source('trips', table) -%}
  {%- if not execute or load_relation(relation) -%}
    {{ relation }}
  {%- else -%}
    {%- set declared = graph.sources.values() | selectattr('name', 'equalto', table) | first -%}
    (select * from (select
    {%- for column in declared.columns.values() %}
      cast(null as {{ api.Column.translate_type(column.data_type) }}) as {{ column.name }}{{ "," if not loop.last }}
    {%- endfor %}
    ) as no_rows where 1 = 0)
  {%- endif -%}
{%- endmacro %}

{# A column that newer files have. A table to which no such file was loaded may lack it. #}
{% macro optional_decimal(table, column) -%}
  {%- set relation = load_relation(source('trips', table)) if execute else none -%}
  {%- set names = adapter.get_columns_in_relation(relation) | map(attribute='name') | map('lower') | list if relation else [column] -%}
  {{ as_decimal(column if column in names else 'null') }}
{%- endmacro %}

{# DuckDB: views over the lake's Parquet files, for each colour that has any; while models are built, over the files that
   TAXI_LAKE_FILES lists for each table as JSON, if it is set: copies that stay as they are while months are replaced. #}
{% macro create_lake_views(building) -%}
  {%- if execute and target.type == 'duckdb' -%}
    {%- do run_query('create schema if not exists lake') -%}
    {%- set listed = fromjson(env_var('TAXI_LAKE_FILES', 'null')) if building else none -%}
    {%- for colour in ['yellow', 'green'] -%}
      {%- set view = 'lake.' ~ colour ~ '_tripdata' -%}
      {%- set files = [env_var('TAXI_LAKE_PATH', '.taxi/lake') ~ '/colour=' ~ colour ~ '/*/*.parquet'] if listed is none else listed[colour] -%}
      {%- set literals = [] -%}
      {%- for file in files -%}{%- do literals.append("'" ~ file | replace("'", "''") ~ "'") -%}{%- endfor -%}
      {%- set literal = '[' ~ literals | join(', ') ~ ']' -%}
      {%- if files and run_query('select count(*) from glob(' ~ literal ~ ')')[0][0] -%}
        {%- do run_query('create or replace view ' ~ view ~ ' as from read_parquet(' ~ literal ~ ', hive_partitioning = false, union_by_name = true)') -%}
      {%- else -%}
        {%- do run_query('drop view if exists ' ~ view) -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro %}
