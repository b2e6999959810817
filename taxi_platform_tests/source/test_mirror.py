"""The mirror and the files it publishes, over a real HTTP server that can misbehave and over folders."""

import fcntl
import logging
import multiprocessing
import os
import re
import resource
import threading
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.errors import (
    BadFile,
    BadSetting,
    NotPublished,
    PermanentError,
    SourceUnavailable,
    TaxiError,
    TransientError,
)
from taxi_platform.local.ports import free_port
from taxi_platform.settings import PUBLIC_MIRROR
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.http_client import safe_url
from taxi_platform.source.mirror import Mirror
from taxi_platform.source.raw_file import RawFile, Version
from taxi_platform.trips.partitions import month_ranges
from taxi_platform_tests.support.faulty_server import GOOD, Fault, FaultyServer
from taxi_platform_tests.support.sample_files import GREEN, sample_gz

LOG = logging.getLogger("test_source")
PATH = f"green/{GREEN.gz_name}"
CONTENT = sample_gz(GREEN, 5000)
OTHER = sample_gz(GREEN, 5000, seed=2)


@pytest.fixture
def server():
    with FaultyServer().running() as server:
        server.publish(PATH, CONTENT)
        yield server


@pytest.fixture
def files(server, tmp_path):
    return raw_files(server.url, tmp_path)


def raw_files(url: str, folder: Path, **fields) -> RawFiles:
    patience = {"connect_timeout": 5, "read_timeout": 5, "attempts": 4, "first_wait": 0.001, "longest_wait": 0.01}
    return RawFiles(mirror=Mirror(base_url=url, **{**patience, **fields}), folder=str(folder))


def bring(files: RawFiles, refresh: bool = False) -> tuple[RawFile, bool]:
    return files.bring(GREEN, LOG, refresh=refresh)


def found(files: RawFiles) -> RawFile:
    file = files.find(GREEN)
    assert file is not None
    return file


def left_in(folder: Path) -> set[str]:
    """Names of what is in the folder but for locks."""
    return {path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")}


THE_FILE = {GREEN.gz_name, f"{GREEN.gz_name}.json"}


def test_a_file_is_fetched_whole_and_found_again(files, server, tmp_path):
    file, reused = bring(files)

    assert not reused
    assert file.path.read_bytes() == CONTENT
    assert (file.rows, file.size, file.url) == (5000, len(CONTENT), f"{server.url}/{PATH}")
    assert file.etag
    assert files.find(GREEN) == file
    assert left_in(tmp_path) == THE_FILE


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_after=0),
        Fault(cut_after=10_000),
        Fault(cut_after=len(CONTENT) - 1),
        Fault(status=429),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(status=408),
        Fault(status=500),
        Fault(status=503, body=b"<html>busy</html>"),
    ],
)
def test_a_fault_that_passes_is_tried_again(files, server, fault):
    server.faults = [fault]

    assert bring(files)[0].path.read_bytes() == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize("stall_after", [0, 10_000])
def test_a_connection_that_stalls_is_given_up_and_tried_again(server, tmp_path, stall_after):
    server.faults = [Fault(stall_after=stall_after)]

    assert bring(raw_files(server.url, tmp_path, read_timeout=0.3))[0].path.read_bytes() == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize("dribble_after", [0, 10_000])
def test_a_connection_with_a_byte_now_and_then_is_given_up_and_tried_again(server, tmp_path, dribble_after):
    server.faults = [Fault(dribble_after=dribble_after)]

    assert bring(raw_files(server.url, tmp_path, read_timeout=0.3))[0].path.read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_cut_download_goes_on_where_it_was_cut(files, server):
    server.faults = [Fault(cut_after=10_000), Fault(cut_after=20_000)]
    file, _ = bring(files)

    assert file.path.read_bytes() == CONTENT
    assert server.headers_seen("Range") == [None, "bytes=10000-", "bytes=30000-"]
    assert server.headers_seen("If-Range") == [None, file.etag, file.etag]


