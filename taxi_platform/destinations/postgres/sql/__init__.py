"""Statements that people read as SQL, one file each, with `{names}` for identifiers that psycopg quotes."""

from importlib.resources import files
from typing import LiteralString, cast

from psycopg import sql


def statement(name: str) -> sql.SQL:
    """The statement in `<name>.sql`, to be completed with `.format(...)`; the text is the package's own."""
    return sql.SQL(cast(LiteralString, files(__name__).joinpath(f"{name}.sql").read_text("utf-8")))
