"""Reconciliation: compares the rows that several destinations have loaded from the same file.

It compares, month by month, the number of rows, the exact sum of each column of numbers and a checksum of all columns
that does not depend on the order of rows. `taxi-platform reconcile` and the job `reconcile` run it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from pydantic import Field

from taxi_platform.automation.new_months import RESOURCE_KEYS, resources_of
from taxi_platform.destinations.base import Destination, Resources
from taxi_platform.destinations.figures import Figures
from taxi_platform.destinations.registry import DESTINATIONS
from taxi_platform.errors import PermanentError
from taxi_platform.trips.columns import COLOURS, Colour, Column
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.partitions import TripMonth

_NAME_WIDTH, _ROWS_WIDTH = 16, 14


@dataclass(frozen=True)
class Comparison:
    """The comparison of one month in the destinations that have loaded it."""

    month: TripMonth
    rows: Mapping[str, int]
    """Rows by destination; as recorded where they were not counted."""
    differing: tuple[str, ...] = ()
    """What differs: `rows`, or names of columns."""
    not_compared: str | None = None
    """Why the month was not compared, None if it was."""

    @property
    def result(self) -> str:
        """The outcome in words."""
        if self.not_compared:
            return self.not_compared
        return f"DIFFERENT: {', '.join(self.differing)}" if self.differing else "equal"


def reconcile(
    resources: Resources,
    colour: Colour,
    first: str = "",
    last: str = "9999-12",
    destinations: Sequence[Destination] = DESTINATIONS,
) -> Iterator[Comparison]:
    """Compare the months of a colour from `first` to `last` in those of the destinations that are configured."""
    configured = [destination for destination in destinations if not destination.missing_settings(resources)]
    loaded = {destination: destination.loaded_months(resources, colour) for destination in configured}
    months = {month for records in loaded.values() for month in records if first <= month.month <= last}
    for month in sorted(months, key=lambda each: each.month):
        held = {each: LoadedMonth(month, records[month]) for each, records in loaded.items() if month in records}
        yield _compare(resources, month, held)


def heading(destinations: Sequence[Destination] = DESTINATIONS) -> str:
    """Return the heading of the table of comparisons."""
    return "month".ljust(_NAME_WIDTH) + "".join(each.name.rjust(_ROWS_WIDTH) for each in destinations) + "  result"


def line(comparison: Comparison, destinations: Sequence[Destination] = DESTINATIONS) -> str:
    """Return a line of the table: the rows in each destination, and the result."""
    month = f"{comparison.month.colour.name} {comparison.month.month}".ljust(_NAME_WIDTH)
    counts = (comparison.rows.get(each.name) for each in destinations)
    rows = "".join(("-" if count is None else f"{count:,}").rjust(_ROWS_WIDTH) for count in counts)
    return f"{month}{rows}  {comparison.result}"


def _compare(resources: Resources, month: TripMonth, held: Mapping[Destination, LoadedMonth]) -> Comparison:
    records = {destination: loaded.record for destination, loaded in held.items()}
    recorded = {destination.name: record.rows_in_table for destination, record in records.items()}
    if len(held) < 2:
        return Comparison(month, recorded, not_compared="in one destination only")
    if len({record.sha256 for record in records.values()}) > 1:
        return Comparison(month, recorded, not_compared="loaded from different versions of the file")
    skipped = [{name: each.rows for name, each in record.skipped.items()} for record in records.values()]
    if any(each != skipped[0] for each in skipped):
        return Comparison(month, recorded, not_compared="loaded in different orders, with different duplicates skipped")
    columns = [
        column for column in month.colour.columns if all(_has(record.columns, column) for record in records.values())
    ]
    figures = _figures(resources, held, columns)
    rows = {destination.name: found.rows for destination, found in figures.items()}
    return Comparison(month, rows, _differing(resources, held, columns, list(figures.values())))


def _has(names: Sequence[str], column: Column) -> bool:
    """Return whether the table had the column. A record of version 1 has no names."""
    return not (column.optional and column.folded_name not in {name.lower() for name in names})


def _figures(
    resources: Resources, held: Mapping[Destination, LoadedMonth], columns: Sequence[Column]
) -> dict[Destination, Figures]:
    return {destination: destination.figures(resources, loaded, columns) for destination, loaded in held.items()}


def _differing(
    resources: Resources, held: Mapping[Destination, LoadedMonth], columns: Sequence[Column], figures: list[Figures]
) -> tuple[str, ...]:
    """Return what differs. Columns are compared one by one only if the figures of all of them differ."""
    if all(each == figures[0] for each in figures):
        return ()
    names = ["rows"] if len({each.rows for each in figures}) > 1 else []
    for column in columns:
        single = list(_figures(resources, held, [column]).values())
        if any(each != single[0] for each in single):
            names.append(column.name)
    return tuple(names) or ("how values are combined in rows",)


class ReconcileConfig(dg.Config):
    """Which months are reconciled."""

    colours: list[str] = Field(default=list(COLOURS), description="Taxi colours.")
    first: str = Field(default="", description="First month, YYYY-MM; empty for the first that is loaded.")
    last: str = Field(default="9999-12", description="Last month, YYYY-MM, included.")


@dg.op(required_resource_keys=RESOURCE_KEYS)
def reconcile_destinations(context: dg.OpExecutionContext, config: ReconcileConfig) -> None:
    """Compare the loaded months of all configured destinations. Raise PermanentError if some differ."""
    resources = resources_of(context.resources)
    found = [
        comparison
        for name in config.colours
        for comparison in reconcile(resources, COLOURS[name], config.first, config.last)
    ]
    context.log.info("\n".join([heading(), *map(line, found)]))
    context.add_output_metadata(
        {
            "compared": sum(not each.not_compared for each in found),
            "different": sum(bool(each.differing) for each in found),
            "table": dg.MetadataValue.md("\n".join(["```", heading(), *map(line, found), "```"])),
        }
    )
    different = [f"{each.month} ({', '.join(each.differing)})" for each in found if each.differing]
    if different:
        raise PermanentError(
            f"The destinations differ in {len(different)} months: {'; '.join(different)}.",
            "Reload these months where rows were changed by hand; the check every_row_accounted_for fails there.",
        )


@dg.job(name="reconcile")
def reconcile_job() -> None:
    """Compare, month by month, the rows that the destinations have loaded from the same files."""
    reconcile_destinations()


reconcile_schedule = dg.ScheduleDefinition(
    name="reconcile_schedule",
    job=reconcile_job,
    cron_schedule="0 14 * * 0",
    execution_timezone="America/New_York",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Compare the rows of all destinations every Sunday, month by month.",
)
