"""Storage of published files in the lake: sends a file, looks whether it is there, hands a small reference on.

How an object is sent and compared is in `taxi_platform.google_cloud.object_storage`; here is what Dagster sees of it.
"""

import time

import dagster as dg

from taxi_platform.errors import NotStaged
from taxi_platform.google_cloud.object_storage import LakeObject, console_url, find, object_uri, put
from taxi_platform.google_cloud.resources import GoogleStorage
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth


class LakeObjects(dg.ConfigurableIOManager):
    """The objects in the lake: `gs://<bucket>/raw/<colour>/<YYYY>/<colour>_tripdata_<YYYY-MM>.csv.gz`."""

    gcs: dg.ResourceDependency[GoogleStorage]

    def handle_output(self, context: dg.OutputContext, obj: RawFile) -> None:
        began = time.monotonic()
        with self.gcs.lake(f"sent {obj.path.name}") as bucket:
            found, sent = put(bucket, obj, seconds=self.gcs.patience)
        seconds = time.monotonic() - began
        context.log.info(
            f"{found.uri}: {found.size:,} bytes sent in {seconds:.1f} s" if sent else f"{found.uri}: the same already"
        )
        context.add_output_metadata(
            {
                "dagster/uri": found.uri,
                "dagster/partition_row_count": found.rows,
                "generation": str(found.generation),
                "bytes": found.size,
                "md5": found.md5,
                "sha256": found.sha256,
                "sent": sent,
                "console": dg.MetadataValue.url(console_url(self.gcs.bucket_name, found.month)),
                "seconds": round(seconds, 3),
            }
        )

    def load_input(self, context: dg.InputContext) -> LakeObject:
        month = TripMonth.from_key(context.asset_partition_key)
        with self.gcs.lake(f"looked for {month} in the lake") as bucket:
            found = find(bucket, month, seconds=self.gcs.patience)
        if found is None:
            raise NotStaged(
                f"{object_uri(self.gcs.bucket_name, month)} is not there, or was not put there by gcs_csv.",
                "A rerun of this asset alone does not help: materialize it with what it is made from, "
                f"--select '+key:bigquery_tripdata' --partition '{month}'.",
            )
        return found
