import csv
import gzip
import hashlib
import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from taxi_platform.demo.sample_trips import MONTHS, REPEATED_ROWS, ROWS, write_sample, write_samples
from taxi_platform.source.csv_validation import CsvValidator
from taxi_platform.trips.columns import COLOURS, Colour, Column, Kind
from taxi_platform.trips.partitions import TripMonth

each_colour = pytest.mark.parametrize("colour", COLOURS.values(), ids=lambda colour: colour.name)
Row = dict[str, str]


def read(path: Path) -> list[Row]:
    with gzip.open(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


def row_id(colour: Colour, row: Row) -> tuple[str, ...]:
    return tuple(row[column.name] for column in colour.row_id)


def without_sign_of_fare(row: tuple[str, ...]) -> tuple[str, ...]:
    return (*row[:5], row[5].removeprefix("-"), row[6])


def without_meter(rows: list[Row]) -> list[Row]:
    return [row for row in rows if not row["VendorID"]]


def test_layout_is_the_mirrors(tmp_path: Path) -> None:
    paths = write_samples(tmp_path)
    assert paths == [tmp_path / c / f"{c}_tripdata_{m}.csv.gz" for m in MONTHS for c in ("yellow", "green")]
    assert sorted(paths) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert {len(read(path)) for path in paths} == {ROWS}


def test_bytes_are_reproducible_and_equal_files_left_alone(tmp_path: Path) -> None:
    first = write_samples(tmp_path / "a", rows=200)
    second = write_samples(tmp_path / "b", rows=200)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in first]
    assert digests == [hashlib.sha256(path.read_bytes()).hexdigest() for path in second]
    assert len(set(digests)) == len(digests)

    before = [path.stat() for path in first]
    write_samples(tmp_path / "a", rows=200)
    assert [(was.st_ino, was.st_mtime_ns) for was in before] == [
        (now.st_ino, now.st_mtime_ns) for now in (path.stat() for path in first)
    ]


@each_colour
def test_fields_match_the_registry(colour: Colour, tmp_path: Path) -> None:
    path = write_sample(tmp_path, TripMonth(colour, "2020-04"))
    content = gzip.decompress(path.read_bytes()).decode()
    lines = content.split("\r\n")
    assert lines.pop() == ""
    assert "\n" not in "".join(lines)
    assert '"' not in content
    columns = TripMonth(colour, "2020-04").published_columns
    assert lines[0].split(",") == [column.name for column in columns]
    for row in read(path):
        for column in columns:
            assert re.fullmatch(column.kind.pattern, row[column.name]), (column.name, row)
            assert not re.search(r"\.0$", row[column.name]), (column.name, row)


@each_colour
def test_distances_and_money_have_published_form(colour: Colour, tmp_path: Path) -> None:
    rows = read(write_sample(tmp_path, TripMonth(colour, "2020-04")))
    assert all(re.fullmatch(r"(?:[1-9]\d*)?\.\d\d", row["trip_distance"]) for row in rows)
    assert any(row["trip_distance"].startswith(".") for row in rows)
    assert all(re.fullmatch(r"-?(?:0|[1-9]\d*)(?:\.\d?[1-9])?", row["fare_amount"]) for row in rows)
    for row in rows:
        parts = ("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge")
        congestion = float(row["congestion_surcharge"] or 0)
        total = sum(float(row[part]) for part in parts) + congestion
        if row["congestion_surcharge"]:
            assert float(row["total_amount"]) == pytest.approx(total), row


@each_colour
def test_trips_end_within_hours_of_their_start(colour: Colour, tmp_path: Path) -> None:
    pickup, dropoff = (column.name for column in (colour.pickup, colour.dropoff))
    for row in read(write_sample(tmp_path, TripMonth(colour, "2020-04"))):
        begun, ended = (datetime.fromisoformat(row[name]) for name in (pickup, dropoff))
        assert timedelta(0) < ended - begun < timedelta(hours=12), row


@each_colour
def test_last_block_has_empty_columns(colour: Colour, tmp_path: Path) -> None:
    rows = read(write_sample(tmp_path, TripMonth(colour, "2020-04")))
    block = without_meter(rows)
    assert rows[-len(block) :] == block
    empty = [column.name for column in colour.required_columns if not any(row[column.name] for row in block)]
    assert len(empty) == {"yellow": 5, "green": 7 + 1}[colour.name], empty
    share = len(block) / len(rows)
    assert share < 0.2 if colour.name == "yellow" else 0.21 <= share <= 0.48
    assert all(row[colour.pickup.name].endswith(":00") for row in block)
    if colour.name == "green":
        assert not any(row["ehail_fee"] for row in rows)


