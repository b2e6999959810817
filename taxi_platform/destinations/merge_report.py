"""What the log and the metadata of a merged month say, the same in each destination."""

import dagster as dg

from taxi_platform.trips.load_record import Merged
from taxi_platform.trips.partitions import TripMonth


def report_merge(context: dg.OutputContext, month: TripMonth, merged: Merged, *, rows: int, seconds: float) -> None:
    """Says where the file's rows are, and which other files are to be run again. `rows` are in the table now."""
    record = merged.record
    context.log.info(
        f"{month.filename}: {record.rows:,} rows in the file = {rows:,} in the table "
        f"+ {record.rows_kept_elsewhere:,} kept by other files; "
        + (f"put in place in {seconds:.1f} s" if merged.changed else "unchanged, nothing to do")
    )
    if merged.let_go:
        context.log.warning(
            f"The older version of {month.filename} kept rows that these files have too, and that may be missing "
            f"now; run their partitions again: {', '.join(merged.let_go)}"
        )
    context.add_output_metadata(
        {
            "dagster/partition_row_count": rows,
            "dagster/row_count": merged.rows_of_colour,
            "rows_in_file": record.rows,
            "rows_in_table": rows,
            "rows_kept_by_other_files": record.rows_kept_elsewhere,
            "kept_by": record.kept_by,
            "pickups_outside_month": record.strays,
            "changed": merged.changed,
            "to_be_run_again": ", ".join(merged.let_go) or "none",
            "replaced_sha256": merged.replaced.sha256 if merged.replaced else "none",
            "rows_per_second": round(record.rows / seconds),
        }
    )
