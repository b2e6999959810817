"""How the fault suite reads, edits and disturbs the table in BigQuery, on emulators of the sequence's own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from taxi_platform.destinations.bigquery.destination import BIGQUERY
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.identifiers import Sql
from taxi_platform.local.emulators.servers import running
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.chaos.tables import Rows, Table, grouped
from taxi_platform_tests.support.unreliable_google import UnreliableGoogle, error, in_front_of

FAILED_REQUESTS = 3
"""Requests in a row that fail when the connection is disturbed."""
LOST_RESPONSES = 2


class BigQueryTable(Table):
    """The table in an emulator, behind a proxy that can fail requests."""

    destination = BIGQUERY

    def __init__(self, home: Path, storage: UnreliableGoogle, bigquery: UnreliableGoogle) -> None:
        names = {"GCP_PROJECT_ID": "chaos-project", "GCP_BUCKET_NAME": "chaos", "GCP_DATASET": "chaos"}
        endpoints = {"STORAGE_EMULATOR_HOST": storage.url, "BIGQUERY_EMULATOR_HOST": bigquery.url}
        super().__init__(home, names | endpoints)
        self._fronts = (storage, bigquery)
        self._cloud = GoogleCloud(
            project="chaos-project", bucket="chaos", dataset="chaos", bigquery_endpoint=bigquery.url
        )

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[Self]:
        """Run the emulators during the block."""
        with ExitStack() as stack:
            emulators = stack.enter_context(running(folder / "emulators"))
            fronts = [stack.enter_context(in_front_of(url)) for url in (emulators.storage_url, emulators.bigquery_url)]
            yield cls(folder / "data", *fronts)

    def rows(self, colour: Colour) -> Rows:
        pickup = f"COALESCE(FORMAT_TIMESTAMP('%F %T', {colour.pickup.name}), '')"
        found = self._run(
            colour, f"SELECT filename, {pickup}, PULocationID, CAST(fare_amount AS FLOAT64) FROM {{table}}"
        )
        return grouped(found or [])

    def edit(self, month: TripMonth, edit: str) -> bool:
        """Change the copies of one row: BigQuery cannot tell equal rows apart."""
        where = f"filename = '{month.filename}'"
        one = f"{where} AND unique_row_id = (SELECT MIN(unique_row_id) FROM {{table}} WHERE {where})"
        statements = {
            "delete": f"DELETE FROM {{table}} WHERE {one}",
            "update": f"UPDATE {{table}} SET fare_amount = fare_amount + 1 WHERE {one}",
            "double": f"INSERT INTO {{table}} SELECT * FROM {{table}} WHERE {one}",
        }
        return self._run(month.colour, statements[edit]) is not None

    def disturb(self) -> None:
        """Fail the next requests as Google does when a service is overloaded."""
        for front in self._fronts:
            front.fail(FAILED_REQUESTS, error(503, "backendError"))

    def kill_server(self) -> None:
        """Lose the next responses, as from a server that is killed when it has done its work."""
        for front in self._fronts:
            front.responses_to_lose = LOST_RESPONSES

    def settle(self) -> None:
        """End the disturbance, and wait for jobs that a killed process has started."""
        for front in self._fronts:
            front.rules.clear()
            front.responses_to_lose = 0
            front.wait_until_idle()

    def _run(self, colour: Colour, text: str) -> list[tuple] | None:
        """Run a statement on the colour's table; return None if there is no table."""
        with self._cloud.open_dataset("injecting faults") as dataset:
            name = dataset.table_name(colour.table)
            if dataset.get_table(name) is None:
                return None
            return [tuple(row.values()) for row in dataset.run(Sql(text.format(table=name.sql)), {})]