@each_colour
def test_rows_repeat_and_refunds_negate_the_fare(colour: Colour, tmp_path: Path) -> None:
    rows = read(write_sample(tmp_path, TripMonth(colour, "2020-04")))
    times = Counter(tuple(row.values()) for row in rows)
    assert sum(count - 1 for count in times.values()) == REPEATED_ROWS
    ids = {row_id(colour, row) for row in rows}
    refunds = [row_id(colour, row) for row in rows if row["fare_amount"].startswith("-")]
    assert refunds
    assert all(without_sign_of_fare(refund) in ids for refund in refunds)


@each_colour
def test_out_of_month_rows_are_shared_with_neighbours(colour: Colour, tmp_path: Path) -> None:
    """Rows are shared in both directions, so the month that is loaded second has duplicates."""
    months = [TripMonth(colour, month) for month in MONTHS]
    files = [read(write_sample(tmp_path, month)) for month in months]
    outside = [
        [row for row in rows if not row[colour.pickup.name].startswith(month.month)]
        for month, rows in zip(months, files, strict=True)
    ]
    assert any(row[colour.pickup.name].startswith(("2008", "2009", "2041")) for row in outside[0])
    for here, there in ((0, 1), (1, 0), (1, 2), (2, 1)):
        both = [row for row in outside[here] if row in files[there]]
        assert len(both) == 1, (months[here], months[there])
        assert both[0][colour.pickup.name].startswith(months[there].month)
    ids = [{row_id(colour, row) for row in rows} for rows in files]
    assert [len(ids[0] & ids[1]), len(ids[1] & ids[2]), len(ids[0] & ids[2])] == [2, 2, 0]


PURPLE = Colour(
    "purple",
    columns=(
        Column("flags", Kind.TEXT, "Text."),
        Column("request_datetime", Kind.TIME, "A time without a role."),
        Column("zone", Kind.CODE, "A code."),
        Column("pickup", Kind.TIME, "Start."),
        Column("fare_amount", Kind.NUMBER, "Fare."),
        Column("dropoff", Kind.TIME, "End."),
        Column("riders", Kind.INTEGER, "A number of people."),
        Column("access_fee", Kind.NUMBER, "Fee.", since="2020-05"),
    ),
    pickup=Column("pickup", Kind.TIME, "Start."),
    dropoff=Column("dropoff", Kind.TIME, "End."),
    row_id=(Column("pickup", Kind.TIME, "Start."), Column("fare_amount", Kind.NUMBER, "Fare.")),
    short_row_id=(Column("pickup", Kind.TIME, "Start."),),
)


def test_colour_with_unknown_columns_is_generated(tmp_path: Path) -> None:
    month = TripMonth(PURPLE, "2020-04")
    path = write_sample(tmp_path, month, rows=500)
    validator = CsvValidator(month)
    validator.feed(path.read_bytes())

    assert validator.finish().rows == 500
    rows = read(path)
    for column in PURPLE.required_columns:
        values = {row[column.name] for row in rows}
        assert len(values - {""}) > 1, column
        is_known = column in (PURPLE.pickup, PURPLE.dropoff) or column.name == "fare_amount"
        assert ("" in values) is not is_known, column
    assert any(row["pickup"].startswith("2020-04") for row in rows)
    shared = [row for row in read(write_sample(tmp_path, TripMonth(PURPLE, "2020-03"), rows=500)) if row in rows]
    assert len(shared) == 2


@pytest.mark.parametrize(
    ("month", "optional", "has_fee"),
    [
        ("2020-04", None, False),
        ("2020-05", None, True),
        ("2020-04", True, True),
        ("2020-05", False, False),
    ],
)
def test_optional_columns_are_generated_by_month_or_choice(
    tmp_path: Path, month: str, optional: bool | None, has_fee: bool
) -> None:
    rows = read(write_sample(tmp_path, TripMonth(PURPLE, month), rows=100, optional=optional))

    assert ("access_fee" in rows[0]) is has_fee
    if has_fee:
        assert len({row["access_fee"] for row in rows}) > 1
