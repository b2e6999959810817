"""The IO manager that stores the DataFrames of the products pipeline as JSON files.

JSON rather than Parquet, because a column may hold numbers and `N/A`, and because anybody can read the files.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from taxi_platform.data_directory import make_folder, write_whole
from taxi_platform.errors import NotStaged
from taxi_platform.lazy_import import LazyModule
from taxi_platform.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = LazyModule("pandas")


class JsonFiles(dg.ConfigurableIOManager):
    """One file per asset, `<asset>.json`, with a list of its rows. A file is replaced as a whole."""

    folder: str | None = Field(default=None, description="Folder of the files. Default: products in TAXI_HOME.")

    def handle_output(self, context: dg.OutputContext, obj: "pd.DataFrame") -> None:
        """Write the asset's file and add its URI to the metadata."""
        path = self._path(context.asset_key)
        make_folder(path.parent)
        # 15 digits are the most that pandas writes; the default of 10 would round.
        rows = obj.to_json(orient="records", indent=2, force_ascii=False, double_precision=15)
        write_whole(path, str(rows))
        context.add_output_metadata({"dagster/uri": path.as_uri()})

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame":
        """Return the asset's rows. Raise NotStaged if its file does not exist, whatever the run history says."""
        path = self._path(context.asset_key)
        if not path.exists():
            raise NotStaged(f"{path} does not exist.", f"Materialize {context.asset_key.to_user_string()} first.")
        return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))

    def _path(self, key: dg.AssetKey) -> Path:
        folder = Path(self.folder) if self.folder else Settings().home_folder / "products"
        return folder.absolute() / f"{key.path[-1]}.json"