def test_a_cut_download_resumes_by_date_where_there_is_no_etag(files, server):
    server.has_etags, server.last_modified = False, "Thu, 14 Jul 2022 09:19:53 GMT"
    server.faults = [Fault(cut_after=10_000)]

    assert bring(files)[0].path.read_bytes() == CONTENT
    assert server.headers_seen("If-Range") == [None, server.last_modified]


@pytest.mark.parametrize("etag", ['W/"weak"', None])
def test_a_cut_download_starts_over_when_the_version_cannot_be_named(files, server, etag):
    server.has_etags = etag is not None
    server.faults = [Fault(cut_after=10_000, etag=etag)]

    assert bring(files)[0].path.read_bytes() == CONTENT
    assert server.headers_seen("Range") == [None, None]


def test_a_server_without_ranges_starts_over(files, server):
    server.has_ranges = False
    server.faults = [Fault(cut_after=10_000), Fault(cut_after=30_000)]

    assert bring(files)[0].path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "answer",
    [
        Fault(content_range=f"bytes 9000-{len(CONTENT) - 1}/{len(CONTENT)}"),
        Fault(content_range=f"bytes 10000-{len(CONTENT) - 2}/{len(CONTENT) - 1}"),
        Fault(content_range="bytes nonsense"),
        Fault(status=416),
        Fault(status=304),
    ],
)
def test_a_wrong_answer_to_a_resumption_starts_over(files, server, answer):
    server.faults = [Fault(cut_after=10_000), answer]

    assert bring(files)[0].path.read_bytes() == CONTENT
    assert server.headers_seen("Range") == [None, "bytes=10000-", None]


def test_a_file_that_changes_between_attempts_is_fetched_anew(files, server):
    server.faults = [Fault(cut_after=10_000, body=OTHER, etag='"of the old version"')]

    assert bring(files)[0].path.read_bytes() == CONTENT
    assert server.headers_seen("Range") == [None, "bytes=10000-"]


def test_a_rest_of_another_version_is_not_even_read(files, server, caplog):
    server.faults = [Fault(cut_after=10_000, etag='"of the old version"'), Fault(ignores_if_range=True)]

    assert bring(files)[0].path.read_bytes() == CONTENT
    assert server.headers_seen("Range") == [None, "bytes=10000-", None]
    assert "the rest does not fit" in caplog.text


def test_nothing_of_a_longer_older_version_is_left_behind_a_shorter_one(files, server):
    server.publish(PATH, sample_gz(GREEN, 50))
    server.faults = [Fault(cut_after=100_000, body=CONTENT)]

    assert bring(files)[0].path.read_bytes() == sample_gz(GREEN, 50)


def test_a_splice_that_the_server_hides_is_found_and_the_file_fetched_anew(files, server):
    longer, shorter = sorted([CONTENT, OTHER], key=len, reverse=True)
    # Zeros behind a gzip file are refused, so only its length is that of the other version.
    server.publish(PATH, longer)
    server.faults = [
        Fault(body=shorter + bytes(len(longer) - len(shorter)), cut_after=10_000, etag='"same"'),
        Fault(etag='"same"'),
    ]

    assert bring(files)[0].path.read_bytes() == longer
    assert server.headers_seen("Range") == [None, "bytes=10000-", None]


def test_faults_that_last_end_in_an_error_that_a_rerun_may_mend(files, server, tmp_path):
    server.faults = [Fault(status=503)] * 10
    with pytest.raises(SourceUnavailable, match=r"answers 503 .*\n.*rerun may help") as caught:
        bring(files)

    assert caught.value.allow_retries
    assert len(server.requests) == 4
    assert left_in(tmp_path) == set()


def test_a_server_that_does_not_exist_is_unavailable(tmp_path):
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        bring(raw_files(f"http://127.0.0.1:{free_port()}", tmp_path))


