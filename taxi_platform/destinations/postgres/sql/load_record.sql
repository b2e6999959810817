-- The load record in a partition's comment, or null if the comment is something else.
create function {schema}.load_record(comment text) returns jsonb
language plpgsql immutable strict
as $$
declare
    record jsonb;
begin
    record := comment;
    return case when record ? 'sha256' then record end;
exception when others then
    return null;
end
$$
