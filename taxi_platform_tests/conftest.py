import itertools

import psycopg
import pytest

_n = itertools.count()


@pytest.fixture
def postgres15_url():
    base = "postgresql://taxi:secret@127.0.0.1:5615/"
    name = f"t{next(_n)}"
    with psycopg.connect(base + "postgres", autocommit=True) as c:
        c.execute(f"drop database if exists {name}")
        c.execute(f"create database {name}")
    yield base + name
    with psycopg.connect(base + "postgres", autocommit=True) as c:
        c.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def embedded(tmp_path_factory):
    from taxi_platform.resources.embedded_postgres import EmbeddedPostgres

    e = EmbeddedPostgres(tmp_path_factory.mktemp("x") / "postgres")
    e.start()
    yield e
    e.remove()


@pytest.fixture
def postgres_url(embedded):
    name = f"t{next(_n)}"
    embedded.ensure_database(name)
    yield embedded.url(name)
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as c:
        c.execute(f"drop database {name} with (force)")
