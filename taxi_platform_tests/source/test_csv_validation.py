import gzip
import random
import re
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from taxi_platform.errors import BadFile
from taxi_platform.source.csv_validation import Checked, FileCheck, Header
from taxi_platform.source.gzip_lines import Gunzip, read_blocks
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.sample_files import (
    GREEN,
    YELLOW,
    csv_of,
    header_of,
    real_files,
    rows_of,
    sample_csv,
    sample_gz,
    with_column,
)


def check(data: bytes, month: TripMonth = GREEN, step: int = 1 << 18) -> Checked:
    file_check = FileCheck(month)
    for start in range(0, len(data), step):
        file_check.feed(data[start : start + step])
    return file_check.finish()


def check_csv(text: bytes, month: TripMonth = GREEN) -> Checked:
    return check(gzip.compress(text), month)


def refused(data: bytes, month: TripMonth = GREEN) -> BadFile:
    with pytest.raises(BadFile) as caught:
        check(data, month)
    assert month.gz_name in str(caught.value)
    assert "rerun does not help" in caught.value.remedy
    assert not caught.value.allow_retries
    return caught.value


def refused_csv(text: bytes, month: TripMonth = GREEN) -> BadFile:
    return refused(gzip.compress(text), month)


def with_field(name: str, value: str, row: int = 7) -> bytes:
    """A green file in which one row has this value; the row stands in line `row + 2`."""
    rows = rows_of(GREEN, 20)
    rows[row][header_of(GREEN).index(name)] = value
    return csv_of(header_of(GREEN), rows)


@pytest.mark.parametrize("month", [GREEN, YELLOW])
@pytest.mark.parametrize("step", [1, 100, 1 << 18])
def test_a_good_file_passes_whatever_the_pieces_it_comes_in(month, step):
    text = sample_csv(month, 30)
    data = gzip.compress(text)

    checked = check(data, month, step)

    assert (checked.rows, checked.size, checked.uncompressed_size) == (30, len(data), len(text))
    assert list(checked.header) == header_of(month)


def test_every_real_file_passes():
    counts = {}
    for path in sorted(real_files().glob("[gy]*/*.csv.gz")):
        colour, _, rest = path.name.partition("_")
        month = TripMonth.from_key(f"{colour}|{rest.removeprefix('tripdata_')[:7]}")
        counts[month.key] = check(path.read_bytes(), month).rows

    assert counts["green|2020-04"] == 35_612
    assert counts["yellow|2021-01"] == 22_792


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("html_page.csv.gz", "an HTML page: 'Release Green NY Taxi data 2019-2021"),
        ("two_bytes.csv.gz", "not a gzip file but 2 bytes of white space"),
        ("first_100_lines_of_the_gzip.csv.gz", "the gzip data is cut"),
    ],
)
def test_real_broken_files_are_named_for_what_they_are(name, said):
    assert said in str(refused((real_files() / "broken" / name).read_bytes()))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b"\x1f", "the gzip data is cut"),
        (b"\r\n", "2 bytes of white space"),
        (b"\n <!DOCTYPE html>\n<html><head><title>Not\n found</title>", "an HTML page: 'Not found'"),
        (b"<html><body><h1>Oh no</h1>", "an HTML page: 'Oh no'"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "a Git LFS pointer file"),
        (b"PK\x03\x04abc", "a ZIP archive"),
        (b"\x00\x01\x02", "it begins with the bytes 00 01 02"),
        (b"Not Found", "text: 'Not Found'"),
        (sample_csv(GREEN), "an uncompressed CSV"),
        (gzip.compress(b"", mtime=0), "no header"),
        (sample_gz(GREEN)[:-9], "cut"),
        (sample_gz(GREEN)[:-1], "cut"),
        (sample_gz(GREEN)[:-8] + b"\0\0\0\0" + sample_gz(GREEN)[-4:], "the CRC at its end is another"),
        (sample_gz(GREEN)[:-4] + b"\0\0\0\1", "the length at its end is another"),
        (sample_gz(GREEN) + b"more", "follows the end of the gzip data"),
        (sample_gz(GREEN)[:1000] + b"\xff" * 100 + sample_gz(GREEN)[1100:], "damaged"),
    ],
)
def test_what_is_no_sound_gzip_file_is_named_for_what_it_is(data, said):
    assert said in str(refused(data))


