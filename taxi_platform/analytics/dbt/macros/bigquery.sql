{# BigQuery's incremental materialization accepts its own strategies only, and commits each statement by itself. These macros
   replace its choice by ours: one transaction replaces the chosen files' rows and records their versions, also when the
   table does not exist yet. So of builds on several machines none loses what another one built; BigQuery may abort one. #}

{% macro dbt_bigquery_validate_get_incremental_strategy(config) -%}
  {{ return(config.get('incremental_strategy')) }}
{%- endmacro %}

{% macro bq_generate_incremental_build_sql(
    strategy, tmp_relation, target_relation, sql, unique_key, partition_by, partitions, dest_columns, tmp_relation_exists, copy_partitions, incremental_predicates
) -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  {%- set rows = tmp_relation if tmp_relation_exists else '(' ~ sql ~ ')' -%}
  {{ return(replace_in_transaction(strategy, target_relation, 'insert into ' ~ target_relation ~ ' (' ~ columns ~ ') select ' ~ columns ~ ' from ' ~ rows)) }}
{%- endmacro %}

{# A first build creates the table empty, because another build may be doing the same. #}
{% macro bq_create_table_as(partitions, temporary, relation, compiled_code, language='sql') -%}
  {%- if temporary or should_full_refresh() -%}
    {{ return(create_table_as(temporary, relation, compiled_code, language)) }}
  {%- endif -%}
  create table if not exists {{ relation }}
  {{ partition_by(partitions) }}
  {{ cluster_by(config.get('cluster_by', none)) }}
  as select * from ({{ compiled_code }}) where false;
  {{ replace_in_transaction(config.get('incremental_strategy'), relation, 'insert into ' ~ relation ~ ' select * from (' ~ compiled_code ~ ')') }}
{%- endmacro %}

{# The statement names its partitions, the months of the chosen files, as constants: BigQuery scans no others. #}
{% macro replace_in_transaction(strategy, relation, insert) -%}
  {%- if strategy == 'append' -%}
    {{ return(insert) }}
  {%- endif -%}
  {%- set months = [] -%}
  {%- for file in chosen_files() -%}{%- do months.append("date '" ~ file.split('_')[2][:7] ~ "-01'") -%}{%- endfor -%}
  {%- set build -%}
    begin transaction;
    delete from {{ relation }}
    where {{ in_chosen_files() }}{% if months %} and file_month in ({{ months | unique | join(', ') }}){% endif %};
    {{ insert }};
    {{ forget_built_files() }};
    {{ record_built_files() }};
    commit transaction;
  {%- endset -%}
  {{ return(build) }}
{%- endmacro %}
