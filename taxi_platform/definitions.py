"""The definitions of the code location: assets, checks, jobs, schedules, sensors and resources, merged."""

from typing import Any, Unpack

import dagster as dg

from taxi_platform.analytics.definitions import analytics_defs
from taxi_platform.automation.freshness import newest_months_loaded
from taxi_platform.automation.jobs import freshness_job, load_month
from taxi_platform.automation.purge import purge_files
from taxi_platform.automation.reconcile import reconcile_job, reconcile_schedule
from taxi_platform.automation.schedules import freshness_schedule, monthly_schedules
from taxi_platform.automation.sensors import failed_run_sensor, new_months_sensor
from taxi_platform.destinations.registry import DESTINATIONS, DestinationResources
from taxi_platform.getting_started.definitions import TutorialResources, tutorial_defs
from taxi_platform.source.definitions import ASSETS as SOURCE_ASSETS
from taxi_platform.source.definitions import SourceResources, source_resources
from taxi_platform.webhook import Webhook


class Resources(SourceResources, DestinationResources, TutorialResources, total=False):
    """All resources and IO managers, by key."""

    webhook: Webhook


def build_defs(**given: Unpack[Resources]) -> dg.Definitions:
    """Return the definitions, with the given resources in place of those of the same key.

    IO managers are built on the resources that are given.
    """
    resources: dict[str, Any] = {**source_resources(given), "webhook": Webhook()}
    for destination in DESTINATIONS:
        resources |= destination.resources(given)
    platform = dg.Definitions(
        assets=[
            *SOURCE_ASSETS,
            *(asset for each in DESTINATIONS for asset in (*each.assets, *each.more_assets)),
        ],
        asset_checks=[*(check for each in DESTINATIONS for check in each.checks), newest_months_loaded],
        jobs=[load_month, freshness_job, reconcile_job, purge_files],
        schedules=[*monthly_schedules, freshness_schedule, reconcile_schedule],
        sensors=[new_months_sensor, failed_run_sensor],
        resources=resources | given,
        # A run has a process of its own already; one more for each step costs more than a small month does.
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(platform, analytics_defs(), tutorial_defs(given))


defs = build_defs()
