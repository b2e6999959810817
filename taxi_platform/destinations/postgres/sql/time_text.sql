-- The text form of a time, for the row id. `timestamp::text` depends on DateStyle and so is not allowed in a generated
-- column; the platform's sessions fix DateStyle, which makes `immutable` true for them.
create function {schema}.time_text(at timestamp) returns text
language plpgsql immutable strict parallel safe
as $$ begin return at::text; end $$
