"""TLC's Parquet files, with the schemas that they had over the years, become the CSVs that the mirror would publish."""

import gzip
import io
import logging
from pathlib import Path

import pyarrow as pa
import pytest

from taxi_platform.errors import BadFile, NotPublished
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.mirror import Mirror
from taxi_platform.source.parquet import write_csv
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.faulty_server import Fault, FaultyServer
from taxi_platform_tests.support.parquet_files import (
    GREEN_LATE,
    YELLOW_LATE,
    csv_lines,
    parquet_bytes,
    table_of,
    with_types,
)
from taxi_platform_tests.support.sample_files import with_column

LOG = logging.getLogger("test_parquet")

SCHEMAS = {
    "2023": {},
    "whole numbers": {"whole": pa.int64()},
    "small whole numbers": {"whole": pa.int32(), "number": pa.float32(), "text": pa.large_string()},
    "times in ns": {"time": pa.timestamp("ns")},
    "times in ms": {"time": pa.timestamp("ms"), "text": pa.dictionary(pa.int32(), pa.string())},
    "decimals": {"number": pa.decimal128(12, 2), "whole": pa.decimal128(6, 1)},
    "codes as text": {"VendorID": pa.int64(), "store_and_fwd_flag": pa.large_string()},
}


def written(month: TripMonth, table: pa.Table, folder: Path) -> tuple[list[str], tuple[str, ...], bytes]:
    """The lines of the CSV, the columns left out, and the gzip file."""
    path = folder / month.parquet_name
    path.write_bytes(parquet_bytes(table))
    target = io.BytesIO()
    done = write_csv(path, month, target)
    text = gzip.decompress(target.getvalue()).decode()
    assert text.endswith("\r\n")
    assert done.checked.rows == text.count("\n") - 1
    return text.split("\r\n")[:-1], done.left_out, target.getvalue()


