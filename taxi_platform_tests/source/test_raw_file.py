import pytest

from taxi_platform.source.raw_file import Version


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
def test_version_is_compared_by_etag_date_then_length(now, known, is_still):
    assert now.is_still(known) is is_still
