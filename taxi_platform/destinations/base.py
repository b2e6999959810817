"""The destinations that are set up, each a leg of the graph: its name, the assets that lead there, what it holds.

Schedules, sensor, backfills, freshness and purge ask here. Not here: what any of them does with the answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import dagster as dg

from taxi_platform.destinations.bigquery.loaded import loaded_months as loaded_in_bigquery
from taxi_platform.destinations.postgres.catalog import loaded_months as loaded_in_postgres
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.settings import Settings
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.load_record import FileRecord
from taxi_platform.trips.partitions import TripMonth

SOURCE = dg.AssetKey("raw_csv")
"""The asset that every leg begins with."""

POSTGRES = tuple(map(dg.AssetKey, ("postgres_staging", "postgres_tripdata")))
GCP = tuple(
    map(
        dg.AssetKey,
        ("gcs_bucket", "bigquery_dataset", "gcs_csv", "bigquery_external", "bigquery_monthly", "bigquery_tripdata"),
    )
)
ALL_TABLES = (POSTGRES[-1], GCP[-1])
"""The tables to query, of all legs that there can be."""


@dataclass(frozen=True)
class Leg:
    """One destination."""

    name: str
    assets: tuple[dg.AssetKey, ...]
    """From the one after `raw_csv` to the table that analysts query."""
    loaded: Callable[[Colour], Mapping[TripMonth, FileRecord]]
    """The loaded months of a colour. Raises a TransientError when the destination does not answer."""

    @property
    def selection(self) -> list[str]:
        """The assets of a run that loads a month here, by name."""
        return [asset.to_user_string() for asset in (SOURCE, *self.assets)]

    @property
    def table(self) -> dg.AssetKey:
        """The asset that is the table to query."""
        return self.assets[-1]


def legs(postgres: Postgres, gcs: GoogleStorage, bigquery: GoogleBigQuery) -> list[Leg]:
    """The legs that are set up: Postgres always, the embedded one without a setting; Google Cloud with its settings."""
    found = [Leg("postgres", POSTGRES, lambda colour: loaded_in_postgres(postgres, colour))]
    settings = Settings()
    if (bigquery.project or settings.gcp_project) and (gcs.bucket or settings.gcp_bucket):
        found.append(Leg("gcp", GCP, lambda colour: loaded_in_bigquery(bigquery, colour)))
    return found