@pytest.mark.parametrize("month", [GREEN_LATE, YELLOW_LATE], ids=str)
@pytest.mark.parametrize("types", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_every_schema_becomes_the_same_lines(month, types, tmp_path):
    lines, left_out, _ = written(month, with_types(table_of(month), types), tmp_path)

    assert lines == csv_lines(month)
    assert left_out == ()


@pytest.mark.parametrize("empty", [pa.null(), pa.int32(), pa.float64(), pa.string()], ids=str)
def test_an_empty_column_stays_empty_whatever_its_type(empty, tmp_path):
    table = table_of(GREEN_LATE)
    place = table.schema.get_field_index("ehail_fee")
    table = table.set_column(place, "ehail_fee", pa.nulls(len(table), empty))
    lines, _, _ = written(GREEN_LATE, table, tmp_path)

    assert {line.split(",")[place] for line in lines[1:]} == {""}


def test_the_same_rows_are_the_same_bytes(tmp_path):
    one = written(GREEN_LATE, table_of(GREEN_LATE), tmp_path)[2]
    other = written(GREEN_LATE, with_types(table_of(GREEN_LATE), SCHEMAS["whole numbers"]), tmp_path)[2]

    assert one == other


def test_columns_without_a_place_are_left_out_and_others_may_come_in_any_order_and_case(tmp_path):
    table = table_of(YELLOW_LATE)
    fees = pa.array([1.25] * len(table))
    shuffled = table.select(table.column_names[::-1]).rename_columns([n.upper() for n in table.column_names[::-1]])
    for name in ("airport_fee", "cbd_congestion_fee"):
        shuffled = shuffled.append_column(name, fees)
    lines, left_out, _ = written(YELLOW_LATE, shuffled, tmp_path)

    assert lines == csv_lines(YELLOW_LATE)
    assert left_out == ("airport_fee", "cbd_congestion_fee")


@pytest.mark.parametrize("name", ["airport_fee", "Airport_fee"])
def test_optional_column_is_written_after_the_required_ones(name, tmp_path):
    month = with_column(YELLOW_LATE, "airport_fee", since="2021-08")
    table = table_of(YELLOW_LATE).add_column(0, name, pa.array([1.25, None] * 30))
    lines, left_out, _ = written(month, table, tmp_path)

    ends = [",airport_fee", *[",1.25", ","] * 30]
    assert lines == [line + end for line, end in zip(csv_lines(YELLOW_LATE), ends, strict=True)]
    assert left_out == ()


def test_absent_optional_column_is_not_written(tmp_path):
    month = with_column(YELLOW_LATE, "airport_fee", since="2021-08")

    assert written(month, table_of(YELLOW_LATE), tmp_path)[0] == csv_lines(YELLOW_LATE)


def test_column_in_two_spellings_is_refused(tmp_path):
    table = table_of(YELLOW_LATE).append_column("EXTRA", pa.array([1.25] * 60))

    with pytest.raises(BadFile, match="extra more than once"):
        written(YELLOW_LATE, table, tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3"), (0.86, "0.86"), (-0.0, "0"), (-2.5, "-2.5"), (float("nan"), ""), (None, ""), (123456789.0, None)],
)
def test_numbers_keep_their_value_in_the_shortest_form(value, text, tmp_path):
    table = table_of(GREEN_LATE)
    place = table.schema.get_field_index("fare_amount")
    table = table.set_column(place, "fare_amount", pa.array([value] * len(table), pa.float64()))
    found = {line.split(",")[place] for line in written(GREEN_LATE, table, tmp_path)[0][1:]}

    assert found == {text} if text is not None else {float(each) for each in found} == {value}


@pytest.mark.parametrize(("unit", "at", "text"), [
    ("ns", 1_684_108_801_999_999_999, "2023-05-15 00:00:01"),
    ("us", 1_684_108_801_500_000, "2023-05-15 00:00:01"),
    ("ms", -1, "1969-12-31 23:59:59"),
    ("us", None, ""),
])  # fmt: skip
def test_times_lose_their_fractions_and_are_not_rounded_up(unit, at, text, tmp_path):
    table = table_of(GREEN_LATE)
    times = pa.array([at] * len(table), pa.timestamp(unit))
    table = table.set_column(1, "lpep_pickup_datetime", times)

    assert {line.split(",")[1] for line in written(GREEN_LATE, table, tmp_path)[0][1:]} == {text}


def _with(name: str, values: pa.Array) -> pa.Table:
    table = table_of(GREEN_LATE)
    return table.set_column(table.schema.get_field_index(name), name, values)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (table_of(GREEN_LATE).drop_columns(["fare_amount", "extra"]), "lacks fare_amount, extra"),
        (_with("passenger_count", pa.array([1.5] * 60)), r"line 2, column passenger_count: '1\.5' where an integer"),
        (_with("lpep_pickup_datetime", pa.array([0] * 60, pa.timestamp("us", "UTC"))), "time zone UTC"),
        (_with("lpep_pickup_datetime", pa.array(["05/01/2023 00:00"] * 60)), "where a time in the form"),
        (_with("fare_amount", pa.array([float("inf")] * 60)), "'inf' where a number belongs"),
    ],
)
def test_what_does_not_belong_there_is_refused(table, says, tmp_path):
    with pytest.raises(BadFile, match=says):
        written(GREEN_LATE, table, tmp_path)


