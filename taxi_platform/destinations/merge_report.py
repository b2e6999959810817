"""Log messages and metadata of a merged month, the same in each destination."""

from typing import Any

import dagster as dg

from taxi_platform.trips.load_record import MergeResult
from taxi_platform.trips.partitions import TripMonth


def report_merge(
    context: dg.AssetExecutionContext | dg.OutputContext, month: TripMonth, merged: MergeResult, seconds: float
) -> dict[str, Any]:
    """Log how the file's rows were loaded and which files must be reloaded; return the same as metadata."""
    record = merged.record
    context.log.info(
        f"{month.filename}: {record.rows:,} rows in the file = {record.rows_in_table:,} in the table "
        f"+ {record.rows_skipped:,} skipped as duplicates; "
        + (f"merged in {seconds:.1f} s" if merged.changed else "unchanged, nothing to do")
    )
    if merged.needs_reload:
        context.log.warning(
            f"Rows of these files were skipped as duplicates of another version of {month.filename} and may be missing "
            f"now; reload their partitions: {', '.join(merged.needs_reload)}"
        )
    return {
        "dagster/partition_row_count": record.rows_in_table,
        "dagster/row_count": merged.rows_of_colour,
        "rows_in_file": record.rows,
        "rows_in_table": record.rows_in_table,
        "duplicates_skipped": record.rows_skipped,
        "duplicates_by_file": {name: skipped.rows for name, skipped in record.skipped.items()},
        "pickups_outside_month": record.out_of_month,
        "changed": merged.changed,
        "needs_reload": ", ".join(merged.needs_reload) or "none",
        "replaced_sha256": merged.replaced.sha256 if merged.replaced else "none",
        "rows_per_second": round(record.rows / max(seconds, 0.001)),
        "sha256": record.sha256,
        "loaded_at": record.loaded_at or "",
        "seconds": round(seconds, 3),
    }