def test_several_gzip_members_are_one_file():
    text = sample_csv(GREEN, 30)

    assert check(gzip.compress(text[:1234]) + gzip.compress(text[1234:])).rows == 30


def test_a_header_alone_is_a_month_without_rows():
    for end in ("\r\n", "\n", ""):
        assert check_csv(csv_of(header_of(GREEN), [], end)).rows == 0


def test_a_missing_final_line_end_is_no_fault():
    text = sample_csv(GREEN, 30)

    assert check_csv(text.removesuffix(b"\r\n")).rows == 30


def test_line_ends_may_be_bare_throughout():
    assert check_csv(csv_of(header_of(GREEN), rows_of(GREEN, 9), "\n")).rows == 9


def test_columns_may_stand_in_another_order_and_another_case():
    header, rows = header_of(GREEN), rows_of(GREEN, 9)
    turned = csv_of([name.upper() for name in header[::-1]], [row[::-1] for row in rows])

    assert check_csv(turned).header == tuple(name.upper() for name in header[::-1])


@pytest.mark.parametrize("since", ["2020-04", "2020-05"])
def test_file_may_have_or_lack_optional_column(since):
    month = with_column(GREEN, "airport_fee", since)
    header, rows = header_of(GREEN), rows_of(GREEN, 3)
    with_fee = csv_of(["Airport_Fee", *header], [["1.25", *row] for row in rows])

    assert check_csv(csv_of(header, rows), month).rows == 3
    assert check_csv(with_fee, month).header[0] == "Airport_Fee"
    error = refused_csv(with_fee.replace(b"1.25", b"high"), month)
    assert (error.line, error.column) == (2, "Airport_Fee")


def test_an_unknown_column_may_hold_any_text_but_a_quote():
    header, rows = header_of(GREEN), rows_of(GREEN, 3)

    assert check_csv(csv_of(["new", *header], [["ä 1.0 \t", *row] for row in rows])).rows == 3
    error = refused_csv(csv_of(["new", *header], [['say "x"', *row] for row in rows]))
    assert (error.line, error.column) == (2, "new")


def test_a_byte_order_mark_is_no_part_of_the_first_name():
    assert check_csv(b"\xef\xbb\xbf" + sample_csv(GREEN)).header[0] == "VendorID"


