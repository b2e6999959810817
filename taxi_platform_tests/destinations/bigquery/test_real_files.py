"""Real files through bucket and BigQuery, on the emulators, both colours at once."""

import gzip
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from taxi_platform.destinations.bigquery.merge import Merged, merge
from taxi_platform.destinations.bigquery.merged_table import loaded_months
from taxi_platform.destinations.bigquery.monthly import create_external, create_monthly
from taxi_platform.destinations.bigquery.object_storage import upload_csv
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.resources import WarehouseResource
from taxi_platform.source.known_row_counts import published_rows
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.google_fixtures import Query
from taxi_platform_tests.support.trip_files import raw_file

pytestmark = pytest.mark.usefixtures("bucket", "dataset")

ID_PARTS = ", ".join(f"SUM(CAST(CONCAT('0x', SUBSTR(TO_HEX(unique_row_id), {n}, 8)) AS INT64))" for n in (1, 9, 17, 25))
"""Sums of the four parts of row ids, which are equal for equal sets of ids and hardly for any other."""


def real_file(folder: Path, month: TripMonth) -> RawFile:
    """Return the month's real file as `raw_csv` returns it."""
    path = folder / month.colour.name / month.gz_name
    content = gzip.decompress(path.read_bytes())
    return RawFile(
        month=month,
        path=path,
        url=path.as_uri(),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size,
        rows=content.count(b"\n") - 1,
        uncompressed_size=len(content),
        header=tuple(content.split(b"\r\n", 1)[0].decode().split(",")),
    )


def ids_of(file: RawFile) -> Counter[bytes]:
    """Return the file's row ids, computed by the contract's formula from the file alone."""
    lines = gzip.decompress(file.path.read_bytes()).split(b"\r\n")[1:-1]
    five = [file.header.index(column.name) for column in file.month.colour.short_row_id]
    return Counter(map(partial(_id_of, five), lines))


def _id_of(places: list[int], line: bytes) -> bytes:
    fields = line.split(b",")
    vendor, pickup, dropoff, *zones = (fields[place] for place in places)
    return hashlib.md5(b"".join((vendor, pickup and pickup + b"+00", dropoff and dropoff + b"+00", *zones))).digest()


def parts(ids: Counter[bytes]) -> tuple[int, ...]:
    return tuple(sum(int.from_bytes(row_id[n : n + 4]) * times for row_id, times in ids.items()) for n in (0, 4, 8, 12))


@pytest.fixture
def load_all(cloud: GoogleCloud) -> Callable[[Iterable[RawFile]], list[Merged]]:
    """Return a function that loads files one after another, with clients of its own.

    It has long timeouts: while the emulator runs a statement it responds to no other request.
    """

    def run(files: Iterable[RawFile]) -> list[Merged]:
        patient = GoogleCloud(**{**cloud.model_dump(), "retry_seconds": 300, "merge_timeout": 300})
        merged = []
        for file in files:
            with patient.open_bucket("testing") as bucket, patient.open_dataset("testing") as dataset:
                source, _ = upload_csv(bucket, file, retry_seconds=300)
                external, _ = create_external(dataset, source)
                monthly, _ = create_monthly(dataset, bucket, external)
            merged.append(merge(WarehouseResource(cloud=patient), monthly))
        return merged

    return run


def test_real_files_are_loaded_completely(
    real_files: Path,
    real_months: list[TripMonth],
    load_all: Callable[[Iterable[RawFile]], list[Merged]],
    query: Query,
    cloud: GoogleCloud,
    tmp_path: Path,
) -> None:
    files: dict[str, list[RawFile]] = {name: [] for name in COLOURS}
    for month in real_months:
        files[month.colour.name].append(real_file(real_files, month))
    assert all(files.values())
    with ThreadPoolExecutor(2) as both_colours:
        first = [merged for of_colour in both_colours.map(load_all, files.values()) for merged in of_colour]
    assert all(merged.changed and merged.record.rows_in_table == merged.record.rows for merged in first)

    for colour in COLOURS.values():
        table = f"{{{colour.table}}}"
        sums = query(f"SELECT filename, COUNT(*), COUNT(DISTINCT unique_row_id), {ID_PARTS} FROM {table} GROUP BY 1")
        in_table = {name: tuple(map(int, numbers)) for name, *numbers in sums}
        for file in files[colour.name]:
            ids = ids_of(file)
            assert in_table.pop(file.month.filename) == (file.rows, len(ids), *parts(ids)), file.month
            # Yellow files here are samples of the published ones.
            assert colour.name == "yellow" or published_rows(file.month) in (None, file.rows)
        assert in_table == {}

    before = {name: query(f"SELECT * FROM {{taxi_loads}} WHERE colour = '{name}' ORDER BY filename") for name in files}
    for name, of_colour in files.items():
        assert not any(merged.changed for merged in load_all(of_colour))
        assert query(f"SELECT * FROM {{taxi_loads}} WHERE colour = '{name}' ORDER BY filename") == before[name]

    smallest = min(files["green"], key=lambda file: file.rows)
    header, *lines = gzip.decompress(smallest.path.read_bytes()).splitlines(keepends=True)
    corrected = raw_file(tmp_path, smallest.month, header + b"".join(lines[:-1000]))
    (merged,) = load_all([corrected])
    assert merged.replaced is not None
    assert (merged.replaced.rows_in_table, merged.record.rows_in_table) == (smallest.rows, smallest.rows - 1000)
    records = loaded_months(cloud, smallest.month.colour)
    total = sum(file.rows for file in files["green"]) - 1000
    assert sum(record.rows_in_table for record in records.values()) == total
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(total,)]
