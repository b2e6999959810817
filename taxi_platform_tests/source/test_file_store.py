import fcntl
import gzip
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from taxi_platform.errors import BadFile, TaxiError, TransientError
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.raw_file import RawFile
from taxi_platform_tests.source.downloads import CONTENT, OTHER, PATH, THE_FILE, content, fetch, names_in, raw_files
from taxi_platform_tests.support.faulty_server import GOOD, Fault, FaultyServer
from taxi_platform_tests.support.parquet_files import GREEN_LATE, csv_lines, parquet_bytes, table_of
from taxi_platform_tests.support.sample_files import GREEN, with_column

FEES = pa.array([1.25] * 60)


def test_file_is_downloaded_and_found_again(files, server, tmp_path):
    file, reused = fetch(files)

    assert not reused
    assert file.path.read_bytes() == CONTENT
    assert (file.rows, file.size, file.url) == (5000, len(CONTENT), f"{server.url}/{PATH}")
    assert file.etag
    assert files.find(GREEN) == file
    assert names_in(tmp_path) == THE_FILE


def test_unchanged_file_is_reused(files, server):
    first, _ = fetch(files)

    assert fetch(files) == (first, True)
    assert server.headers_seen("If-None-Match") == [None, first.etag]


@pytest.mark.parametrize("last_modified", ["Thu, 14 Jul 2022 09:19:53 GMT", None])
def test_change_is_detected_by_date_or_length_without_etag(files, server, last_modified):
    server.has_etags, server.last_modified = False, last_modified
    fetch(files)

    assert fetch(files)[1]
    server.publish(PATH, OTHER)
    server.last_modified = "Fri, 15 Jul 2022 09:19:53 GMT"
    assert content(files) == OTHER


def test_changed_file_replaces_the_old_one(files, server, tmp_path):
    first, _ = fetch(files)
    server.publish(PATH, OTHER)
    second, reused = fetch(files)

    assert not reused
    assert second.sha256 != first.sha256
    assert files.find(GREEN) == second
    assert names_in(tmp_path) == THE_FILE


def test_refresh_downloads_an_unchanged_file(files, server):
    fetch(files)

    assert not fetch(files, refresh=True)[1]
    assert server.headers_seen("If-None-Match") == [None, None]


def test_file_of_another_mirror_is_not_reused(files, tmp_path):
    fetch(files)
    with FaultyServer().running() as other:
        other.publish(PATH, CONTENT)

        assert not fetch(raw_files(other.url, tmp_path))[1]


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=403), Fault(cut_after=10_000)])
def test_failed_download_leaves_the_old_file(files, server, tmp_path, fault):
    first, _ = fetch(files)
    server.publish(PATH, OTHER)
    server.has_ranges = False
    server.faults = [GOOD, *[fault] * 10]

    with pytest.raises(TaxiError):
        fetch(files)
    assert files.find(GREEN) == first
    assert first.path.read_bytes() == CONTENT
    assert names_in(tmp_path) == THE_FILE


def test_invalid_new_file_leaves_the_old_one(files, server, tmp_path):
    first, _ = fetch(files)
    server.publish(PATH, b"<html><title>Sign in</title>")

    with pytest.raises(BadFile, match='an HTML page: "Sign in"'):
        fetch(files)
    assert files.find(GREEN) == first
    assert names_in(tmp_path) == THE_FILE


@pytest.mark.parametrize("fault", ["deleted", "changed", "no record", "broken record", "touched"])
def test_file_that_does_not_match_its_record_is_missing(files, fault):
    file, _ = fetch(files)
    record = file.path.with_name(f"{file.path.name}.json")
    match fault:
        case "deleted":
            file.path.unlink()
        case "changed":
            file.path.write_bytes(OTHER)
        case "no record":
            record.unlink()
        case "broken record":
            record.write_text(record.read_text()[:40])
        case "touched":
            os.utime(file.path, ns=(1, 1))

    assert files.find(GREEN) is None
    again, reused = fetch(files)
    assert (again.sha256, reused) == (file.sha256, False)
    assert files.find(GREEN) == again


def test_removed_file_is_not_recorded_as_materialized(files):
    file, _ = fetch(files)
    with dg.build_output_context() as context:
        files.handle_output(context, file)
    file.path.unlink()

    with dg.build_output_context() as context, pytest.raises(TransientError, match="was removed or changed"):
        files.handle_output(context, file)


