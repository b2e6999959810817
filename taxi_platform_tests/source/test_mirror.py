import logging

import pytest

from taxi_platform.errors import BadSetting, NotPublished, PermanentError, SourceUnavailable, TaxiError
from taxi_platform.local.ports import free_port
from taxi_platform.settings import PUBLIC_MIRROR
from taxi_platform.source.http_client import safe_url
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.partitions import TripMonth, month_ranges
from taxi_platform_tests.source.downloads import CONTENT, OTHER, PATH, content, fetch, names_in, raw_files
from taxi_platform_tests.support.faulty_server import Fault
from taxi_platform_tests.support.parquet_files import GREEN_LATE
from taxi_platform_tests.support.sample_files import GREEN

SECRET = "X-Signature=top-secret"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(status=408),
        Fault(status=500),
        Fault(status=503, body=b"<html>busy</html>"),
    ],
)
def test_temporary_status_is_retried(files, server, fault):
    server.faults = [fault]

    assert content(files) == CONTENT
    assert len(server.requests) == 2


def test_last_failed_attempt_is_transient_error(files, server, tmp_path):
    server.faults = [Fault(status=503)] * 10
    with pytest.raises(SourceUnavailable, match=r"responded 503 .*\n.*4 attempts.*A rerun may succeed") as caught:
        fetch(files)

    assert caught.value.allow_retries
    assert len(server.requests) == 4
    assert names_in(tmp_path) == set()


def test_unreachable_server_is_transient_error(tmp_path):
    with pytest.raises(SourceUnavailable, match=r"the request to .* failed \(ConnectionError\)"):
        fetch(raw_files(f"http://127.0.0.1:{free_port()}", tmp_path))


def test_long_retry_after_ends_the_attempts(files, server):
    server.faults = [Fault(status=429, headers={"Retry-After": "3600"})]

    with pytest.raises(SourceUnavailable, match="with Retry-After: 3600 seconds"):
        fetch(files)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 410, 301])
def test_other_status_is_permanent_error(files, server, status):
    server.faults = [Fault(status=status)]

    with pytest.raises(PermanentError, match=f"responded {status} "):
        fetch(files)
    assert len(server.requests) == 1


def test_unpublished_month_is_not_retried_and_others_are_listed(server, tmp_path):
    del server.files[f"/{PATH}"]
    for month in ("2019-01", "2019-02", "2019-03", "2020-12", "2021-01"):
        server.publish(f"green/green_tripdata_{month}.csv.gz", CONTENT)

    with pytest.raises(NotPublished, match=r"2019-01\.\.2019-03, 2020-12, 2021-01\.") as caught:
        fetch(raw_files(server.url, tmp_path))
    assert not caught.value.allow_retries
    assert [path for path, _ in server.requests].count(f"/{PATH}") == 2  # the download and the lookup


def test_error_reports_a_mirror_without_months(files, server):
    server.files.clear()

    with pytest.raises(NotPublished, match="has no green month"):
        fetch(files)


def test_lookup_of_months_ends_with_the_first_failure(files, server):
    server.files.clear()
    server.faults = [Fault(status=404), *[Fault(status=500)] * 200]

    with pytest.raises(NotPublished, match="has no green month"):
        fetch(files)
    assert len(server.requests) < 20


def test_months_of_the_public_mirror_are_known_without_requests():
    assert month_ranges(Mirror(base_url=PUBLIC_MIRROR).published(GREEN.colour)) == "2019-01..2021-07"


def test_unpublished_month_of_tlc_is_permanent_error(server, tmp_path):
    server.missing_status = 403
    files = raw_files("http://127.0.0.1:9", tmp_path, parquet_url=server.url)

    with pytest.raises(NotPublished, match=r"TLC has not published .*\n.*about two months after"):
        fetch(files, GREEN_LATE)


