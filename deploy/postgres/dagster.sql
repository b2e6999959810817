-- The account and the database of Dagster's own storage. psql runs this once, as the server's superuser; the password
-- comes from the environment.

\set ON_ERROR_STOP on
\getenv dagster_password DAGSTER_DB_PASSWORD

create role dagster with login nosuperuser nocreatedb nocreaterole noreplication password :'dagster_password';
create database dagster owner dagster;
revoke all on database dagster from public;