def test_a_server_that_asks_for_a_long_wait_is_not_asked_again(files, server):
    server.faults = [Fault(status=429, headers={"Retry-After": "3600"})]

    with pytest.raises(SourceUnavailable, match="asks to wait 3600 seconds"):
        bring(files)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 410, 301])
def test_a_refusal_is_permanent(files, server, status):
    server.faults = [Fault(status=status)]

    with pytest.raises(PermanentError, match=f"answers {status} .*\n.*rerun does not help"):
        bring(files)
    assert len(server.requests) == 1


def test_what_is_not_published_is_not_tried_again_and_the_published_months_are_named(server, tmp_path):
    del server.files[f"/{PATH}"]
    for month in ("2019-01", "2019-02", "2019-03", "2020-12", "2021-01"):
        server.publish(f"green/green_tripdata_{month}.csv.gz", CONTENT)

    with pytest.raises(NotPublished, match=r"2019-01\.\.2019-03, 2020-12, 2021-01\.") as caught:
        bring(raw_files(server.url, tmp_path))
    assert not caught.value.allow_retries
    assert [path for path, _ in server.requests].count(f"/{PATH}") == 2  # the fetch, and the search


def test_a_mirror_without_any_month_says_so(server, tmp_path):
    server.files.clear()

    with pytest.raises(NotPublished, match="No green month was found"):
        bring(raw_files(server.url, tmp_path))


def test_the_search_for_months_ends_with_the_first_silence(server, tmp_path):
    server.files.clear()
    server.faults = [Fault(status=404), *[Fault(status=500)] * 200]

    with pytest.raises(NotPublished, match="No green month was found"):
        bring(raw_files(server.url, tmp_path))
    assert len(server.requests) < 20


def test_a_file_that_is_shorter_than_its_gzip_data_is_bad_for_good(files, server):
    server.publish(PATH, CONTENT[:-1000])

    with pytest.raises(BadFile, match="the gzip data is cut"):
        bring(files)
    assert len(server.requests) == 1


def test_a_cut_without_a_declared_length_is_tried_again(files, server):
    server.declares_length = False
    server.faults = [Fault(cut_after=10_000)]

    assert bring(files)[0].path.read_bytes() == CONTENT


def test_a_declared_length_that_never_comes_is_no_file(files, server, tmp_path):
    server.faults = [Fault(length=len(CONTENT) + 1, etag='W/"weak"')] * 10

    with pytest.raises(SourceUnavailable, match="broke off"):
        bring(files)
    assert left_in(tmp_path) == set()


def test_a_file_labelled_as_gzip_encoded_is_kept_as_it_is(files, server):
    body = Fault(status=200, headers={"Content-Encoding": "gzip"}, body=CONTENT)
    server.faults = [body]

    assert bring(files)[0].path.read_bytes() == CONTENT


def test_an_unchanged_file_is_not_fetched_again(files, server):
    first, _ = bring(files)
    again, reused = bring(files)

    assert reused
    assert again == first
    assert server.headers_seen("If-None-Match") == [None, first.etag]


@pytest.mark.parametrize("last_modified", ["Thu, 14 Jul 2022 09:19:53 GMT", None])
def test_without_an_etag_the_date_or_the_length_says_that_a_file_is_unchanged(files, server, last_modified):
    server.has_etags, server.last_modified = False, last_modified
    bring(files)

    assert bring(files)[1]
    server.publish(PATH, OTHER)
    server.last_modified = "Fri, 15 Jul 2022 09:19:53 GMT"
    assert not bring(files)[1]
    assert found(files).path.read_bytes() == OTHER


def test_a_changed_file_replaces_the_old_one(files, server, tmp_path):
    first, _ = bring(files)
    server.publish(PATH, OTHER)
    second, reused = bring(files)

    assert not reused
    assert second.sha256 != first.sha256
    assert files.find(GREEN) == second
    assert left_in(tmp_path) == THE_FILE


