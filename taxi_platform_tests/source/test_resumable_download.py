import logging
import re
import resource

import pytest

from taxi_platform.errors import BadFile, PermanentError, SourceUnavailable
from taxi_platform_tests.source.downloads import CONTENT, OTHER, PATH, content, fetch, names_in, raw_files
from taxi_platform_tests.support.faulty_server import Fault
from taxi_platform_tests.support.sample_files import GREEN, sample_gz


@pytest.mark.parametrize("cut_after", [0, 10_000, len(CONTENT) - 1])
def test_lost_connection_is_retried(files, server, cut_after):
    server.faults = [Fault(cut_after=cut_after)]

    assert content(files) == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "fault", [Fault(stall_after=0), Fault(stall_after=10_000), Fault(dribble_after=0), Fault(dribble_after=10_000)]
)
def test_stalled_or_slow_connection_is_closed_and_retried(server, tmp_path, fault):
    server.faults = [fault]

    assert content(raw_files(server.url, tmp_path, read_timeout=0.3)) == CONTENT
    assert len(server.requests) == 2


def test_resumes_by_etag_where_the_connection_was_lost(files, server):
    server.faults = [Fault(cut_after=10_000), Fault(cut_after=20_000)]
    file, _ = fetch(files)

    assert file.path.read_bytes() == CONTENT
    assert server.headers_seen("Range") == [None, "bytes=10000-", "bytes=30000-"]
    assert server.headers_seen("If-Range") == [None, file.etag, file.etag]


def test_resumes_by_last_modified_without_etag(files, server):
    server.has_etags, server.last_modified = False, "Thu, 14 Jul 2022 09:19:53 GMT"
    server.faults = [Fault(cut_after=10_000)]

    assert content(files) == CONTENT
    assert server.headers_seen("If-Range") == [None, server.last_modified]


@pytest.mark.parametrize("etag", ['W/"weak"', None])
def test_starts_over_if_the_version_cannot_be_named(files, server, etag):
    server.has_etags = etag is not None
    server.faults = [Fault(cut_after=10_000, etag=etag)]

    assert content(files) == CONTENT
    assert server.headers_seen("Range") == [None, None]


def test_starts_over_if_the_server_has_no_ranges(files, server):
    server.has_ranges = False
    server.faults = [Fault(cut_after=10_000), Fault(cut_after=30_000)]

    assert content(files) == CONTENT


@pytest.mark.parametrize(
    "response",
    [
        Fault(content_range=f"bytes 9000-{len(CONTENT) - 1}/{len(CONTENT)}"),
        Fault(content_range=f"bytes 10000-{len(CONTENT) - 2}/{len(CONTENT) - 1}"),
        Fault(content_range="bytes nonsense"),
        Fault(status=416),
        Fault(status=304),
    ],
)
def test_starts_over_after_wrong_response_to_range(files, server, response):
    server.faults = [Fault(cut_after=10_000), response]

    assert content(files) == CONTENT
    assert server.headers_seen("Range") == [None, "bytes=10000-", None]


def test_starts_over_if_the_file_changed_between_attempts(files, server):
    server.faults = [Fault(cut_after=10_000, body=OTHER, etag='"of the old version"')]

    assert content(files) == CONTENT
    assert server.headers_seen("Range") == [None, "bytes=10000-"]


def test_rest_of_another_version_is_not_read(files, server, caplog):
    server.faults = [Fault(cut_after=10_000, etag='"of the old version"'), Fault(ignores_if_range=True)]

    assert content(files) == CONTENT
    assert server.headers_seen("Range") == [None, "bytes=10000-", None]
    assert "request for the rest does not match" in caplog.text


def test_shorter_new_version_leaves_no_bytes_of_the_old_one(files, server):
    server.publish(PATH, sample_gz(GREEN, 50))
    server.faults = [Fault(cut_after=100_000, body=CONTENT)]

    assert content(files) == sample_gz(GREEN, 50)


def test_hidden_change_of_version_is_detected(files, server):
    longer, shorter = sorted([CONTENT, OTHER], key=len, reverse=True)
    # Zeros after a gzip file are rejected, so only the length is that of the other version.
    server.publish(PATH, longer)
    server.faults = [
        Fault(body=shorter + bytes(len(longer) - len(shorter)), cut_after=10_000, etag='"same"'),
        Fault(etag='"same"'),
    ]

    assert content(files) == longer
    assert server.headers_seen("Range") == [None, "bytes=10000-", None]


def test_truncated_file_of_declared_length_is_not_retried(files, server):
    server.publish(PATH, CONTENT[:-1000])

    with pytest.raises(BadFile, match="the gzip data is truncated"):
        fetch(files)
    assert len(server.requests) == 1


def test_lost_connection_without_declared_length_is_retried(files, server):
    server.declares_length = False
    server.faults = [Fault(cut_after=10_000)]

    assert content(files) == CONTENT


def test_fewer_bytes_than_declared_are_an_error(files, server, tmp_path):
    server.faults = [Fault(length=len(CONTENT) + 1, etag='W/"weak"')] * 10

    with pytest.raises(SourceUnavailable, match="connection was lost"):
        fetch(files)
    assert names_in(tmp_path) == set()


def test_content_encoding_of_gzip_is_not_decoded(files, server):
    server.faults = [Fault(status=200, headers={"Content-Encoding": "gzip"}, body=CONTENT)]

    assert content(files) == CONTENT


@pytest.mark.parametrize("limit", [20_000, len(CONTENT) - 1])
def test_full_disk_is_permanent_error(files, tmp_path, limit):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(PermanentError, match=r"not enough free disk space .*\n.*Free some space") as caught:
            fetch(files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert str(tmp_path) in str(caught.value)
    assert names_in(tmp_path) == set()


def test_file_larger_than_free_space_is_not_begun(files, server, tmp_path):
    server.faults = [Fault(length=10**15)]
    with pytest.raises(PermanentError, match=r"MB are free, 1,000,000,0\d\d MB are required"):
        fetch(files)

    assert names_in(tmp_path) == set()


def test_progress_is_logged_with_bytes_percent_and_speed(files, caplog, monkeypatch):
    monkeypatch.setattr("taxi_platform.source.resumable_download._LOG_EVERY", 0)
    caplog.set_level(logging.INFO)
    fetch(files)

    assert re.search(rf"{GREEN.gz_name}: \d\.\d of 0\.2 MB \(100%\), \d+\.\d MB/s", caplog.text)