def test_months_are_looked_up_in_both_sources(server, mirror):
    server.missing_status = 403
    server.publish(GREEN_LATE.parquet_name, b"any content")
    (mirror.folder / "green").mkdir()
    (mirror.folder / "green" / GREEN.gz_name).write_bytes(b"any content")
    months = [GREEN, *map(TripMonth.from_key, ("green|2020-05", "green|2023-05", "green|2023-06"))]
    found = Mirror(base_url=mirror.url, parquet_url=server.url).are_published(months)

    assert list(found.items()) == list(zip(months, [True, False, True, False], strict=True))


def test_months_are_unknown_if_the_source_does_not_respond(server):
    server.publish(GREEN_LATE.parquet_name, b"any content")
    found = Mirror(base_url="http://127.0.0.1:9", parquet_url=server.url).are_published([GREEN, GREEN_LATE])

    assert list(found.values()) == [None, True]


def test_signed_url_behind_redirect_is_never_shown(files, server, tmp_path, caplog):
    server.redirect_query = SECRET
    caplog.set_level(logging.INFO)
    file, _ = fetch(files)

    assert file.url == f"{server.url}/{PATH}"
    assert file.etag != '"of the redirect"'
    assert fetch(files)[1]
    server.publish(PATH, OTHER)
    nowhere = Fault(status=302, headers={"Location": f"http://localhost:1/?{SECRET}"})
    for fault in (Fault(status=503), Fault(status=403), Fault(cut_after=10, etag='W/""'), nowhere):
        server.faults = [fault] * 10
        with pytest.raises(TaxiError) as caught:
            fetch(files)
        assert "top-secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None or "top-secret" not in repr(caught.value.__context__)
    assert "top-secret" not in caplog.text
    assert not any("top-secret" in path.read_text("latin-1") for path in tmp_path.rglob("*") if path.is_file())


def test_password_in_the_url_is_used_and_never_shown(server, tmp_path):
    files = raw_files(server.url.replace("http://", "http://me:pass-word@"), tmp_path)
    file, _ = fetch(files)

    assert server.headers_seen("Authorization")[0].startswith("Basic ")
    assert file.url == f"{server.url}/{PATH}"
    assert safe_url("https://me:pw@host:1/a?b=c#d") == "https://host:1/a"


@pytest.mark.parametrize("url", ["ftp://host/x", "/a/folder", "me:pass-word@host", "http://me:pass-word@[::1/x"])
def test_base_that_is_no_supported_url_is_bad_setting(tmp_path, url):
    with pytest.raises(BadSetting, match="TAXI_SOURCE_URL") as caught:
        fetch(raw_files(url, tmp_path))
    assert "pass-word" not in str(caught.value)


def test_folder_is_a_mirror(tmp_path):
    folder = tmp_path / "mirror with space"
    published = folder / PATH
    published.parent.mkdir(parents=True)
    published.write_bytes(CONTENT)
    files = raw_files(folder.as_uri(), tmp_path / "raw")

    assert content(files) == CONTENT
    assert fetch(files)[1]
    published.write_bytes(OTHER)
    assert content(files) == OTHER
    published.rename(published.with_name("green_tripdata_2020-03.csv.gz"))
    with pytest.raises(NotPublished, match="has these months: 2020-03"):
        fetch(files)


def test_settings_are_read_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TAXI_SOURCE_URL", server.url)
    mirror = Mirror()
    url = mirror.url(GREEN)
    monkeypatch.setenv("TAXI_SOURCE_URL", tmp_path.as_uri())

    assert url == mirror.url(GREEN) == f"{server.url}/{PATH}"


def test_months_are_formatted_as_ranges():
    assert month_ranges(["2021-01", "2020-12", "2020-03", "2020-04", "2020-05"]) == "2020-03..2020-05, 2020-12, 2021-01"
    assert month_ranges(["2019-11", "2019-12", "2020-01"]) == "2019-11..2020-01"
    assert month_ranges([]) == ""