def test_refresh_fetches_an_unchanged_file(files, server):
    bring(files)

    assert not bring(files, refresh=True)[1]
    assert server.headers_seen("If-None-Match") == [None, None]


def test_a_file_from_another_mirror_is_not_used_again(files, server, tmp_path):
    bring(files)
    with FaultyServer().running() as other:
        other.publish(PATH, CONTENT)

        assert not bring(raw_files(other.url, tmp_path))[1]


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=403), Fault(cut_after=10_000)])
def test_a_failed_fetch_leaves_the_old_file_as_it_was(files, server, tmp_path, fault):
    first, _ = bring(files)
    server.publish(PATH, OTHER)
    server.has_ranges = False
    server.faults = [GOOD, *[fault] * 10]

    with pytest.raises(TaxiError):
        bring(files)
    assert files.find(GREEN) == first
    assert first.path.read_bytes() == CONTENT
    assert left_in(tmp_path) == THE_FILE


def test_a_bad_file_leaves_the_old_one_as_it_was(files, server, tmp_path):
    first, _ = bring(files)
    server.publish(PATH, b"<html><title>Sign in</title>")

    with pytest.raises(BadFile, match="an HTML page: 'Sign in'"):
        bring(files)
    assert files.find(GREEN) == first
    assert left_in(tmp_path) == THE_FILE


def test_a_signed_address_behind_a_redirect_is_never_shown(files, server, tmp_path, caplog):
    server.redirect_query = "X-Signature=top-secret"
    caplog.set_level(logging.INFO)
    file, _ = bring(files)

    assert file.url == f"{server.url}/{PATH}"
    assert file.etag != '"of the redirect"'
    assert bring(files)[1]
    server.publish(PATH, OTHER)
    nowhere = Fault(status=302, headers={"Location": "http://localhost:1/?X-Signature=top-secret"})
    for fault in (Fault(status=503), Fault(status=403), Fault(cut_after=10, etag='W/""'), nowhere):
        server.faults = [fault] * 10
        with pytest.raises(TaxiError) as caught:
            bring(files)
        assert "top-secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None or "top-secret" not in repr(caught.value.__context__)
    assert "top-secret" not in caplog.text
    assert not any("top-secret" in path.read_text("latin-1") for path in tmp_path.rglob("*") if path.is_file())


def test_a_password_in_the_mirror_s_url_is_used_and_never_shown(server, tmp_path):
    files = raw_files(server.url.replace("http://", "http://me:pass-word@"), tmp_path)
    file, _ = bring(files)

    assert server.headers_seen("Authorization")[0].startswith("Basic ")
    assert file.url == f"{server.url}/{PATH}"
    assert safe_url("https://me:pw@host:1/a?b=c#d") == "https://host:1/a"


@pytest.mark.parametrize("url", ["ftp://host/x", "/a/folder", "me:pass-word@host", "http://me:pass-word@[::1/x"])
def test_a_mirror_of_another_kind_is_a_bad_setting(tmp_path, url):
    with pytest.raises(BadSetting, match="TAXI_SOURCE_URL") as caught:
        bring(raw_files(url, tmp_path))
    assert "pass-word" not in str(caught.value)


def test_a_folder_is_a_mirror(tmp_path):
    folder = tmp_path / "mirror with space"
    published = folder / PATH
    published.parent.mkdir(parents=True)
    published.write_bytes(CONTENT)
    files = raw_files(folder.as_uri(), tmp_path / "raw")

    assert bring(files)[0].path.read_bytes() == CONTENT
    assert bring(files)[1]
    published.write_bytes(OTHER)
    assert not bring(files)[1]
    assert found(files).path.read_bytes() == OTHER
    published.rename(published.with_name("green_tripdata_2020-03.csv.gz"))
    with pytest.raises(NotPublished, match="green months: 2020-03"):
        bring(files)


def test_the_public_mirror_s_months_are_known_without_asking():
    assert month_ranges(Mirror(base_url=PUBLIC_MIRROR).published(GREEN.colour)) == "2019-01..2021-07"