def test_a_missing_column_is_named():
    header, rows = header_of(GREEN), rows_of(GREEN, 3)
    error = refused_csv(csv_of(header[:-1], [row[:-1] for row in rows]))

    assert (error.line, error.column) == (1, "congestion_surcharge")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ([*header_of(GREEN), "vendorid"], "vendorid more than once"),
        ([*header_of(GREEN), ""], "column 21 has no name"),
        ([*header_of(GREEN), *map(str, range(200_000))], "200,020 columns, more than 1,000"),
        ([*header_of(GREEN), *["vendorid"] * 900], "vendorid more than once"),
        ([f'"{name}"' for name in header_of(GREEN)], "a quote"),
        (header_of(YELLOW), "lacks lpep_pickup_datetime, lpep_dropoff_datetime"),
        (["<html>"], "a green file's header belongs here"),
    ],
)
def test_a_header_of_no_use_is_refused_in_line_1(header, said):
    error = refused_csv(csv_of(header, []))

    assert said in str(error)
    assert error.line == 1


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("fare_amount", "abc", "'abc' where a number belongs"),
        ("fare_amount", "1.2.3", "a number"),
        ("fare_amount", "-", "a number"),
        ("fare_amount", ".", "a number"),
        ("fare_amount", " 1", "a number"),
        ("fare_amount", "NaN", "a number"),
        ("passenger_count", "1.0", "'1.0' where an integer belongs"),
        ("trip_type", "1.0", "an integer"),
        ("lpep_pickup_datetime", "03/04/2021 0:30", "YYYY-MM-DD HH:MM:SS"),
        ("lpep_pickup_datetime", "2020-04-01T00:30:00", "YYYY-MM-DD HH:MM:SS"),
        ("lpep_pickup_datetime", "2020-04-01 00:30:00 UTC", "YYYY-MM-DD HH:MM:SS"),
        ("lpep_dropoff_datetime", "2020-04-01", "YYYY-MM-DD HH:MM:SS"),
        ("lpep_dropoff_datetime", "2020-04-01 1:30:00", "YYYY-MM-DD HH:MM:SS"),
        ("lpep_pickup_datetime", "2020-03-31 24:00:00", "'2020-03-31 24:00:00' is no time of the day"),
        ("lpep_dropoff_datetime", "2020-03-31 23:59:60", "no time of the day"),
        ("store_and_fwd_flag", '"N"', "a quote"),
        ("store_and_fwd_flag", "N\0", "a NUL byte"),
        ("store_and_fwd_flag", "N\r", "a carriage return"),
    ],
)
def test_a_bad_value_is_named_with_its_line_and_column(column, value, said):
    error = refused_csv(with_field(column, value))

    assert said in str(error)
    assert (error.line, error.column) == (9, column)


def test_bytes_that_are_not_utf8_are_named_with_their_line_and_column():
    error = refused_csv(with_field("store_and_fwd_flag", "ä").replace("ä".encode(), b"\xe4"))

    assert "not UTF-8" in str(error)
    assert (error.line, error.column) == (9, "store_and_fwd_flag")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"1,2,3\r\n", "too few fields: 3 where the header has 20"),
        (b"," * 20 + b"\r\n", "too many fields: 21"),
        (b"," * 19 + b"\n", "ends in LF and the header in CRLF"),
        (b"\r\n", "an empty line"),
        (b"\n", "an empty line"),
    ],
)
def test_a_line_of_another_form_is_named(bad, said):
    lines = sample_csv(GREEN, 20).splitlines(keepends=True)
    error = refused_csv(b"".join([*lines[:5], bad, *lines[5:]]))

    assert said in str(error)
    assert (error.line, error.column) == (6, None)


def test_the_line_counts_from_the_file_s_beginning_and_not_a_block_s():
    rows = rows_of(GREEN, 40) * 1500
    rows[50_000] = ["x"]

    assert refused_csv(csv_of(header_of(GREEN), rows)).line == 50_002


def test_a_line_without_end_is_refused_before_it_fills_the_memory():
    assert "more than" in str(refused_csv(sample_csv(GREEN, 5) + b"1" * (4 << 20)))


def test_a_very_long_bad_value_is_refused_without_endless_search():
    error = refused_csv(with_field("fare_amount", "1" * 500_000 + "x"))

    assert (error.line, error.column) == (9, "fare_amount")
    assert len(str(error)) < 500


