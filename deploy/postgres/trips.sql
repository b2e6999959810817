-- The accounts of the trips database. psql runs this once, in that database, as the server's superuser or as its owner
-- who may make roles; the passwords come from the environment. Run again, it gives the accounts other passwords.
--
--   taxi_loader   the platform: makes and owns the tables of trips, and may do nothing else
--   taxi_reader   people and pgAdmin: may read those tables

\set ON_ERROR_STOP on
-- Whoever is no superuser, as on Cloud SQL, may then act for the accounts it makes.
set createrole_self_grant = 'set, inherit';
\getenv loader_password TRIPS_PASSWORD
\getenv reader_password TRIPS_READER_PASSWORD

select format('create role %I login', name)
from unnest(array['taxi_loader', 'taxi_reader']) as name
where not exists (select from pg_roles where rolname = name) \gexec

alter role taxi_loader password :'loader_password';
alter role taxi_reader password :'reader_password';
alter role taxi_reader set default_transaction_read_only = on;

-- Who is not named here cannot come in.
select format('revoke all on database %I from public', current_database()) \gexec
-- `create`: the schema in which months are built; `temporary`: what a merge notes down of the rows that other files keep.
select format('grant connect, create, temporary on database %I to taxi_loader', current_database()) \gexec
select format('grant connect on database %I to taxi_reader', current_database()) \gexec

revoke all on schema public from public;
grant usage, create on schema public to taxi_loader;
grant usage on schema public to taxi_reader;
-- A month's own table needs no right: whoever may read the table it is a part of reads it through that one.
grant select on all tables in schema public to taxi_reader;
alter default privileges for role taxi_loader in schema public grant select on tables to taxi_reader;