@pytest.mark.parametrize("fault", ["deleted", "changed", "no record", "broken record", "touched"])
def test_a_file_that_is_not_as_it_was_checked_counts_as_missing(files, fault):
    file, _ = bring(files)
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
    assert not bring(files)[1]
    assert found(files).sha256 == file.sha256


def test_a_file_that_is_gone_is_not_recorded_as_materialized(files):
    file, _ = bring(files)
    with dg.build_output_context() as context:
        files.handle_output(context, file)
    file.path.unlink()

    with dg.build_output_context() as context, pytest.raises(TransientError, match="no longer there"):
        files.handle_output(context, file)


@pytest.mark.parametrize("room", [20_000, len(CONTENT) - 1])
def test_a_full_disk_is_said_to_be_full(files, tmp_path, room):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(PermanentError, match=r"no room left .*\n.*free some space") as caught:
            bring(files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert str(tmp_path) in str(caught.value)
    assert left_in(tmp_path) == set()


def test_what_a_killed_process_leaves_is_removed_by_the_next_fetch(server, tmp_path):
    server.faults = [Fault(stall_after=10_000)]
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_bring_in_a_process, args=(server.url, str(tmp_path)))
    process.start()
    try:
        _wait_for(lambda: any(path.stat().st_size for path in (tmp_path / "green").glob(".*.part")))
    finally:
        process.kill()
        process.join()
    assert len(left_in(tmp_path)) == 1

    bring(raw_files(server.url, tmp_path))
    assert left_in(tmp_path) == THE_FILE


def _bring_in_a_process(url: str, folder: str) -> None:
    bring(raw_files(url, Path(folder), read_timeout=60))


def _wait_for(condition, seconds: float = 60) -> None:
    done = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        done.wait(0.02)
    raise AssertionError("what was waited for did not come")


def test_progress_is_logged_with_bytes_percent_and_speed(files, caplog, monkeypatch):
    monkeypatch.setattr("taxi_platform.source.resumable_download._LOG_EVERY", 0)
    caplog.set_level(logging.INFO)
    bring(files)

    assert re.search(rf"{GREEN.gz_name}: \d\.\d of 0\.2 MB \(100%\), \d+\.\d MB/s", caplog.text)


def test_two_fetches_of_one_month_at_once_fetch_it_once(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    results: list[tuple[RawFile, bool]] = []
    folder = tmp_path / "green"
    folder.mkdir()
    with (folder / f".{GREEN.gz_name}.lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threads = [
            threading.Thread(target=lambda: results.append(bring(raw_files(server.url, tmp_path)))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        _wait_for(lambda: caplog.text.count("waiting for another run") == 2)
    for thread in threads:
        thread.join()

    assert sorted(reused for _, reused in results) == [False, True]
    assert results[0][0] == results[1][0]


@pytest.mark.parametrize(
    ("now", "known", "is_still"),
    [
        (Version("a", "x", 1), Version("a", "y", 1), True),
        (Version("a", "x", 1), Version("b", "x", 1), False),
        (Version(None, "x", 1), Version("b", "x", 1), True),
        (Version(None, "x", 1), Version("b", "y", 1), False),
        (Version("a", "x", 1), Version("a", "x", 2), False),
        (Version(None, None, 1), Version("a", "x", 1), True),
        (Version(None, None, None), Version("a", "x", 1), False),
        (Version(None, None, None), Version(None, None, 1), False),
    ],
)
def test_the_etag_decides_then_the_date_then_the_length(now, known, is_still):
    assert now.is_still(known) is is_still


def test_a_file_that_is_larger_than_the_free_space_is_not_begun(files, server, tmp_path):
    server.faults = [Fault(length=10**15)]
    with pytest.raises(PermanentError, match=r"no room left .* are free, and 1,000,000,0\d\d MB are needed"):
        bring(files)

    assert left_in(tmp_path) == set()
