"""JSON files under TAXI_HOME: small assets, one file each.

Not here: published files and tables, which have managers of their own.
"""

import json
from pathlib import Path
from typing import Any

import dagster as dg

from taxi_platform.data_directory import make_folder, write_whole
from taxi_platform.errors import NotStaged
from taxi_platform.settings import Settings


class JsonFiles(dg.ConfigurableIOManager):
    """Keeps an asset's value as `<asset>.json`. A file is whole at any time: the old one, or the new one."""

    folder: str | None = None
    """None: `products` under TAXI_HOME."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write the asset's file and add its address to the metadata."""
        path = self._path(context.asset_key)
        make_folder(path.parent)
        write_whole(path, json.dumps(obj, indent=2, ensure_ascii=False))
        context.add_output_metadata({"dagster/uri": path.as_uri(), "size": path.stat().st_size})

    def load_input(self, context: dg.InputContext) -> Any:
        """The asset's value. Raises NotStaged when its file is not there, whatever the run history says."""
        path = self._path(context.asset_key)
        if not path.exists():
            name = context.asset_key.to_user_string()
            raise NotStaged(
                f"{path} is not there.", f"A rerun helps once the asset {name} is materialized, which writes it."
            )
        return json.loads(path.read_text(encoding="utf-8"))

    def _path(self, key: dg.AssetKey) -> Path:
        folder = Path(self.folder) if self.folder else Settings().home_folder / "products"
        return folder.absolute() / f"{key.path[-1]}.json"
