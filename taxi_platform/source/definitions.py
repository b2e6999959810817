"""The assets and resources of the source, for `taxi_platform.definitions`."""

from collections.abc import Mapping
from typing import Any, TypedDict

from taxi_platform.source.assets import raw_csv
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.mirror import Mirror

ASSETS = (raw_csv,)


class SourceResources(TypedDict, total=False):
    """The source's resources and IO manager, by key."""

    mirror: Mirror
    raw_files: RawFiles


def source_resources(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mirror and the store of its files, built on the mirror in `given` if there is one."""
    mirror = given.get("mirror") or Mirror()
    return {"mirror": mirror, "raw_files": RawFiles(mirror=mirror)}
