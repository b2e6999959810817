"""Load records: their JSON form, and what follows from them."""

import json
from dataclasses import replace

import pytest

from taxi_platform.trips.columns import GREEN, Column, Kind
from taxi_platform.trips.load_record import (
    LoadRecord,
    Skipped,
    is_current,
    missing_columns,
    months_to_reload,
    rows_in_tables,
    skipped_for_another_version,
)
from taxi_platform.trips.partitions import TripMonth

MARCH, APRIL = TripMonth(GREEN, "2020-03"), TripMonth(GREEN, "2020-04")
COLUMNS = tuple(column.name for column in GREEN.columns)


def record(sha256: str = "a", rows: int = 10, skipped: dict[str, Skipped] | None = None) -> LoadRecord:
    return LoadRecord(sha256=sha256, rows=rows, out_of_month=0, columns=COLUMNS, skipped=skipped or {})


def test_json_form_keeps_every_field() -> None:
    full = replace(record(), skipped={"x.csv": Skipped(2, "b")}, content={"fare": "12.5"}, loaded_at="2020-05-01")
    assert LoadRecord.from_json(full.to_json()) == full
    assert set(json.loads(full.to_json())) == {
        *("version", "sha256", "rows", "out_of_month", "columns", "skipped", "content", "loaded_at")
    }


def test_field_of_a_newer_version_is_ignored() -> None:
    newer = json.loads(record().to_json()) | {"version": 9, "colour_of_the_sky": "blue"}
    assert LoadRecord.from_json(json.dumps(newer)) == replace(record(), version=9)


def test_record_of_release_0_1_is_read() -> None:
    old = {"sha256": "a", "rows": 10, "strays": 3, "kept_by": {"x.csv": 2}, "keepers": {"x.csv": "b"}, "loaded_at": "t"}
    read = LoadRecord.from_json(json.dumps(old))
    assert read is not None
    assert (read.version, read.out_of_month, read.skipped) == (1, 3, {"x.csv": Skipped(2, "b")})
    assert (read.rows_skipped, read.rows_in_table, read.columns) == (2, 8, ())


@pytest.mark.parametrize("text", [None, "", "loaded by hand", "{}", "[]", "null", '{"version": 2, "rows": 1}'])
def test_other_text_is_no_record(text: str | None) -> None:
    assert LoadRecord.from_json(text) is None


def test_month_is_current_until_its_file_changes() -> None:
    records = {APRIL.filename: record("a")}
    assert is_current(records, APRIL, "a")
    assert not is_current(records, APRIL, "b")
    assert not is_current({}, APRIL, "a")


@pytest.mark.parametrize("march", [None, "changed"])
def test_month_is_outdated_when_duplicates_file_changes(march: str | None) -> None:
    april = record(skipped={MARCH.filename: Skipped(1, "m")})
    assert is_current({APRIL.filename: april, MARCH.filename: record("m")}, APRIL, "a")
    assert not is_current({APRIL.filename: april, **({MARCH.filename: record(march)} if march else {})}, APRIL, "a")


def test_month_is_outdated_when_its_file_has_a_new_column() -> None:
    fee = Column("fee", Kind.NUMBER, "A fee.", since="2020-04")
    colour = replace(GREEN, columns=(*GREEN.columns, fee))
    march, april = TripMonth(colour, "2020-03"), TripMonth(colour, "2020-04")
    assert missing_columns(march, record()) == []
    assert missing_columns(april, record()) == [fee]
    assert months_to_reload({march: record(), april: record()}) == [april]
    assert is_current({april.filename: replace(record(), columns=(*COLUMNS, "Fee"))}, april, "a")


def test_other_version_of_a_file_names_files_to_reload() -> None:
    records = {APRIL.filename: record(skipped={MARCH.filename: Skipped(1, "m")}), MARCH.filename: record("m")}
    assert skipped_for_another_version(records, MARCH.filename, "m") == ()
    assert skipped_for_another_version(records, MARCH.filename, "n") == (APRIL.filename,)
    assert rows_in_tables(records.values()) == 19
