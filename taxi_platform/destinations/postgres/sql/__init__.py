"""SQL statements, one file each, with `{names}` for identifiers that psycopg quotes."""

from importlib.resources import files
from typing import LiteralString, cast

from psycopg import sql


def statement(name: str) -> sql.SQL:
    """Return the statement in `<name>.sql`, to be completed with `.format(...)`."""
    # The text belongs to the package, so it is as trustworthy as a literal.
    return sql.SQL(cast(LiteralString, files(__name__).joinpath(f"{name}.sql").read_text("utf-8")))
