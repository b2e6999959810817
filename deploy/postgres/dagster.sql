-- The role and the database of Dagster's own storage. Run once by psql, as the server's superuser or as a role with
-- CREATEROLE and CREATEDB; the password comes from the environment.

\set ON_ERROR_STOP on
set createrole_self_grant = 'set, inherit';
\getenv dagster_password DAGSTER_DB_PASSWORD

create role dagster login password :'dagster_password';
create database dagster owner dagster;
revoke all on database dagster from public;
