"""Google Cloud: the clients, with credentials from the settings and emulators in Google's place where they are set.

Not here: what is done with a client (`taxi_platform.google`). dagster-gcp's resources are not used: they take no
credentials for storage, write the key for BigQuery to a file and into the environment, and to import them alone takes
as long as to start Dagster, in each run of either leg.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from taxi_platform.destinations.bigquery.tables import check_dataset, check_project
from taxi_platform.errors import BadSetting, MissingRight
from taxi_platform.google_cloud.dataset import Warehouse
from taxi_platform.google_cloud.errors import LOOK_SECONDS, patience, told_plainly
from taxi_platform.google_cloud.libraries import (
    auth,
    bigquery,
    client_options,
    credentials,
    exceptions,
    service_account,
    storage,
)
from taxi_platform.settings import Settings

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
PATIENCE = 60.0

STORAGE_RIGHTS = (
    "roles/storage.admin on the project, or, where the bucket is there already, roles/storage.objectAdmin and "
    "roles/storage.legacyBucketReader on the bucket"
)
BIGQUERY_RIGHTS = (
    "roles/bigquery.user on the project (it may make datasets and run jobs), and roles/bigquery.dataEditor on the "
    "dataset where somebody else made it; to read the lake's objects, roles/storage.objectViewer on the bucket"
)
NEEDED_ON_BUCKET = ("storage.objects.create", "storage.objects.delete", "storage.objects.get")

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_LOCATION = re.compile(r"[A-Za-z][A-Za-z0-9-]+")


class GoogleStorage(dg.ConfigurableResource):
    """Google Cloud Storage and the lake's bucket.

    Fields that are None come from the settings: `project` GCP_PROJECT_ID, `bucket` GCP_BUCKET_NAME, `location`
    GCP_LOCATION, `endpoint` (of an emulator) STORAGE_EMULATOR_HOST. `patience`: seconds for which answers that pass
    are waited out.
    """

    project: str | None = None
    bucket: str | None = None
    location: str | None = None
    endpoint: str | None = None
    patience: float = PATIENCE

    @property
    def bucket_name(self) -> str:
        name = self.bucket or Settings().gcp_bucket
        if name is None:
            raise _not_set("GCP_BUCKET_NAME", "the bucket's name, which must be free in all of Google Cloud")
        if not _BUCKET.fullmatch(name):
            raise BadSetting(
                f"GCP_BUCKET_NAME is not a name for a bucket: {name!r}",
                "A rerun does not help. Use 3 to 63 lower case letters, digits, hyphens, underscores and dots.",
            )
        return name

    @property
    def endpoint_url(self) -> str | None:
        """The emulator's address, or None for Google itself."""
        return _url(self.endpoint or Settings().storage_emulator)

    def get_client(self) -> storage.Client:
        project = _project(self.project)
        return storage.Client(
            project=project,
            credentials=find_credentials(anonymous=self.endpoint_url is not None),
            client_options=client_options.ClientOptions(api_endpoint=self.endpoint_url) if self.endpoint_url else None,
        )

    @contextmanager
    def lake(self, doing: str) -> Iterator[storage.Bucket]:
        """The bucket, without a look whether it is there; errors inside are told with what it was `doing`."""
        name = self.bucket_name
        with told_plainly(doing, endpoint=self.endpoint_url or "storage.googleapis.com", rights=STORAGE_RIGHTS):
            client = self.get_client()
            try:
                yield client.bucket(name)
            finally:
                client.close()

    def ensure_bucket(self) -> tuple[storage.Bucket, bool]:
        """The bucket, made in the location when it is missing; whether it was made.

        Raises MissingRight, before anything is sent, when the account may not write to it.
        """
        location, name = _location(self.location), self.bucket_name
        with self.lake("looked for the bucket") as bucket:
            client = bucket.client
            try:
                found = client.lookup_bucket(name, timeout=LOOK_SECONDS, retry=patience(self.patience))
                made = found is None
                if made:
                    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
                    found = client.create_bucket(
                        bucket, location=location, timeout=LOOK_SECONDS, retry=patience(self.patience)
                    )
            except (exceptions.Conflict, exceptions.Forbidden) as error:
                raise _not_our_bucket(name) from error
            allowed = found.test_iam_permissions(
                list(NEEDED_ON_BUCKET), timeout=LOOK_SECONDS, retry=patience(self.patience)
            )
        missing = [right for right in NEEDED_ON_BUCKET if right not in allowed]
        if missing:
            raise MissingRight(
                f"The account may not use the bucket {name} as the lake; it lacks {', '.join(missing)}.",
                f"A rerun does not help. Grant it {STORAGE_RIGHTS}.",
            )
        return found, made


