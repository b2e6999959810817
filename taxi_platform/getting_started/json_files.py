"""The IO manager that stores the DataFrames of the products pipeline as JSON files.

JSON rather than Parquet, because a column may hold numbers and `N/A`, and because anybody can read the files.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the rows as JSON has them: null, and no NaN, for a missing value."""
    return frame.astype(object).where(frame.notna(), None).to_dict(orient="records")


class JsonFiles(dg.ConfigurableIOManager):
    """One file per asset, `<asset>.json`, with a list of its rows. A file is replaced as a whole."""

    folder: str | None = Field(default=None, description="Folder of the files. Default: products in TAXI_HOME.")

    def handle_output(self, context: dg.OutputContext, obj: "pd.DataFrame") -> None:
        """Write the asset's file and add its URI to the metadata."""
        path = self._path(context.asset_key)
        make_folder(path.parent)
        write_whole(path, json.dumps(records(obj), indent=2, ensure_ascii=False))
        context.add_output_metadata({"dagster/uri": path.as_uri()})

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame":
        """Return the asset's rows. Raise NotStaged if its file does not exist, whatever the run history says."""
        path = self._path(context.asset_key)
        if not path.exists():
            raise NotStaged(f"{path} does not exist.", f"Materialize {context.asset_key.to_user_string()} first.")
        return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))

    def _path(self, key: dg.AssetKey) -> Path:
        folder = Path(self.folder) if self.folder else Settings().data_directory / "products"
        return folder.absolute() / f"{key.path[-1]}.json"
