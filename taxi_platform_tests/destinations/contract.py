"""Tests of the guarantees, which each destination inherits and runs on its real server.

They use fixtures of the destination's folder: `write` writes a month's published file, `load` loads it as the assets
do, `query` reads the table or deletes rows of it by hand.
"""

from collections.abc import Callable
from typing import ClassVar

import pytest

from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.load_record import MergeResult
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.trip_files import trip

Query = Callable[..., list[tuple]]
Load = Callable[[RawFile], MergeResult]
Write = Callable[..., RawFile]

MARCH = TripMonth.from_key("green|2020-03")
APRIL = TripMonth.from_key("green|2020-04")
MAY = TripMonth.from_key("green|2020-05")
YELLOW_APRIL = TripMonth.from_key("yellow|2020-04")


class Guarantees:
    """The guarantees of docs/architecture.md; `table` is the name of green's table in a query."""

    table: ClassVar[str]

    def rows_by_file(self, query: Query) -> dict[str, int]:
        return dict(query(f"select filename, count(*) from {self.table} group by 1"))

    def everything(self, query: Query) -> list[tuple]:
        """The table's rows, in an order that does not change by itself."""
        return sorted(query(f"select * from {self.table}"), key=repr)

    def test_repeated_rows_are_kept(self, load: Load, write: Write, query: Query) -> None:
        twice = trip(APRIL, "05 10:00:00")
        merged = load(write(APRIL, [twice, twice, trip(APRIL, "06 10:00:00")]))
        assert (merged.record.rows, merged.record.rows_in_table) == (3, 3)
        assert query(f"select count(*), count(distinct unique_row_id) from {self.table}") == [(3, 2)]

    def test_rows_have_the_name_of_their_file(self, load: Load, write: Write, query: Query) -> None:
        load(write(APRIL, [trip(APRIL)]))
        assert query(f"select filename from {self.table}") == [("green_tripdata_2020-04.csv",)]

    def test_row_of_an_earlier_file_is_skipped(self, load: Load, write: Write, query: Query) -> None:
        shared = trip(MARCH, "2008-12-31 23:02:00")
        load(write(MARCH, [shared, trip(MARCH)]))
        merged = load(write(APRIL, [shared, trip(APRIL), shared]))
        assert {name: skipped.rows for name, skipped in merged.record.skipped.items()} == {MARCH.filename: 2}
        assert merged.record.rows_in_table == 1
        assert self.rows_by_file(query) == {MARCH.filename: 2, APRIL.filename: 1}

    def test_row_repeated_in_first_file_is_skipped_once(self, load: Load, write: Write, query: Query) -> None:
        shared = trip(MARCH, "2020-04-05 10:00:00")
        load(write(MARCH, [shared, shared]))
        merged = load(write(APRIL, [shared, trip(APRIL)]))
        assert {name: skipped.rows for name, skipped in merged.record.skipped.items()} == {MARCH.filename: 1}
        assert self.rows_by_file(query) == {MARCH.filename: 2, APRIL.filename: 1}

    def test_corrected_file_replaces_month(self, load: Load, write: Write, query: Query) -> None:
        older = load(write(APRIL, [trip(APRIL, "01 01:00:00"), trip(APRIL, "02 01:00:00")]))
        merged = load(write(APRIL, [trip(APRIL, "02 01:00:00"), trip(APRIL, "03 01:00:00", fare_amount="9.5")]))
        assert merged.replaced == older.record
        days = query(f"select extract(day from lpep_pickup_datetime), fare_amount from {self.table} order by 1")
        assert days == [(2, 8), (3, 9.5)]

    def test_corrected_file_replaces_out_of_month_rows(self, load: Load, write: Write, query: Query) -> None:
        no_times = {"lpep_pickup_datetime": "", "lpep_dropoff_datetime": ""}
        load(write(APRIL, [trip(APRIL), trip(APRIL, "2041-08-17 16:24:38"), trip(APRIL, **no_times)]))
        load(write(APRIL, [trip(APRIL, "02 02:00:00")]))
        assert query(f"select extract(day from lpep_pickup_datetime) from {self.table}") == [(2,)]

    def test_other_months_and_colours_are_unchanged(self, load: Load, write: Write, query: Query) -> None:
        load(write(MARCH, [trip(MARCH), trip(MARCH, "2020-04-07 08:00:00")]))
        before = self.everything(query)
        load(write(APRIL, [trip(APRIL), trip(APRIL, "2020-03-01 00:00:00")]))
        load(write(YELLOW_APRIL, [trip(YELLOW_APRIL)]))
        load(write(APRIL, [trip(APRIL, "09 09:00:00")]))
        assert [row for row in self.everything(query) if row[1] == MARCH.filename] == before
        yellow = self.table.replace("green", "yellow")
        assert query(f"select filename from {yellow}") == [(YELLOW_APRIL.filename,)]

    def test_second_run_changes_nothing(self, load: Load, write: Write, query: Query) -> None:
        file = write(APRIL, [trip(APRIL), trip(APRIL, "2020-03-01 00:00:00")])
        first = load(file)
        before = self.everything(query)
        second = load(file)
        assert not second.changed
        assert second.record == first.record
        assert self.everything(query) == before

    def test_rerun_restores_deleted_rows(self, load: Load, write: Write, query: Query) -> None:
        file = write(APRIL, [trip(APRIL), trip(APRIL, "02 02:00:00")])
        load(file)
        query(f"delete from {self.table} where date(lpep_pickup_datetime) = '2020-04-02'")
        assert load(file).changed
        assert self.rows_by_file(query) == {APRIL.filename: 2}
        assert not load(file).changed

    def test_row_deleted_from_first_file_is_not_missing(self, load: Load, write: Write, query: Query) -> None:
        """A run of the second file loads it, because no other file has it any more."""
        shared = trip(MARCH, "2020-04-05 12:00:00")
        march, april = write(MARCH, [shared, trip(MARCH)]), write(APRIL, [shared, trip(APRIL)])
        load(march)
        load(april)
        query(f"delete from {self.table} where date(lpep_pickup_datetime) = '2020-04-05'")
        assert load(april).changed
        assert self.rows_by_file(query) == {MARCH.filename: 1, APRIL.filename: 2}
        assert load(march).changed
        assert self.rows_by_file(query) == {MARCH.filename: 1, APRIL.filename: 2}
        assert not load(april).changed

    def test_month_without_rows_is_restored(self, load: Load, write: Write, query: Query) -> None:
        shared = trip(MARCH, "2020-04-05 12:00:00")
        march, april = write(MARCH, [shared, trip(MARCH)]), write(APRIL, [shared, trip(APRIL)])
        load(march)
        load(april)
        query(f"delete from {self.table} where filename = '{MARCH.filename}'")
        load(march)
        load(april)
        assert self.rows_by_file(query) == {MARCH.filename: 2, APRIL.filename: 1}

    @pytest.mark.parametrize(("first", "second"), [(MARCH, APRIL), (APRIL, MARCH)])
    def test_first_file_wins_for_any_pickup(
        self, load: Load, write: Write, query: Query, first: TripMonth, second: TripMonth
    ) -> None:
        """Inside the first file's month, inside the second's, out of month in both, or without a pickup."""
        shared = [trip(first, f"2020-0{month}-05 12:00:00") for month in (3, 4, 5)]
        shared.append(trip(first, lpep_pickup_datetime="", lpep_dropoff_datetime=""))
        load(write(first, [*shared, trip(first, "20 20:00:00")]))
        load(write(MAY, [trip(MAY)]))
        merged = load(write(second, [trip(second, "21 21:00:00"), *shared]))
        assert {name: skipped.rows for name, skipped in merged.record.skipped.items()} == {first.filename: 4}
        assert self.rows_by_file(query) == {first.filename: 5, MAY.filename: 1, second.filename: 1}

    def test_equal_pickup_alone_is_no_duplicate(self, load: Load, write: Write) -> None:
        load(write(MARCH, [trip(MARCH, "05 12:00:00")]))
        assert load(write(APRIL, [trip(APRIL, "2020-03-05 12:00:00", DOLocationID="7")])).record.skipped == {}

    def test_skipped_row_is_loaded_once_first_file_lacks_it(self, load: Load, write: Write, query: Query) -> None:
        shared = trip(MARCH, "2020-04-05 12:00:00")
        load(write(MARCH, [shared]))
        april = write(APRIL, [trip(APRIL), shared])
        assert load(april).record.rows_in_table == 1
        assert load(write(MARCH, [trip(MARCH)])).needs_reload == (APRIL.filename,)
        again = load(april)
        assert again.changed
        assert again.needs_reload == ()
        assert again.record.rows_in_table == 2
        assert self.rows_by_file(query) == {MARCH.filename: 1, APRIL.filename: 2}

    def test_empty_file_is_loaded(self, load: Load, write: Write, query: Query) -> None:
        merged = load(write(APRIL, []))
        assert (merged.record.rows, merged.changed) == (0, True)
        assert query(f"select count(*) from {self.table}") == [(0,)]
        assert not load(write(APRIL, [])).changed