class GoogleBigQuery(dg.ConfigurableResource):
    """BigQuery and the dataset.

    Fields that are None come from the settings: `project` GCP_PROJECT_ID, `dataset` GCP_DATASET, `location`
    GCP_LOCATION, `endpoint` (of an emulator) BIGQUERY_EMULATOR_HOST. `patience`: seconds for which answers that pass
    are waited out. `merge_patience`: seconds to go on trying while other months are merged.
    """

    project: str | None = None
    location: str | None = None
    dataset: str | None = None
    endpoint: str | None = None
    patience: float = PATIENCE
    merge_patience: float = 900.0

    @property
    def dataset_name(self) -> str:
        return check_dataset(self.dataset or Settings().gcp_dataset)

    @property
    def endpoint_url(self) -> str | None:
        """The emulator's address, or None for Google itself."""
        return _url(self.endpoint or Settings().bigquery_emulator)

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        client = bigquery.Client(
            project=_project(self.project),
            location=_location(self.location),
            credentials=find_credentials(anonymous=self.endpoint_url is not None),
            client_options=client_options.ClientOptions(api_endpoint=self.endpoint_url) if self.endpoint_url else None,
        )
        try:
            yield client
        finally:
            client.close()

    @contextmanager
    def warehouse(self, doing: str) -> Iterator[Warehouse]:
        """The dataset, without a look whether it is there; errors inside are told with what it was `doing`."""
        dataset = self.dataset_name
        with (
            told_plainly(doing, endpoint=self.endpoint_url or "bigquery.googleapis.com", rights=BIGQUERY_RIGHTS),
            self.get_client() as client,
        ):
            yield Warehouse(client, client.project, dataset, _location(self.location), self.patience)

    def ensure_dataset(self) -> tuple[bigquery.Dataset, bool]:
        """The dataset, made in the location when it is missing; whether it was made.

        Raises MissingRight when the account may not run jobs, and BadSetting when the dataset lies elsewhere.
        """
        with self.warehouse("looked for the dataset") as there:
            wanted = bigquery.DatasetReference(there.project, there.dataset)
            client, retry = there.client, patience(self.patience)
            made = False
            try:
                found = client.get_dataset(wanted, retry=retry, timeout=LOOK_SECONDS)
            except exceptions.NotFound:
                made = True
                dataset = bigquery.Dataset(wanted)
                dataset.location = there.location
                dataset.description = "New York's taxi trips."
                client.create_dataset(dataset, exists_ok=True, retry=patience(self.patience), timeout=LOOK_SECONDS)
                found = client.get_dataset(wanted, retry=patience(self.patience), timeout=LOOK_SECONDS)
            _same_place(found, there.location)
            # Costs nothing, and says now whether jobs may be run, instead of after an upload.
            client.query(
                "SELECT 1",
                job_config=bigquery.QueryJobConfig(dry_run=True, use_query_cache=False),
                retry=patience(self.patience),
                job_retry=None,
                timeout=LOOK_SECONDS,
            )
        return found, made


def find_credentials(*, anonymous: bool = False) -> credentials.Credentials:
    """The credentials that the settings name: GCP_CREDS as JSON text or as a path, else the application default ones.

    `anonymous`: for an emulator. Nothing of a key is ever in an error, and none is written anywhere.
    """
    if anonymous:
        return credentials.AnonymousCredentials()
    secret = Settings().gcp_creds
    if secret is None:
        with told_plainly("looked for credentials", endpoint="the metadata server", rights=BIGQUERY_RIGHTS):
            found, _ = auth.default(scopes=SCOPES)
            return found
    text = secret.get_secret_value().strip()
    text = text if text.startswith("{") else _read(text)
    try:
        return service_account.Credentials.from_service_account_info(json.loads(text), scopes=SCOPES)
    except (ValueError, KeyError, TypeError, AttributeError):
        # The cause may quote the key, so it is left out.
        raise BadSetting(
            "GCP_CREDS is neither a service account's key in JSON nor the path to one.",
            "A rerun does not help. Set it to the whole JSON text, from { to }, in one line, or to the file's path; "
            "the key is made in the console under IAM & Admin, Service Accounts, Keys.",
        ) from None


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text("utf-8")
    except (OSError, ValueError):
        raise BadSetting(
            "GCP_CREDS is not JSON, and there is no file to be read at the path that it would be.",
            "A rerun does not help. Set it to a service account's key as JSON text, or to the path of its file; unset, "
            "the Application Default Credentials are used.",
        ) from None


def _project(field: str | None) -> str:
    project = field or Settings().gcp_project
    if project is None:
        raise _not_set("GCP_PROJECT_ID", "the project's id, as the console's start page shows it")
    return check_project(project)


def _location(field: str | None) -> str:
    location = field or Settings().gcp_location
    if not _LOCATION.fullmatch(location):
        raise BadSetting(
            f"GCP_LOCATION is not a location: {location!r}", "A rerun does not help. Use for example us-central1 or EU."
        )
    return location


def _not_set(name: str, meaning: str) -> BadSetting:
    return BadSetting(
        f"{name} is not set.", f"A rerun does not help. Set it, in the environment or in .env, to {meaning}."
    )


def _not_our_bucket(name: str) -> MissingRight:
    return MissingRight(
        f"The bucket {name} belongs to somebody else, or the account may not look at it or make it.",
        "A rerun does not help. Bucket names are shared by all of Google Cloud: set GCP_BUCKET_NAME to another one, "
        f"such as <project>-taxi-lake; or, if the bucket is yours, grant the account {STORAGE_RIGHTS}.",
    )


def _same_place(dataset: bigquery.Dataset, location: str) -> None:
    if (dataset.location or location).lower() != location.lower():
        raise BadSetting(
            f"The dataset {dataset.dataset_id} lies in {dataset.location}, and GCP_LOCATION is {location}.",
            f"A rerun does not help. Set GCP_LOCATION to {dataset.location}, or GCP_DATASET to another name.",
        )


def _url(host: str | None) -> str | None:
    """Google's variables hold an address with or without its scheme."""
    return host if host is None or "://" in host else f"http://{host}"
