-- The roles of the trips database. Run once by psql in that database, as the server's superuser or as the database's owner
-- with CREATEROLE. The passwords come from the environment; running it again sets new ones and grants what is missing.
--
--   taxi_loader   the platform: creates and owns the tables of trips and the marts, and has no other privilege
--   taxi_reader   people and pgAdmin: reads those tables

\set ON_ERROR_STOP on
-- Whoever is not a superuser, as on Cloud SQL, can then act as the roles it creates.
set createrole_self_grant = 'set, inherit';
\getenv loader_password TRIPS_PASSWORD
\getenv reader_password TRIPS_READER_PASSWORD

select format('create role %I login', name)
from unnest(array['taxi_loader', 'taxi_reader']) as name
where not exists (select from pg_roles where rolname = name) \gexec

alter role taxi_loader password :'loader_password';
alter role taxi_reader password :'reader_password';
alter role taxi_reader set default_transaction_read_only = on;

-- Other roles cannot connect.
select format('revoke all on database %I from public', current_database()) \gexec
-- `create`: the schemas in which months are staged and marts are built; `temporary`: the duplicates that a merge finds.
select format('grant connect, create, temporary on database %I to taxi_loader', current_database()) \gexec
select format('grant connect on database %I to taxi_reader', current_database()) \gexec

revoke all on schema public from public;
grant usage, create on schema public to taxi_loader;
create schema if not exists marts authorization taxi_loader;
grant usage on schema public, marts to taxi_reader;
-- Partitions need no privilege: whoever may read the partitioned table reads them through it.
grant select on all tables in schema public, marts to taxi_reader;
alter default privileges for role taxi_loader in schema public, marts grant select on tables to taxi_reader;
