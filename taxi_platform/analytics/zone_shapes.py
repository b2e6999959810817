"""The shapes of TLC's taxi zones, simplified from the published shapefile so that they fit into one page.

`python -m taxi_platform.analytics.zone_shapes taxi_zones.zip` writes the copy that is shipped, taxi_zones.geojson.
"""

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taxi_platform.errors import BadFile
from taxi_platform.lazy_import import LazyModule

shapefile: Any = LazyModule("shapefile")
shapely: Any = LazyModule("shapely")

SHIPPED = Path(__file__).with_name("taxi_zones.geojson")
TOLERANCE_FEET = 150
"""How far a simplified border may lie from the published one; the result is 150 KB, 40 KB compressed."""
GRID_FEET = 10
"""Coordinates are rounded to a multiple."""


def simplified(zipped: bytes) -> dict[str, Any]:
    """Return the zones of TLC's zipped shapefile as GeoJSON in its plane coordinates, New York's in feet."""
    try:
        features = list(_features(zipped))
    except (zipfile.BadZipFile, StopIteration, KeyError, shapefile.ShapefileException) as error:
        raise BadFile(
            "this is not TLC's zipped shapefile of the taxi zones.", "Check TAXI_ZONES_URL.", filename="taxi_zones.zip"
        ) from error
    return {"type": "FeatureCollection", "features": features}


def _features(zipped: bytes) -> Iterator[dict[str, Any]]:
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        parts = {
            suffix: io.BytesIO(archive.read(next(name for name in archive.namelist() if name.endswith(f".{suffix}"))))
            for suffix in ("shp", "dbf", "shx")
        }
    with shapefile.Reader(**parts) as reader:
        for record in reader.iterShapeRecords():
            shape = shapely.geometry.shape(record.shape.__geo_interface__).simplify(TOLERANCE_FEET)
            shape = shapely.set_precision(shape, GRID_FEET)
            if not shape.is_empty:
                fields = record.record.as_dict()
                yield {
                    "type": "Feature",
                    "id": int(fields["LocationID"]),
                    "properties": {"zone": fields["zone"], "borough": fields["borough"]},
                    "geometry": {
                        "type": shape.geom_type,
                        "coordinates": _rounded(shape.__geo_interface__["coordinates"]),
                    },
                }


def _rounded(coordinates: Any) -> Any:
    if isinstance(coordinates[0], (list, tuple)):
        return [_rounded(each) for each in coordinates]
    return [round(each) for each in coordinates[:2]]


def main(published: str) -> None:
    text = json.dumps(simplified(Path(published).read_bytes()), separators=(",", ":"))
    SHIPPED.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
