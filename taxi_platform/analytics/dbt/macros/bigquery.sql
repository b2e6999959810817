{# BigQuery's incremental materialization accepts its own strategies only; these two macros replace its choice by ours. #}

{% macro dbt_bigquery_validate_get_incremental_strategy(config) -%}
  {{ return(config.get('incremental_strategy')) }}
{%- endmacro %}

{# A statement names its partitions, the months of the chosen files, as constants: BigQuery scans no others. #}
{% macro bq_generate_incremental_build_sql(
    strategy, tmp_relation, target_relation, sql, unique_key, partition_by, partitions, dest_columns, tmp_relation_exists, copy_partitions, incremental_predicates
) -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  {%- set insert -%}
    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from {% if tmp_relation_exists %}{{ tmp_relation }}{% else %}({{ sql }}){% endif %}
  {%- endset -%}
  {%- if strategy == 'append' -%}
    {{ return(insert) }}
  {%- endif -%}
  {%- set months = [] -%}
  {%- for file in chosen_files() -%}{%- do months.append("date '" ~ file.split('_')[2][:7] ~ "-01'") -%}{%- endfor -%}
  {%- set build -%}
    begin transaction;
    delete from {{ target_relation }}
    where {{ in_chosen_files() }}{% if months %} and file_month in ({{ months | unique | join(', ') }}){% endif %};
    {{ insert }};
    commit transaction;
  {%- endset -%}
  {{ return(build) }}
{%- endmacro %}