@pytest.mark.parametrize("month", [GREEN, YELLOW])
def test_no_single_wrong_byte_passes_that_matching_each_line_would_refuse(month):
    text = sample_csv(month, 40)
    header, lines = text.split(b"\n", 1)
    pattern = Header(month, header + b"\n").pattern
    chance = random.Random(20)
    odd = b',"\r\n\0 \t0.-eE:N\xff\xc3'
    outcomes = set()

    for _ in range(3000):
        place, byte = chance.randrange(len(lines)), chance.choice(odd)
        kind = chance.randrange(3)
        after = place + (kind != 0)
        broken = lines[:place] + (b"" if kind == 2 else bytes([byte])) + lines[after:]
        good = all(pattern.fullmatch(line) for line in re.split(rb"\n", broken.removesuffix(b"\n")))
        good = good and _is_utf8(broken)
        outcomes.add(good)
        try:
            check(zlib.compress(header + b"\n" + broken, level=0, wbits=31), month)
        except BadFile:
            assert not good, broken[max(place - 80, 0) : place + 80]
        else:
            # The last line's end may be missing, and is taken as if it were there.
            assert good or place >= len(lines) - 2, broken[max(place - 80, 0) : place + 80]

    assert outcomes == {True, False}


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("is_ended", [True, False])
def test_blocks_are_whole_lines_and_together_the_file_without_its_header(tmp_path, size, end, is_ended):
    rows = rows_of(YELLOW, 200)
    text = csv_of(header_of(YELLOW), rows, end)
    path = tmp_path / YELLOW.gz_name
    path.write_bytes(gzip.compress(text if is_ended else text.removesuffix(end.encode())))

    blocks = list(read_blocks(path, size))

    assert all(block.endswith(end.encode()) for block in blocks)
    assert b"".join(blocks) == text.split(b"\n", 1)[1]
    assert size == 1 << 20 or len(blocks) > 5


def test_a_file_of_a_header_alone_has_no_blocks(tmp_path):
    for end in ("\r\n", ""):
        path = tmp_path / GREEN.gz_name
        path.write_bytes(gzip.compress(csv_of(header_of(GREEN), [], end)))

        assert list(read_blocks(path)) == []


def test_blocks_of_a_cut_file_end_in_an_error(tmp_path):
    path = tmp_path / GREEN.gz_name
    path.write_bytes(sample_gz(GREEN)[:-20])

    with pytest.raises(BadFile, match="cut"):
        list(read_blocks(path))


def test_memory_does_not_grow_with_the_file(tmp_path):
    small, large = (_write_big(tmp_path / f"{repeats}.gz", repeats) for repeats in (100, 1000))
    for work in (_check_path, _read_path):
        growth = _peak(work, large) - _peak(work, small)

        assert growth < 2 << 20, f"{growth:,} bytes more for a file ten times as large"


def test_memory_does_not_grow_with_the_variety_of_lines(tmp_path):
    """Lines that all have a shape of their own, more of them than are remembered."""
    row = rows_of(GREEN, 1)[0]
    names = (f"{number:015b}".translate({48: "a", 49: "b"}) + "c" * 900 for number in range(1 << 15))
    path = tmp_path / "various.gz"
    path.write_bytes(gzip.compress(csv_of([*header_of(GREEN), "note"], [[*row, name] for name in names]), 1))
    file_check = FileCheck(GREEN)

    assert _peak(_check_path, path, file_check) < 20 << 20
    assert file_check.finish().rows == 1 << 15


def test_a_bomb_is_decompressed_in_small_pieces():
    bomb = gzip.compress(b"0" * (64 << 20))
    gunzip = Gunzip("bomb")

    assert max(map(len, gunzip.feed(bomb))) <= 1 << 20
    assert gunzip.is_complete


def _write_big(path: Path, repeats: int) -> Path:
    """A yellow file with 500 rows so many times."""
    rows = csv_of([], rows_of(YELLOW, 500)).removeprefix(b"\r\n")
    with gzip.GzipFile(path, "wb", compresslevel=1) as file:
        file.write(csv_of(header_of(YELLOW), []))
        for _ in range(repeats):
            file.write(rows)
    return path


def _check_path(path: Path, file_check: FileCheck | None = None) -> None:
    file_check = file_check or FileCheck(YELLOW)
    with path.open("rb") as file:
        while data := file.read(1 << 18):
            file_check.feed(data)
    assert file_check.finish().rows


def _read_path(path: Path) -> None:
    assert sum(map(len, read_blocks(path)))


def _peak(work: Callable[..., None], *arguments: object) -> int:
    tracemalloc.start()
    try:
        work(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
