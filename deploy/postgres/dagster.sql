-- The account and the database of Dagster's own storage. psql runs this once, as the server's superuser or as somebody
-- who may make roles and databases; the password comes from the environment.

\set ON_ERROR_STOP on
set createrole_self_grant = 'set, inherit';
\getenv dagster_password DAGSTER_DB_PASSWORD

create role dagster login password :'dagster_password';
create database dagster owner dagster;
revoke all on database dagster from public;
