import gzip
import random
import re
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from taxi_platform.errors import BadFile
from taxi_platform.source.csv_validation import CsvValidator, Header, ValidCsv
from taxi_platform.source.gzip_lines import read_blocks
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.sample_files import (
    GREEN,
    YELLOW,
    csv_of,
    header_of,
    rows_of,
    sample_csv,
    with_column,
)


def validate(data: bytes, month: TripMonth = GREEN, step: int = 1 << 18) -> ValidCsv:
    validator = CsvValidator(month)
    for start in range(0, len(data), step):
        validator.feed(data[start : start + step])
    return validator.finish()


def validate_csv(text: bytes, month: TripMonth = GREEN) -> ValidCsv:
    return validate(gzip.compress(text), month)


def error_of(data: bytes, month: TripMonth = GREEN) -> BadFile:
    with pytest.raises(BadFile) as caught:
        validate(data, month)
    assert month.gz_name in str(caught.value)
    assert not caught.value.allow_retries
    return caught.value


def error_of_csv(text: bytes, month: TripMonth = GREEN) -> BadFile:
    return error_of(gzip.compress(text), month)


def with_field(name: str, value: str, row: int = 7) -> bytes:
    """A green file in which one row has this value; the row is on line `row + 2`."""
    rows = rows_of(GREEN, 20)
    rows[row][header_of(GREEN).index(name)] = value
    return csv_of(header_of(GREEN), rows)


@pytest.mark.parametrize("month", [GREEN, YELLOW])
@pytest.mark.parametrize("step", [1, 100, 1 << 18])
def test_valid_file_passes_in_pieces_of_any_size(month, step):
    text = sample_csv(month, 30)
    data = gzip.compress(text)

    facts = validate(data, month, step)

    assert (facts.rows, facts.size, facts.uncompressed_size) == (30, len(data), len(text))
    assert list(facts.header) == header_of(month)


def test_every_published_file_passes(real_files):
    counts = {}
    for path in sorted(real_files.glob("[gy]*/*.csv.gz")):
        colour, _, rest = path.name.partition("_")
        month = TripMonth.from_key(f"{colour}|{rest.removeprefix('tripdata_')[:7]}")
        counts[month.key] = validate(path.read_bytes(), month).rows

    assert counts["green|2020-04"] == 35_612
    assert counts["yellow|2021-01"] == 22_792


def test_gzip_members_are_one_file():
    text = sample_csv(GREEN, 30)

    assert validate(gzip.compress(text[:1234]) + gzip.compress(text[1234:])).rows == 30


def test_file_with_only_a_header_has_no_rows():
    for end in ("\r\n", "\n", ""):
        assert validate_csv(csv_of(header_of(GREEN), [], end)).rows == 0


def test_last_line_may_lack_its_line_end():
    text = sample_csv(GREEN, 30)

    assert validate_csv(text.removesuffix(b"\r\n")).rows == 30


def test_line_ends_may_be_lf():
    assert validate_csv(csv_of(header_of(GREEN), rows_of(GREEN, 9), "\n")).rows == 9


def test_columns_may_have_another_order_and_case():
    header, rows = header_of(GREEN), rows_of(GREEN, 9)
    turned = csv_of([name.upper() for name in header[::-1]], [row[::-1] for row in rows])

    assert validate_csv(turned).header == tuple(name.upper() for name in header[::-1])


@pytest.mark.parametrize("since", ["2020-04", "2020-05"])
def test_file_may_have_or_lack_optional_column(since):
    month = with_column(GREEN, "airport_fee", since)
    header, rows = header_of(GREEN), rows_of(GREEN, 3)
    with_fee = csv_of(["Airport_Fee", *header], [["1.25", *row] for row in rows])

    assert validate_csv(csv_of(header, rows), month).rows == 3
    assert validate_csv(with_fee, month).header[0] == "Airport_Fee"
    error = error_of_csv(with_fee.replace(b"1.25", b"high"), month)
    assert (error.line, error.column) == (2, "Airport_Fee")


def test_unknown_column_may_hold_any_text_without_quotes():
    header, rows = header_of(GREEN), rows_of(GREEN, 3)

    assert validate_csv(csv_of(["new", *header], [["ä 1.0 \t", *row] for row in rows])).rows == 3
    error = error_of_csv(csv_of(["new", *header], [['say "x"', *row] for row in rows]))
    assert (error.line, error.column) == (2, "new")


def test_byte_order_mark_is_skipped():
    assert validate_csv(b"\xef\xbb\xbf" + sample_csv(GREEN)).header[0] == "VendorID"


def test_missing_column_is_named():
    header, rows = header_of(GREEN), rows_of(GREEN, 3)
    error = error_of_csv(csv_of(header[:-1], [row[:-1] for row in rows]))

    assert (error.line, error.column) == (1, "congestion_surcharge")


