import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from taxi_platform.errors import BadFile
from taxi_platform.source.parquet import write_csv
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.parquet_files import (
    GREEN_LATE,
    YELLOW_LATE,
    csv_lines,
    parquet_bytes,
    table_of,
    with_types,
)
from taxi_platform_tests.support.sample_files import with_column

SCHEMAS = {
    "2023": {},
    "whole numbers": {"whole": pa.int64()},
    "small whole numbers": {"whole": pa.int32(), "number": pa.float32(), "text": pa.large_string()},
    "times in ns": {"time": pa.timestamp("ns")},
    "times in ms": {"time": pa.timestamp("ms"), "text": pa.dictionary(pa.int32(), pa.string())},
    "decimals": {"number": pa.decimal128(12, 2), "whole": pa.decimal128(6, 1)},
    "codes as text": {"VendorID": pa.int64(), "store_and_fwd_flag": pa.large_string()},
}


def written(
    month: TripMonth, table: pa.Table, folder: Path, **options: Any
) -> tuple[list[str], tuple[str, ...], bytes]:
    """Return the lines of the CSV, the columns left out, and the gzip file."""
    path = folder / month.parquet_name
    path.write_bytes(parquet_bytes(table, **options))
    target = io.BytesIO()
    done = write_csv(path, month, target)
    text = gzip.decompress(target.getvalue()).decode()
    assert text.endswith("\r\n")
    assert done.facts.rows == text.count("\n") - 1
    return text.split("\r\n")[:-1], done.left_out, target.getvalue()


@pytest.mark.parametrize("month", [GREEN_LATE, YELLOW_LATE], ids=str)
@pytest.mark.parametrize("types", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_every_schema_gives_the_same_lines(month, types, tmp_path):
    lines, left_out, _ = written(month, with_types(table_of(month), types), tmp_path)

    assert lines == csv_lines(month)
    assert left_out == ()


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "none"])
@pytest.mark.parametrize("rows_in_a_group", [25, 1000])
@pytest.mark.parametrize("dictionary", [True, False])
def test_every_encoding_gives_the_same_lines(compression, rows_in_a_group, dictionary, tmp_path):
    options = {"compression": compression, "row_group_size": rows_in_a_group, "use_dictionary": dictionary}

    assert written(YELLOW_LATE, table_of(YELLOW_LATE), tmp_path, **options)[0] == csv_lines(YELLOW_LATE)


@pytest.mark.parametrize("empty", [pa.null(), pa.int32(), pa.float64(), pa.string()], ids=str)
def test_column_of_nulls_is_empty_for_any_type(empty, tmp_path):
    table = table_of(GREEN_LATE)
    place = table.schema.get_field_index("ehail_fee")
    table = table.set_column(place, "ehail_fee", pa.nulls(len(table), empty))
    lines, _, _ = written(GREEN_LATE, table, tmp_path)

    assert {line.split(",")[place] for line in lines[1:]} == {""}


def test_equal_rows_give_equal_bytes(tmp_path):
    one = written(GREEN_LATE, table_of(GREEN_LATE), tmp_path)[2]
    other = written(GREEN_LATE, with_types(table_of(GREEN_LATE), SCHEMAS["whole numbers"]), tmp_path)[2]

    assert one == other


def test_unknown_columns_are_left_out_in_any_order_and_case(tmp_path):
    table = table_of(YELLOW_LATE)
    fees = pa.array([1.25] * len(table))
    shuffled = table.select(table.column_names[::-1]).rename_columns([n.upper() for n in table.column_names[::-1]])
    for name in ("night_fee", "other_fee"):
        shuffled = shuffled.append_column(name, fees)
    lines, left_out, _ = written(YELLOW_LATE, shuffled, tmp_path)

    assert lines == csv_lines(YELLOW_LATE)
    assert left_out == ("night_fee", "other_fee")


@pytest.mark.parametrize("name", ["night_fee", "Night_fee"])
def test_optional_column_is_written_after_the_required_ones(name, tmp_path):
    month = with_column(YELLOW_LATE, "night_fee", since="2021-08")
    table = table_of(YELLOW_LATE).add_column(0, name, pa.array([1.25, None] * 30))
    lines, left_out, _ = written(month, table, tmp_path)

    ends = [",night_fee", *[",1.25", ","] * 30]
    assert lines == [line + end for line, end in zip(csv_lines(YELLOW_LATE), ends, strict=True)]
    assert left_out == ()


def test_absent_optional_column_is_not_written(tmp_path):
    month = with_column(YELLOW_LATE, "night_fee", since="2021-08")

    assert written(month, table_of(YELLOW_LATE), tmp_path)[0] == csv_lines(YELLOW_LATE)


def test_column_in_two_spellings_is_refused(tmp_path):
    table = table_of(YELLOW_LATE).append_column("EXTRA", pa.array([1.25] * 60))

    with pytest.raises(BadFile, match="extra more than once"):
        written(YELLOW_LATE, table, tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3"), (0.86, "0.86"), (-0.0, "0"), (-2.5, "-2.5"), (float("nan"), ""), (None, ""), (123456789.0, None)],
)
def test_numbers_are_written_in_shortest_form(value, text, tmp_path):
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
def test_times_are_truncated_to_seconds(unit, at, text, tmp_path):
    table = table_of(GREEN_LATE)
    times = pa.array([at] * len(table), pa.timestamp(unit))
    table = table.set_column(1, "lpep_pickup_datetime", times)

    assert {line.split(",")[1] for line in written(GREEN_LATE, table, tmp_path)[0][1:]} == {text}


def _with(name: str, values: pa.Array) -> pa.Table:
    table = table_of(GREEN_LATE)
    return table.set_column(table.schema.get_field_index(name), name, values)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (table_of(GREEN_LATE).drop_columns(["fare_amount", "extra"]), "lacks fare_amount, extra"),
        (_with("passenger_count", pa.array([1.5] * 60)), r'line 2, column passenger_count: "1\.5" is not an integer'),
        (_with("lpep_pickup_datetime", pa.array([0] * 60, pa.timestamp("us", "UTC"))), "time zone UTC"),
        (_with("lpep_pickup_datetime", pa.array(["05/01/2023 00:00"] * 60)), "is not a time in the form"),
        (_with("fare_amount", pa.array([float("inf")] * 60)), '"inf" is not a number'),
    ],
)
def test_invalid_file_is_error(table, message, tmp_path):
    with pytest.raises(BadFile, match=message):
        written(GREEN_LATE, table, tmp_path)


def test_damaged_file_is_error(tmp_path):
    content = bytearray(parquet_bytes(table_of(GREEN_LATE)))
    content[len(content) // 4 : -8] = bytes(len(content) - 8 - len(content) // 4)
    path = tmp_path / "damaged.parquet"
    path.write_bytes(content)

    with pytest.raises(BadFile, match="cannot be read"):
        write_csv(path, GREEN_LATE, io.BytesIO())
