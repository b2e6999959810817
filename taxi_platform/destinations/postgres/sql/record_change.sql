-- Records a change of loaded rows. Runs as its owner, because the session that changes rows needs no permission on
-- the table of changes. One entry for each transaction, file and operation.
create function {schema}.record_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    file text;
begin
    if tg_level = 'STATEMENT' then
        file := tg_argv[0];
    elsif tg_op = 'DELETE' then
        file := old.filename;
    else
        file := new.filename;
    end if;
    insert into {schema}.changes (filename, operation, changed_by, changed_at)
    values (file, tg_op, session_user, now())
    on conflict do nothing;
    return null;
end
$$
