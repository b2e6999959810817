"""The settings, read from the environment or from `.env` in the working directory when they are needed.

Timeouts and numbers of attempts are fields of the resources that use them.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PUBLIC_MIRROR = "https://github.com/DataTalksClub/nyc-tlc-data/releases/download"


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


class Settings(BaseSettings):
    """The settings as they are now. The alias of a field is the variable's name; .env.example lists them."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    data_directory: Annotated[Path, AfterValidator(_absolute)] = Field(
        default=Path(".taxi"), validation_alias="TAXI_HOME"
    )
    source_url: str = Field(default=PUBLIC_MIRROR, validation_alias="TAXI_SOURCE_URL")
    parquet_url: str = Field(
        default="https://d37ci6vzurychx.cloudfront.net/trip-data", validation_alias="TAXI_PARQUET_URL"
    )
    products_url: str = Field(default="https://dummyjson.com/products", validation_alias="TAXI_PRODUCTS_URL")
    docker_hub_url: str = Field(default="https://hub.docker.com/v2", validation_alias="TAXI_DOCKER_HUB_URL")
    github_api_url: str = Field(default="https://api.github.com", validation_alias="TAXI_GITHUB_API_URL")
    postgres_url: SecretStr | None = Field(default=None, validation_alias="TAXI_POSTGRES_URL")
    lake_path: Path | None = Field(default=None, validation_alias="TAXI_LAKE_PATH")
    gcp_project: str | None = Field(default=None, validation_alias="GCP_PROJECT_ID")
    gcp_location: str = Field(default="us-central1", validation_alias="GCP_LOCATION")
    gcp_bucket: str | None = Field(default=None, validation_alias="GCP_BUCKET_NAME")
    gcp_dataset: str = Field(default="zoomcamp", validation_alias="GCP_DATASET")
    gcp_creds: SecretStr | None = Field(default=None, validation_alias="GCP_CREDS")
    storage_emulator: str | None = Field(default=None, validation_alias="STORAGE_EMULATOR_HOST")
    bigquery_emulator: str | None = Field(default=None, validation_alias="BIGQUERY_EMULATOR_HOST")
    web_url: str = Field(default="http://localhost:3000", validation_alias="TAXI_WEB_URL")
    dbt: Path | None = Field(default=None, validation_alias="TAXI_DBT")
    zones_url: str = Field(default="https://d37ci6vzurychx.cloudfront.net/misc", validation_alias="TAXI_ZONES_URL")
    alert_webhook: SecretStr | None = Field(default=None, validation_alias="TAXI_ALERT_WEBHOOK")
