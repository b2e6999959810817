"""TLC's taxi zones: the asset that fetches them, and the files that marts and report read."""

import csv
import io
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
import requests

from taxi_platform.analytics.dbt_process import PROJECT, ZONES_SEED
from taxi_platform.analytics.zone_shapes import SHIPPED, simplified
from taxi_platform.data_directory import make_folder, write_whole
from taxi_platform.errors import BadFile
from taxi_platform.settings import Settings
from taxi_platform.trips.trip_asset import OWNERS

TABLE, SHAPES = "taxi_zone_lookup.csv", "taxi_zones.zip"
_HEADER = ["LocationID", "Borough", "Zone", "service_zone"]
_SEED_HEADER = ["location_id", "borough", "zone", "service_zone"]


def zone_table() -> Path:
    """Return the zone table in the form of dbt's seed: the fetched one, else the shipped one."""
    fetched = _folder() / ZONES_SEED
    return fetched if fetched.exists() else PROJECT / "seeds" / ZONES_SEED


def zone_shapes() -> Path:
    """Return the simplified shapes of the zones as GeoJSON: the fetched ones, else the shipped ones."""
    fetched = _folder() / SHIPPED.name
    return fetched if fetched.exists() else SHIPPED


@dg.asset(
    group_name="analytics",
    kinds={"python", "file"},
    owners=OWNERS,
    code_version="1",
    metadata={
        "dagster/uri": "zones/ in the data directory",
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn("location_id", "integer", "Number of the zone."),
                dg.TableColumn("borough", "text", "Borough; EWR for Newark Airport, Unknown for other places."),
                dg.TableColumn("zone", "text", "Name of the zone."),
                dg.TableColumn("service_zone", "text", "Yellow zone, boro zone or airports."),
            ]
        ),
    },
)
def taxi_zones(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """TLC's taxi zones: names, boroughs and simplified shapes.

    Fetched from TAXI_ZONES_URL; where that does not respond, marts and report use the copy that is shipped.
    """
    base = Settings().zones_url.rstrip("/")
    try:
        table, shapes = (_fetch(f"{base}/{name}") for name in (TABLE, SHAPES))
    except (OSError, requests.RequestException) as error:
        context.log.warning(f"TLC's zones were not fetched ({type(error).__name__}); the shipped copy is used.")
        return dg.MaterializeResult(metadata={"source": "shipped copy"})
    seed, features = _as_seed(table), simplified(shapes)
    make_folder(_folder())
    write_whole(_folder() / ZONES_SEED, seed)
    write_whole(_folder() / SHIPPED.name, json.dumps(features, separators=(",", ":")))
    return dg.MaterializeResult(
        metadata={"source": "TAXI_ZONES_URL", "zones": seed.count("\n") - 1, "shapes": len(features["features"])}
    )


def _folder() -> Path:
    return Settings().data_directory / "zones"


def _fetch(url: str) -> bytes:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).read_bytes()
    response = requests.get(url, timeout=(5, 30))
    response.raise_for_status()
    return response.content


def _as_seed(table: bytes) -> str:
    """Return the zone table with the column names of the seed."""
    try:
        header, *rows = csv.reader(io.StringIO(table.decode("utf-8-sig")))
    except (UnicodeDecodeError, ValueError, csv.Error):
        header, rows = [], []
    if header != _HEADER or not rows or any(len(row) != len(_HEADER) for row in rows):
        raise BadFile(
            f"this is not TLC's zone table with {', '.join(_HEADER)}.", "Check TAXI_ZONES_URL.", filename=TABLE
        )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_SEED_HEADER, *rows])
    return text.getvalue()
