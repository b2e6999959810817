"""The dbt models as assets: one multi-asset per destination, whose run starts dbt once for all selected models."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from taxi_platform.analytics.dbt_process import DbtFailed, DbtUnavailable, Node, is_transient
from taxi_platform.analytics.marts import Marts
from taxi_platform.analytics.model import TRIPS, Model
from taxi_platform.analytics.models import MODELS
from taxi_platform.analytics.zones import taxi_zones, zone_table
from taxi_platform.destinations.base import Resources
from taxi_platform.trips.partitions import TripMonth, trip_partitions
from taxi_platform.trips.trip_asset import OWNERS, retries

ZONE_TABLE = "taxi_zone_lookup"
"""The seed that holds TLC's zone table."""

Event = dg.MaterializeResult | dg.AssetCheckResult


def mart_key(marts: Marts, model: str) -> dg.AssetKey:
    """Return the key of a model's asset."""
    return dg.AssetKey([marts.name, model])


def mart_assets(marts: Marts) -> dg.AssetsDefinition:
    """Return the assets of the destination's marts, with dbt's tests as their checks."""

    @dg.multi_asset(
        name=f"{marts.name}_marts",
        specs=[_spec(marts, model) for model in MODELS],
        check_specs=[
            dg.AssetCheckSpec(name, asset=mart_key(marts, model.name), description=f"dbt's test {test}.")
            for model in MODELS
            for name, test in model.tests.items()
        ],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=retries(5),
        required_resource_keys=set(marts.destination.resource_keys),
    )
    def build_marts(context: dg.AssetExecutionContext) -> Iterator[Event]:
        resources = {key: getattr(context.resources, key) for key in marts.destination.resource_keys}
        yield from _build(context, marts, resources)

    return build_marts


def _spec(marts: Marts, model: Model) -> dg.AssetSpec:
    deps = [marts.destination.table if name == TRIPS else mart_key(marts, name) for name in model.depends_on]
    return dg.AssetSpec(
        mart_key(marts, model.name),
        deps=[*deps, taxi_zones] if model.name == ZONE_TABLE else deps,
        description=model.description,
        group_name=marts.name,
        kinds={"dbt", "view" if model.materialized == "view" else "table"},
        owners=OWNERS,
        code_version="1",
        partitions_def=trip_partitions if model.by_file else None,
        metadata={
            "dagster/table_name": f"marts.{model.name}",
            "dagster/column_schema": dg.TableSchema(
                columns=[dg.TableColumn(name, description=text) for name, text in model.columns.items()]
            ),
        },
    )


def _build(context: dg.AssetExecutionContext, marts: Marts, resources: Resources) -> Iterator[Event]:
    models = [model for model in MODELS if mart_key(marts, model.name) in context.selected_asset_keys]
    months = [TripMonth.from_key(key) for key in context.partition_keys] if _is_by_file(models) else []
    with marts.dbt(resources, months) as (dbt, versions):
        nodes, output = dbt.build(
            [model.name for model in models],
            files=versions,
            days=marts.days(resources, months),
            zones=zone_table(),
        )
    context.log.info(output)
    found = {node.name: node for node in nodes}
    built = [model for model in models if model.name in found and found[model.name].succeeded]
    rows = _count_rows(marts, resources, built, versions)
    for model in built:
        yield _materialization(marts, model, found[model.name], rows.get(model.name), months)
    yield from _check_results(context, marts, models, found)
    _raise_failures([found[model.name] for model in models if model not in built and model.name in found], nodes)


def _is_by_file(models: Iterable[Model]) -> bool:
    return any(model.by_file for model in models)


def _count_rows(
    marts: Marts, resources: Resources, models: Iterable[Model], filenames: Iterable[str]
) -> dict[str, int]:
    """Return the rows of each built table, of the chosen files where it is built by file."""
    # Names of published files, which months have in a validated form.
    chosen = ", ".join(f"'{filename}'" for filename in filenames)
    counts: dict[str, int] = {}
    with marts.reading(resources) as query:
        for model in models:
            if model.materialized != "view":
                where = f" where filename in ({chosen})" if model.by_file else ""
                counts[model.name] = query(f"select count(*) from {marts.schema(resources)}.{model.name}{where}")[0][0]
    return counts


def _materialization(
    marts: Marts, model: Model, node: Node, rows: int | None, months: Sequence[TripMonth]
) -> dg.MaterializeResult:
    metadata: dict[str, Any] = {"seconds": round(node.seconds, 2)}
    if rows is not None:
        # Dagster stamps one result on every partition of a range.
        name = "rows_of_range" if model.by_file and len(months) > 1 else "dagster/partition_row_count"
        metadata[name if model.by_file else "dagster/row_count"] = rows
    return dg.MaterializeResult(asset_key=mart_key(marts, model.name), metadata=metadata)


def _check_results(
    context: dg.AssetExecutionContext, marts: Marts, models: Iterable[Model], found: Mapping[str, Node]
) -> Iterator[dg.AssetCheckResult]:
    for model in models:
        for name, test in model.tests.items():
            key = mart_key(marts, model.name)
            node = found.get(test)
            if dg.AssetCheckKey(key, name) in context.selected_asset_check_keys and node and node.status != "skipped":
                yield dg.AssetCheckResult(
                    asset_key=key,
                    check_name=name,
                    passed=node.succeeded,
                    description=node.message or None,
                    metadata={} if node.failures is None else {"violating_rows": node.failures},
                )


def _raise_failures(failed: Sequence[Node], nodes: Iterable[Node]) -> None:
    """Raise the error for the models that dbt did not build, with dbt's messages."""
    if not failed:
        return
    causes = [node for node in nodes if node.status in ("error", "fail")]
    text = "\n".join(f"{node.name}: {node.message.strip()}" for node in causes)
    what = f"dbt did not build {', '.join(node.name for node in failed)}.\n{text}"
    if is_transient(text):
        raise DbtUnavailable(what, "Check that the server responds, and that no other build is running.")
    raise DbtFailed(what, "Correct the model, or the rows that violate the test.")
