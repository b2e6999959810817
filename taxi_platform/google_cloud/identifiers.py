"""Names in Google Cloud, validated before they are used.

Identifiers cannot be query parameters, so a name is validated here before it becomes part of a statement.
"""

import re
from dataclasses import dataclass
from typing import NewType

from taxi_platform.errors import BadSetting

Sql = NewType("Sql", str)
"""Text that may be part of a statement: constant, or made of validated identifiers. Values are query parameters."""


def valid_project(name: str) -> str:
    """Return the project id. Raise BadSetting if it does not have the form of one."""
    remedy = "Use the id that the console shows: lower case letters, digits and hyphens."
    return _valid("GCP_PROJECT_ID", "project id", name, r"[a-z][a-z0-9.:-]{0,61}[a-z0-9]", remedy)


def valid_dataset(name: str) -> str:
    """Return the dataset's name. Raise BadSetting if BigQuery does not accept it."""
    example = re.sub(r"[^A-Za-z0-9_]+", "_", name) or "zoomcamp"
    remedy = f"Use letters, digits and underscores, and no hyphen, for example {example}."
    return _valid("GCP_DATASET", "dataset name", name, r"[A-Za-z0-9_]{1,1024}", remedy)


def valid_bucket(name: str) -> str:
    """Return the bucket's name. Raise BadSetting if Google does not accept it."""
    remedy = "Use 3 to 63 lower case letters, digits, hyphens, underscores and dots."
    return _valid("GCP_BUCKET_NAME", "bucket name", name, r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", remedy)


def valid_location(name: str) -> str:
    """Return the location. Raise BadSetting if it does not have the form of one."""
    return _valid("GCP_LOCATION", "location", name, r"[A-Za-z][A-Za-z0-9-]+", "Use for example us-central1 or EU.")


def _valid(setting: str, kind: str, name: str, pattern: str, remedy: str) -> str:
    if not re.fullmatch(pattern, name):
        raise BadSetting(f"{setting} is not a {kind}: {name!r}.", remedy)
    return name


def identifier(name: str) -> Sql:
    """Return the name of a table or column as a part of a statement. Raise ValueError if it is not one."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,299}", name):
        raise ValueError(f"not a table or column name: {name!r}")
    return Sql(name)


@dataclass(frozen=True)
class TableName:
    """Full name of a table."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"

    @property
    def sql(self) -> Sql:
        """The name as a part of a statement."""
        return Sql(f"`{valid_project(self.project)}.{valid_dataset(self.dataset)}.{identifier(self.table)}`")

    @property
    def console_url(self) -> str:
        """Address of the table in the Google Cloud console."""
        return (
            f"https://console.cloud.google.com/bigquery?project={self.project}&ws=!1m5!1m4!4m3"
            f"!1s{self.project}!2s{self.dataset}!3s{self.table}"
        )
