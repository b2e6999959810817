-- A time's text form, for the row id. `timestamp::text` depends on DateStyle and so may not stand in a generated
-- column; the platform's sessions fix DateStyle, which makes the word `immutable` true for them.
create function {function}(at timestamp) returns text
language plpgsql immutable strict parallel safe
as $$ begin return at::text; end $$
