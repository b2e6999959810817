{# A build replaces the rows of the chosen files, and reads and changes no others.

   TAXI_DBT_FILES holds them as JSON: uncompressed names, each with the sha256 of the file and the digest of its load
   record, or null for a file that is not loaded any more. Without it all rows are built. On BigQuery TAXI_DBT_DAYS lists the days on which their trips start,
   so that a build scans no other day. They are no dbt variables: dbt would parse the whole project again for each value. #}

{% macro chosen_files() -%}
  {{ return(fromjson(env_var('TAXI_DBT_FILES', '{}')) if execute else {}) }}
{%- endmacro %}

{% macro in_chosen_files(pickup=none) -%}
  {%- set files = chosen_files() -%}
  {%- if files -%}
    filename in ({%- for file in files -%} '{{ file }}'{{ ", " if not loop.last }} {%- endfor -%})
    {%- if target.type == 'bigquery' and pickup %}
    and (date({{ pickup }}) in ({%- for day in fromjson(env_var('TAXI_DBT_DAYS', '[]')) -%} date '{{ day }}'{{ ", " if not loop.last }} {%- endfor -%}) or {{ pickup }} is null)
    {%- endif %}
  {%- else -%}
    1 = 1
  {%- endif -%}
{%- endmacro %}

{# Incremental strategy: replace the chosen files' rows in one transaction, also where a file has no rows any more.
   The file names are constants, so that the plan does not depend on statistics. #}
{% macro get_incremental_replace_files_sql(arg) -%}
  {%- set columns = get_quoted_csv(arg['dest_columns'] | map(attribute='name')) -%}
  delete from {{ arg['target_relation'] }} where {{ in_chosen_files() }};
  insert into {{ arg['target_relation'] }} ({{ columns }}) select {{ columns }} from {{ arg['temp_relation'] }};
{%- endmacro %}

{# Tests with `where: __chosen_files__` read the chosen files' rows only. YAML cannot call macros itself. #}
{% macro get_where_subquery(relation) -%}
  {%- set where = (config.get('where') or '') | replace('__chosen_files__', in_chosen_files()) -%}
  {%- if where -%} (select * from {{ relation }} where {{ where }}) dbt_subquery {%- else -%} {{ relation }} {%- endif -%}
{%- endmacro %}

{# Post-hooks of the incremental marts: record in the same transaction which version of each file was built. Without
   chosen files the versions are not known, and are recorded as null. BigQuery has no transaction at that point, so the
   build itself contains these statements there, except in a full refresh. #}
{% macro unless_recorded(statement) -%}
  {{ statement if target.type != 'bigquery' or should_full_refresh() }}
{%- endmacro %}

{% macro forget_built_files() -%}
  delete from {{ ref('built_files') }} where mart = '{{ this.identifier }}' and {{ in_chosen_files() }}
{%- endmacro %}

{% macro record_built_files() -%}
  {%- set none_known = 'cast(null as ' ~ dbt.type_string() ~ ')' -%}
  insert into {{ ref('built_files') }} (mart, filename, sha256, built_at, load_record)
  {% if chosen_files() -%}
    select '{{ this.identifier }}', filename, sha256, {{ dbt.current_timestamp() }}, load_record
    from (
      {%- for filename, version in chosen_files().items() %}
      select '{{ filename }}' as filename,
      {%- for name in ['sha256', 'load_record'] %} {{ "'" ~ version[name] ~ "'" if version else none_known }} as {{ name }}{{ "," if not loop.last }}{% endfor %}
      {%- if not loop.last %} union all {% endif %}
      {%- endfor %}
    ) as files
    where sha256 is not null
  {%- else -%}
    select distinct '{{ this.identifier }}', filename, {{ none_known }}, {{ dbt.current_timestamp() }}, {{ none_known }}
    from {{ this }}
  {%- endif %}
{%- endmacro %}
