"""DuckDB statements, one file each; values are bound, and `{names}` are identifiers of the registry."""

from importlib.resources import files


def statement(name: str, **parts: str) -> str:
    """Return the statement in `<name>.sql` with its `{parts}`."""
    return files(__name__).joinpath(f"{name}.sql").read_text("utf-8").format(**parts)