def test_a_damaged_file_is_refused(tmp_path):
    content = bytearray(parquet_bytes(table_of(GREEN_LATE)))
    content[len(content) // 4 : -8] = bytes(len(content) - 8 - len(content) // 4)
    path = tmp_path / "damaged.parquet"
    path.write_bytes(content)

    with pytest.raises(BadFile, match="cannot be read"):
        write_csv(path, GREEN_LATE, io.BytesIO())


@pytest.fixture
def server():
    with FaultyServer().running() as server:
        server.publish(GREEN_LATE.parquet_name, parquet_bytes(table_of(GREEN_LATE, 3000)))
        server.missing_status = 403
        yield server


@pytest.fixture
def files(server, tmp_path):
    mirror = Mirror(base_url="http://127.0.0.1:9", parquet_url=server.url, attempts=3, first_wait=0.001)
    return RawFiles(mirror=mirror, folder=str(tmp_path))


def bring(files: RawFiles, month: TripMonth = GREEN_LATE, refresh: bool = False) -> tuple[RawFile, bool]:
    return files.bring(month, LOG, refresh=refresh)


def test_a_month_after_the_mirror_s_end_comes_from_tlc_and_stays_while_that_is_unchanged(files, server, tmp_path):
    file, reused = bring(files)

    assert not reused
    assert gzip.decompress(file.path.read_bytes()).decode().split("\r\n")[:-1] == csv_lines(GREEN_LATE, 3000)
    assert (file.rows, file.url) == (3000, f"{server.url}/{GREEN_LATE.parquet_name}")
    assert bring(files) == (file, True)
    assert bring(files, refresh=True) == (file, False)
    left = {path.name for path in tmp_path.rglob("*") if path.is_file() and not path.name.endswith(".lock")}
    assert left == {GREEN_LATE.gz_name, f"{GREEN_LATE.gz_name}.json"}


def test_a_new_version_at_tlc_is_fetched(files, server):
    bring(files)
    server.publish(GREEN_LATE.parquet_name, parquet_bytes(table_of(GREEN_LATE, 3001)))
    file, reused = bring(files)

    assert (file.rows, reused) == (3001, False)


def test_a_cut_download_goes_on(files, server):
    server.faults = [Fault(cut_after=20_000)]

    assert bring(files)[0].rows == 3000
    assert server.headers_seen("Range") == [None, "bytes=20000-"]


def test_columns_left_out_are_remembered_with_the_file(files, server):
    fees = pa.array([1.25] * 60)
    server.publish(GREEN_LATE.parquet_name, parquet_bytes(table_of(GREEN_LATE).append_column("Airport_fee", fees)))

    assert bring(files)[0].extra_columns == ("Airport_fee",)
    assert bring(files)[0].extra_columns == ("Airport_fee",)


def test_file_is_fetched_again_for_a_column_added_to_the_registry(files, server):
    fees = pa.array([1.25] * 60)
    server.publish(GREEN_LATE.parquet_name, parquet_bytes(table_of(GREEN_LATE).append_column("Airport_fee", fees)))
    bring(files)
    month = with_column(GREEN_LATE, "airport_fee", since="2023-05")
    file, reused = bring(files, month)

    assert (reused, file.header[-1], file.extra_columns) == (False, "airport_fee", ())
    assert bring(files, month) == (file, True)


def test_a_month_that_tlc_has_not_published_yet_is_said_to_be_so(files):
    with pytest.raises(NotPublished, match="until it is published"):
        bring(files, TripMonth.from_key("green|2023-06"))


def test_a_page_in_place_of_a_file_is_refused(files, server):
    server.publish(GREEN_LATE.parquet_name, b"<html><title>Sorry</title></html>")
    with pytest.raises(BadFile, match=r"not a Parquet file but an HTML page: 'Sorry'"):
        bring(files)


def test_what_is_published_is_asked_of_both_sources(server, mirror):
    old = TripMonth.from_key("green|2020-04")
    (mirror.folder / "green").mkdir()
    (mirror.folder / "green" / old.gz_name).write_bytes(b"anything")
    months = [old, *map(TripMonth.from_key, ("green|2020-05", "green|2023-05", "green|2023-06"))]
    found = Mirror(base_url=mirror.url, parquet_url=server.url).look_for(months)

    assert list(found.items()) == list(zip(months, [True, False, True, False], strict=True))


def test_a_source_that_is_down_does_not_say_what_is_published(server):
    months = [TripMonth.from_key("green|2020-04"), GREEN_LATE]
    found = Mirror(base_url="http://127.0.0.1:9", parquet_url=server.url).look_for(months)

    assert list(found.values()) == [None, True]
