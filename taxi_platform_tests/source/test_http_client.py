import traceback

import pytest
import requests

from taxi_platform.errors import BadSetting, PermanentError
from taxi_platform.source.http_client import AttemptFailed, open_response, version_of
from taxi_platform_tests.source.downloads import PATH
from taxi_platform_tests.support.faulty_server import Fault

SECRET = "X-Signature=top-secret"


def error_of(url: str) -> Exception:
    failures = (PermanentError, AttemptFailed)
    with pytest.raises(failures) as caught, requests.Session() as session, open_response(session, url, {}, (5, 5)):
        pass
    return caught.value


@pytest.mark.parametrize(
    "location",
    [
        f"http://[::1/?{SECRET}",
        f"http://localhost:99999/?{SECRET}",
        f"http://localhost:port/?{SECRET}",
        f"ftp://localhost/?{SECRET}",
        f"http://localhost/\xff?{SECRET}",
        f"http://{'a' * 64}.org/?{SECRET}",
        f"http://.org/?{SECRET}",
        f"http://{'a' * 64}\xc3\xa4.org/?{SECRET}",
    ],
)
def test_redirect_to_invalid_url_is_permanent_error(server, location):
    server.faults = [Fault(status=302, headers={"Location": location})]
    error = error_of(f"{server.url}/{PATH}")

    assert isinstance(error, PermanentError)
    assert "redirects to an invalid URL" in str(error)
    assert "top-secret" not in "".join(traceback.format_exception(error))
    assert error.__context__ is None


def test_endless_redirect_is_permanent_error(server):
    server.faults = [Fault(status=302, headers={"Location": f"/{PATH}?{SECRET}"})] * 40
    error = error_of(f"{server.url}/{PATH}")

    assert isinstance(error, PermanentError)
    assert "redirects without end" in str(error)
    assert "top-secret" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("url", ["http://host:port/", "http:///path", f"http://{'a' * 64}.org/"])
def test_invalid_url_is_bad_setting(url):
    error = error_of(url)

    assert isinstance(error, BadSetting)
    assert "TAXI_SOURCE_URL" in str(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        (" 3 ", 3),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("", None),
        ("\xb2", None),
        ("soon", None),
        ("-1", None),
        ("9" * 5000, None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_parsed_or_ignored(server, value, seconds):
    server.faults = [Fault(status=503, headers={"Retry-After": value})]
    error = error_of(f"{server.url}/{PATH}")

    assert isinstance(error, AttemptFailed)
    assert error.retry_after == seconds


@pytest.mark.parametrize("length", ["\xb2", "9" * 5000, "-1", "many"])
def test_invalid_content_length_is_unknown_length(server, length):
    server.faults = [Fault(status=200, headers={"Content-Length": length}, cut_after=0)]
    with requests.Session() as session, open_response(session, f"{server.url}/{PATH}", {}, (5, 5)) as response:
        assert version_of(response).size is None