def test_part_file_of_a_killed_process_is_removed(server, tmp_path):
    server.faults = [Fault(stall_after=10_000)]
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_fetch_in_process, args=(server.url, str(tmp_path)))
    process.start()
    try:
        _wait_for(lambda: any(path.stat().st_size for path in (tmp_path / "green").glob(".*.part")))
    finally:
        process.kill()
        process.join()
    assert len(names_in(tmp_path)) == 1

    fetch(raw_files(server.url, tmp_path))
    assert names_in(tmp_path) == THE_FILE


def _fetch_in_process(url: str, folder: str) -> None:
    fetch(raw_files(url, Path(folder), read_timeout=60))


def _wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    done = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        done.wait(0.02)
    raise AssertionError("the condition was not met in time")


def test_concurrent_fetches_download_once(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    results: list[tuple[RawFile, bool]] = []
    folder = tmp_path / "green"
    folder.mkdir()
    with (folder / f".{GREEN.gz_name}.lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threads = [
            threading.Thread(target=lambda: results.append(fetch(raw_files(server.url, tmp_path)))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        _wait_for(lambda: caplog.text.count("waiting for another run") == 2)
    for thread in threads:
        thread.join()

    assert sorted(reused for _, reused in results) == [False, True]
    assert results[0][0] == results[1][0]


@pytest.fixture
def late_files(server: FaultyServer, tmp_path: Path) -> RawFiles:
    """A store of a source that publishes one month as Parquet."""
    server.publish(GREEN_LATE.parquet_name, parquet_bytes(table_of(GREEN_LATE, 3000)))
    server.missing_status = 403
    return raw_files("http://127.0.0.1:9", tmp_path, parquet_url=server.url)


def test_parquet_month_is_stored_as_csv_and_reused(late_files, server, tmp_path):
    file, reused = fetch(late_files, GREEN_LATE)

    assert not reused
    assert gzip.decompress(file.path.read_bytes()).decode().split("\r\n")[:-1] == csv_lines(GREEN_LATE, 3000)
    assert (file.rows, file.url) == (3000, f"{server.url}/{GREEN_LATE.parquet_name}")
    assert fetch(late_files, GREEN_LATE) == (file, True)
    assert fetch(late_files, GREEN_LATE, refresh=True) == (file, False)
    assert names_in(tmp_path) == {GREEN_LATE.gz_name, f"{GREEN_LATE.gz_name}.json"}


def test_changed_parquet_month_is_downloaded(late_files, server):
    fetch(late_files, GREEN_LATE)
    server.publish(GREEN_LATE.parquet_name, parquet_bytes(table_of(GREEN_LATE, 3001)))
    file, reused = fetch(late_files, GREEN_LATE)

    assert (file.rows, reused) == (3001, False)


def test_parquet_download_is_resumed(late_files, server):
    server.faults = [Fault(cut_after=20_000)]

    assert fetch(late_files, GREEN_LATE)[0].rows == 3000
    assert server.headers_seen("Range") == [None, "bytes=20000-"]


def test_columns_left_out_are_recorded(late_files, server):
    server.publish(GREEN_LATE.parquet_name, parquet_bytes(table_of(GREEN_LATE).append_column("Airport_fee", FEES)))

    for _ in range(2):
        assert fetch(late_files, GREEN_LATE)[0].extra_columns == ("Airport_fee",)


def test_file_is_downloaded_again_for_a_new_column(late_files, server):
    server.publish(GREEN_LATE.parquet_name, parquet_bytes(table_of(GREEN_LATE).append_column("Airport_fee", FEES)))
    fetch(late_files, GREEN_LATE)
    month = with_column(GREEN_LATE, "airport_fee", since="2023-05")
    file, reused = fetch(late_files, month)

    assert (reused, file.header[-1], file.extra_columns) == (False, "airport_fee", ())
    assert fetch(late_files, month) == (file, True)


def test_html_page_is_not_a_parquet_file(late_files, server):
    server.publish(GREEN_LATE.parquet_name, b"<html><title>Sorry</title></html>")
    with pytest.raises(BadFile, match=r'not a Parquet file but an HTML page: "Sorry"'):
        fetch(late_files, GREEN_LATE)
