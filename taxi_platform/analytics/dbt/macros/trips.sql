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

{# DuckDB: views over the lake's Parquet files, for each colour that has any. #}
{% macro create_lake_views() -%}
  {%- if execute and target.type == 'duckdb' -%}
    {%- do run_query('create schema if not exists lake') -%}
    {%- for colour in ['yellow', 'green'] -%}
      {%- set files = env_var('TAXI_LAKE_PATH', '.taxi/lake') ~ '/colour=' ~ colour ~ '/*/*.parquet' -%}
      {%- set literal = "'" ~ files | replace("'", "''") ~ "'" -%}
      {%- if run_query('select count(*) from glob(' ~ literal ~ ')')[0][0] -%}
        {%- do run_query('create or replace view lake.' ~ colour ~ '_tripdata as from read_parquet(' ~ literal ~ ', hive_partitioning = false, union_by_name = true)') -%}
      {%- else -%}
        {%- do run_query('drop view if exists lake.' ~ colour ~ '_tripdata') -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro %}