def test_file_without_text_has_no_header():
    assert "no header" in str(error_of(gzip.compress(b"")))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ([*header_of(GREEN), "vendorid"], "vendorid more than once"),
        ([*header_of(GREEN), ""], "column 21 of the header has no name"),
        ([*header_of(GREEN), *map(str, range(200_000))], "200,020 columns, more than 1,000"),
        ([*header_of(GREEN), *["vendorid"] * 900], "vendorid more than once"),
        ([f'"{name}"' for name in header_of(GREEN)], "a quote"),
        (header_of(YELLOW), "lacks lpep_pickup_datetime, lpep_dropoff_datetime"),
        (["<html>"], '"<html>" is not the header of a green file'),
    ],
)
def test_invalid_header_is_error_in_line_1(header, message):
    error = error_of_csv(csv_of(header, []))

    assert message in str(error)
    assert error.line == 1


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("fare_amount", "abc", '"abc" is not a number'),
        ("fare_amount", "1.2.3", "a number"),
        ("fare_amount", "-", "a number"),
        ("fare_amount", ".", "a number"),
        ("fare_amount", " 1", "a number"),
        ("fare_amount", "NaN", "a number"),
        ("passenger_count", "1.0", '"1.0" is not an integer'),
        ("trip_type", "1.0", "an integer"),
        ("lpep_pickup_datetime", "03/04/2021 0:30", "YYYY-MM-DD HH:MM:SS"),
        ("lpep_pickup_datetime", "2020-04-01T00:30:00", "YYYY-MM-DD HH:MM:SS"),
        ("lpep_pickup_datetime", "2020-04-01 00:30:00 UTC", "YYYY-MM-DD HH:MM:SS"),
        ("lpep_dropoff_datetime", "2020-04-01", "YYYY-MM-DD HH:MM:SS"),
        ("lpep_dropoff_datetime", "2020-04-01 1:30:00", "YYYY-MM-DD HH:MM:SS"),
        ("lpep_pickup_datetime", "2020-03-31 24:00:00", '"2020-03-31 24:00:00" is not a time of day'),
        ("lpep_dropoff_datetime", "2020-03-31 23:59:60", "not a time of day"),
        ("store_and_fwd_flag", '"N"', "a quote"),
        ("store_and_fwd_flag", "N\0", "a NUL byte"),
        ("store_and_fwd_flag", "N\r", "a carriage return"),
    ],
)
def test_invalid_value_is_error_with_line_and_column(column, value, message):
    error = error_of_csv(with_field(column, value))

    assert message in str(error)
    assert (error.line, error.column) == (9, column)


def test_invalid_utf8_is_error_with_line_and_column():
    error = error_of_csv(with_field("store_and_fwd_flag", "ä").replace("ä".encode(), b"\xe4"))

    assert "not UTF-8" in str(error)
    assert (error.line, error.column) == (9, "store_and_fwd_flag")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"1,2,3\r\n", "the line has 3 fields, the header has 20"),
        (b"," * 20 + b"\r\n", "the line has 21 fields"),
        (b"," * 19 + b"\n", "ends with LF, the header with CRLF"),
        (b"\r\n", "the line is empty"),
        (b"\n", "the line is empty"),
    ],
)
def test_invalid_line_is_error_with_line(bad, message):
    lines = sample_csv(GREEN, 20).splitlines(keepends=True)
    error = error_of_csv(b"".join([*lines[:5], bad, *lines[5:]]))

    assert message in str(error)
    assert (error.line, error.column) == (6, None)


def test_line_number_counts_from_start_of_file():
    rows = rows_of(GREEN, 40) * 1500
    rows[50_000] = ["x"]

    assert error_of_csv(csv_of(header_of(GREEN), rows)).line == 50_002


def test_endless_line_is_refused_before_it_fills_memory():
    assert "longer than" in str(error_of_csv(sample_csv(GREEN, 5) + b"1" * (4 << 20)))


def test_very_long_invalid_value_is_error_at_once():
    error = error_of_csv(with_field("fare_amount", "1" * 500_000 + "x"))

    assert (error.line, error.column) == (9, "fare_amount")
    assert len(str(error)) < 500


@pytest.mark.parametrize("month", [GREEN, YELLOW])
def test_shapes_reject_every_byte_that_the_pattern_rejects(month):
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
            validate(zlib.compress(header + b"\n" + broken, level=0, wbits=31), month)
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


def test_memory_is_constant_for_larger_files(tmp_path):
    small, large = (_write_big(tmp_path / f"{repeats}.gz", repeats) for repeats in (100, 1000))
    for work in (_check_path, _read_path):
        growth = _peak(work, large) - _peak(work, small)

        assert growth < 2 << 20, f"{growth:,} bytes more for a file ten times as large"


def test_memory_is_constant_for_various_lines(tmp_path):
    """Lines that all have a shape of their own, more of them than are remembered."""
    row = rows_of(GREEN, 1)[0]
    names = (f"{number:015b}".translate({48: "a", 49: "b"}) + "c" * 900 for number in range(1 << 15))
    path = tmp_path / "various.gz"
    path.write_bytes(gzip.compress(csv_of([*header_of(GREEN), "note"], [[*row, name] for name in names]), 1))
    validator = CsvValidator(GREEN)

    assert _peak(_check_path, path, validator) < 20 << 20
    assert validator.finish().rows == 1 << 15


def _write_big(path: Path, repeats: int) -> Path:
    """A yellow file with 500 rows so many times."""
    rows = csv_of([], rows_of(YELLOW, 500)).removeprefix(b"\r\n")
    with gzip.GzipFile(path, "wb", compresslevel=1) as file:
        file.write(csv_of(header_of(YELLOW), []))
        for _ in range(repeats):
            file.write(rows)
    return path


def _check_path(path: Path, validator: CsvValidator | None = None) -> None:
    validator = validator or CsvValidator(YELLOW)
    with path.open("rb") as file:
        while data := file.read(1 << 18):
            validator.feed(data)
    assert validator.finish().rows


def _read_path(path: Path) -> None:
    assert sum(map(len, read_blocks(path)))


def _peak(work: Callable[..., None], *arguments: object) -> int:
    tracemalloc.start()
    try:
        work(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
