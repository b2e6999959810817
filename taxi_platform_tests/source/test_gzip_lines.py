import gzip

import pytest

from taxi_platform.errors import BadFile
from taxi_platform.source.gzip_lines import Gunzip, read_blocks
from taxi_platform_tests.support.sample_files import (
    GREEN,
    YELLOW,
    csv_of,
    header_of,
    rows_of,
    sample_csv,
    sample_gz,
)


def decompress(data: bytes) -> bytes:
    """Return the text of a gzip file."""
    gunzip = Gunzip(GREEN.gz_name)
    text = b"".join(gunzip.feed(data))
    gunzip.finish()
    return text


def error_of(data: bytes) -> BadFile:
    """Return the error of a file with this content."""
    with pytest.raises(BadFile) as caught:
        decompress(data)
    assert caught.value.filename == GREEN.gz_name
    assert "has published a corrected file" in caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("html_page.csv.gz", 'an HTML page: "Release Green NY Taxi data 2019-2021'),
        ("two_bytes.csv.gz", "not a gzip file but 2 bytes of white space"),
        ("first_100_lines_of_the_gzip.csv.gz", "the gzip data is truncated"),
    ],
)
def test_content_of_real_broken_file_is_described(real_files, name, message):
    assert message in str(error_of((real_files / "broken" / name).read_bytes()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\x1f", "the gzip data is truncated"),
        (b"\r\n", "2 bytes of white space"),
        (b"\n <!DOCTYPE html>\n<html><head><title>Not\n found</title>", 'an HTML page: "Not found"'),
        (b"<html><body><h1>Oh no</h1>", 'an HTML page: "Oh no"'),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "a Git LFS pointer file"),
        (b"PK\x03\x04abc", "a ZIP archive"),
        (b"\x00\x01\x02", "data that begins with the bytes 00 01 02"),
        (b"Not Found", 'text: "Not Found"'),
        (sample_csv(GREEN), "an uncompressed CSV"),
        (sample_gz(GREEN)[:-9], "truncated"),
        (sample_gz(GREEN)[:-1], "truncated"),
        (sample_gz(GREEN)[:-8] + b"\0\0\0\0" + sample_gz(GREEN)[-4:], "its CRC does not match"),
        (sample_gz(GREEN)[:-4] + b"\0\0\0\1", "its length does not match"),
        (sample_gz(GREEN) + b"more", "follows the end of the gzip data"),
        (sample_gz(GREEN)[:1000] + b"\xff" * 100 + sample_gz(GREEN)[1100:], "damaged"),
    ],
)
def test_invalid_gzip_file_is_described(data, message):
    assert message in str(error_of(data))


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("is_ended", [True, False])
def test_blocks_are_whole_lines_of_the_file_without_header(tmp_path, size, end, is_ended):
    rows = rows_of(YELLOW, 200)
    text = csv_of(header_of(YELLOW), rows, end)
    path = tmp_path / YELLOW.gz_name
    path.write_bytes(gzip.compress(text if is_ended else text.removesuffix(end.encode())))

    blocks = list(read_blocks(path, size))

    assert all(block.endswith(end.encode()) for block in blocks)
    assert b"".join(blocks) == text.split(b"\n", 1)[1]
    assert size == 1 << 20 or len(blocks) > 5


def test_file_with_only_a_header_has_no_blocks(tmp_path):
    for end in ("\r\n", ""):
        path = tmp_path / GREEN.gz_name
        path.write_bytes(gzip.compress(csv_of(header_of(GREEN), [], end)))

        assert list(read_blocks(path)) == []


def test_truncated_file_is_error_after_its_blocks(tmp_path):
    path = tmp_path / GREEN.gz_name
    path.write_bytes(sample_gz(GREEN)[:-20])

    with pytest.raises(BadFile, match="truncated"):
        list(read_blocks(path))


def test_gzip_bomb_is_decompressed_in_pieces():
    bomb = gzip.compress(b"0" * (64 << 20))
    gunzip = Gunzip("bomb")

    assert max(map(len, gunzip.feed(bomb))) <= 1 << 20
    assert gunzip.is_complete
