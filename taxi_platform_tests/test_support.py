"""The local servers of `support` behave as the tests that use them require."""

import tomllib
from pathlib import Path

import psycopg
import pytest
import requests

from taxi_platform_tests.conftest import ServeFolder
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.lowest_versions import PYPROJECT, lowest_versions
from taxi_platform_tests.support.waiting import PATIENCE


def test_each_test_has_an_empty_database(each_postgres_url: str) -> None:
    with psycopg.connect(each_postgres_url) as connection:
        tables = connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone()
        connection.execute("create table left_behind ()")
    assert tables == (0,)


def test_postgres_15_requires_a_password(postgres15_url: str) -> None:
    with psycopg.connect(postgres15_url) as connection:
        assert connection.info.server_version // 10000 == 15
        assert connection.pgconn.used_password
        assert connection.info.host == "127.0.0.1"


def test_mirror_serves_files_ranges_and_not_modified(mirror: HttpMirror) -> None:
    (mirror.folder / "file").write_bytes(b"0123456789")
    whole = requests.get(f"{mirror.url}/file", timeout=PATIENCE)
    assert whole.content == b"0123456789"

    tag = whole.headers["ETag"]
    part = requests.get(f"{mirror.url}/file", headers={"Range": "bytes=4-", "If-Range": tag}, timeout=PATIENCE)
    assert (part.status_code, part.content) == (206, b"456789")
    other = requests.get(f"{mirror.url}/file", headers={"Range": "bytes=4-", "If-Range": '"old"'}, timeout=PATIENCE)
    assert (other.status_code, other.content) == (200, b"0123456789")

    unchanged = {"If-None-Match": tag}
    assert requests.get(f"{mirror.url}/file", headers=unchanged, timeout=PATIENCE).status_code == 304
    (mirror.folder / "file").write_bytes(b"changed")
    assert requests.get(f"{mirror.url}/file", headers=unchanged, timeout=PATIENCE).content == b"changed"
    assert requests.get(f"{mirror.url}/none", timeout=PATIENCE).status_code == 404
    assert [request.status for request in mirror.requests] == [200, 206, 200, 304, 200, 404]


def test_served_folder_hides_its_neighbours(serve_folder: ServeFolder, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret").write_text("no")
    with serve_folder(tmp_path / "inside") as mirror:
        mirror.etag = mirror.last_modified = False
        (tmp_path / "inside" / "file").write_text("yes")
        answer = requests.get(f"{mirror.url}/file", timeout=PATIENCE)
        assert answer.text == "yes"
        assert not {"ETag", "Last-Modified"} & set(answer.headers)
        assert requests.get(f"{mirror.url}/%2e%2e/secret", timeout=PATIENCE).status_code == 404


def test_every_requirement_has_a_lowest_version() -> None:
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    lowest = lowest_versions(project, project["optional-dependencies"])
    assert "dagster==1.13" in lowest
    assert "dbt-core==1.11.16; python_version < '3.14'" in lowest
    with pytest.raises(ValueError, match=r"sqlalchemy<2.1 has no lower bound"):
        lowest_versions({"dependencies": ["sqlalchemy<2.1"], "optional-dependencies": {}}, [])
