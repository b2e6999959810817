"""The tables and views that dbt builds, declared so that Dagster's processes need neither dbt nor its manifest.

The declarations are derived from the dbt project by `python -m taxi_platform_tests.support.dbt_declarations`; a test compares
the two.
"""

# ruff: noqa: E501 - a description is one string.

from collections.abc import Mapping
from dataclasses import dataclass

TRIPS = "trips"
"""Stands among the dependencies for the destination's table of trips."""


@dataclass(frozen=True)
class Model:
    """One table or view of the marts."""

    name: str
    materialized: str
    """dbt's materialization: `seed`, `table`, `view` or `incremental`."""
    by_file: bool
    """Whether a build replaces the rows of chosen files only."""
    description: str
    depends_on: tuple[str, ...]
    columns: Mapping[str, str]
    """Descriptions by name."""
    tests: Mapping[str, str]
    """Names of dbt's tests by the names of the asset checks."""


MODELS = (
    Model(
        name="built_files",
        materialized="incremental",
        by_file=False,
        description="Which version of which file each mart was built from. A row changes in one transaction with the rows of the mart.",
        depends_on=(),
        columns={
            "mart": "Table that the file's rows were built into.",
            "filename": "Uncompressed name of the published file that the row comes from.",
            "sha256": "Version of the file that was built; empty after a build by hand, which does not know it.",
            "built_at": "When the rows were built.",
        },
        tests={
            "filename_not_null": "not_null_built_files_filename",
            "mart_not_null": "not_null_built_files_mart",
            "unique_combination": "unique_combination_built_files_mart__filename",
        },
    ),
    Model(
        name="payment_types",
        materialized="seed",
        by_file=False,
        description="How a trip can be paid.",
        depends_on=(),
        columns={
            "payment_type": "Code in the files; 0 stands for an empty field.",
            "description": "What the code means.",
        },
        tests={
            "description_not_null": "not_null_payment_types_description",
            "payment_type_not_null": "not_null_payment_types_payment_type",
            "payment_type_unique": "unique_payment_types_payment_type",
        },
    ),
    Model(
        name="rate_codes",
        materialized="seed",
        by_file=False,
        description="Rates that the meter can apply.",
        depends_on=(),
        columns={"rate_code_id": "Code in the files.", "rate_code": "Name of the rate."},
        tests={
            "rate_code_id_not_null": "not_null_rate_codes_rate_code_id",
            "rate_code_id_unique": "unique_rate_codes_rate_code_id",
            "rate_code_not_null": "not_null_rate_codes_rate_code",
        },
    ),
    Model(
        name="taxi_zone_lookup",
        materialized="seed",
        by_file=False,
        description="TLC's taxi zones as published.",
        depends_on=(),
        columns={
            "location_id": "Number of the zone in the files.",
            "borough": "Borough; EWR for Newark Airport, Unknown for places outside New York.",
            "zone": "Name of the zone.",
            "service_zone": "Zone of service: yellow zone, boro zone or airports.",
        },
        tests={
            "location_id_not_null": "not_null_taxi_zone_lookup_location_id",
            "location_id_unique": "unique_taxi_zone_lookup_location_id",
        },
    ),
    Model(
        name="vendors",
        materialized="seed",
        by_file=False,
        description="Companies whose meters record the trips.",
        depends_on=(),
        columns={"vendor_id": "Code in the files.", "vendor": "Name of the company."},
        tests={
            "vendor_id_not_null": "not_null_vendors_vendor_id",
            "vendor_id_unique": "unique_vendors_vendor_id",
            "vendor_not_null": "not_null_vendors_vendor",
        },
    ),
    Model(
        name="dim_zones",
        materialized="table",
        by_file=False,
        description="TLC's taxi zones.",
        depends_on=("taxi_zone_lookup",),
        columns={
            "location_id": "Number of the zone.",
            "borough": "Borough; EWR for Newark Airport, Unknown for places outside New York.",
            "zone": "Name of the zone.",
            "service_zone": "Zone of service: yellow zone, boro zone or airports.",
        },
        tests={
            "location_id_not_null": "not_null_dim_zones_location_id",
            "location_id_unique": "unique_dim_zones_location_id",
        },
    ),
    Model(
        name="fct_trips",
        materialized="incremental",
        by_file=True,
        description="One row per trip that a meter recorded. Where rows of one file have the same vendor, pickup time and pickup zone, one is kept: the first by dropoff, then the one with the highest amounts.",
        depends_on=("built_files", "dim_zones", "payment_types", "rate_codes", "trips", "vendors"),
        columns={
            "trip_id": "MD5 of vendor, pickup time, pickup zone and file name.",
            "service_type": "Green or Yellow.",
            "filename": "Uncompressed name of the published file that the row comes from.",
            "file_month": "Month in the file's name, as its first day.",
            "vendor_id": "Provider of the record.",
            "vendor": "Name of the vendor.",
            "rate_code_id": "Rate at the end of the trip; see rate_codes.",
            "rate_code": "Name of the rate.",
            "pickup_location_id": "TLC taxi zone in which the meter was engaged.",
            "pickup_borough": "Borough of the pickup.",
            "pickup_zone": "Zone of the pickup.",
            "dropoff_location_id": "TLC taxi zone in which the meter was disengaged.",
            "dropoff_borough": "Borough of the dropoff.",
            "dropoff_zone": "Zone of the dropoff.",
            "pickup_datetime": "When the meter was engaged, New York local time.",
            "dropoff_datetime": "When the meter was disengaged, New York local time.",
            "store_and_fwd_flag": "Y if the record was stored in the vehicle before it was sent, because there was no connection; else N.",
            "passenger_count": "Number of passengers, as entered by the driver.",
            "trip_distance": "Distance of the trip in miles, from the taximeter.",
            "trip_type": "How the trip began: 1 street hail, 2 dispatch; always 1 for yellow taxis.",
            "fare_amount": "Fare by time and distance from the meter, in US dollars; negative for a refund.",
            "extra": "Extras and surcharges such as rush hour and overnight, in US dollars.",
            "mta_tax": "MTA tax triggered by the metered rate in use, in US dollars.",
            "tip_amount": "Tip paid by credit card, in US dollars; cash tips are not included.",
            "tolls_amount": "All tolls paid in the trip, in US dollars.",
            "ehail_fee": "Fee for a trip hailed electronically, in US dollars; empty in all files so far.",
            "improvement_surcharge": "Improvement surcharge assessed at the flag drop, in US dollars.",
            "congestion_surcharge": "New York State's congestion surcharge for the trip, in US dollars.",
            "total_amount": "Total charged to the passenger in US dollars, without cash tips.",
            "payment_type": "How the trip was paid; see payment_types.",
            "payment_type_description": "What the payment type means.",
        },
        tests={
            "dropoff_location_id_relationships": "relationships_fct_trips_dropoff_location_id__location_id__ref_dim_zones_",
            "filename_not_null": "not_null_fct_trips_filename",
            "payment_type_description_not_null": "not_null_fct_trips_payment_type_description",
            "pickup_location_id_relationships": "relationships_fct_trips_pickup_location_id__location_id__ref_dim_zones_",
            "service_type_accepted_values": "accepted_values_fct_trips_service_type__Green__Yellow",
            "service_type_not_null": "not_null_fct_trips_service_type",
            "trip_id_not_null": "not_null_fct_trips_trip_id",
            "trip_id_unique": "unique_fct_trips_trip_id",
        },
    ),
    Model(
        name="fare_percentiles_by_month",
        materialized="view",
        by_file=False,
        description="Percentiles of the fare per month of pickup and service type, of trips within known zones that have a positive fare and distance and were paid in cash or by credit card.",
        depends_on=("fct_trips",),
        columns={
            "service_type": "Green or Yellow.",
            "pickup_month": "Month of the pickup, as its first day.",
            "trips": "Trips that the percentiles are of.",
            "fare_p90": "Smallest fare that at least 90 percent of the fares do not exceed, in US dollars.",
            "fare_p95": "Smallest fare that at least 95 percent of the fares do not exceed, in US dollars.",
            "fare_p97": "Smallest fare that at least 97 percent of the fares do not exceed, in US dollars.",
        },
        tests={
            "service_type_not_null": "not_null_fare_percentiles_by_month_service_type",
            "unique_combination": "unique_combination_fare_percentiles_by_month_service_type__pickup_month",
        },
    ),
    Model(
        name="hourly_trips_by_file",
        materialized="incremental",
        by_file=True,
        description="Trips and revenue per file and hour of pickup.",
        depends_on=("built_files", "fct_trips"),
        columns={
            "filename": "Uncompressed name of the published file that the row comes from.",
            "file_month": "Month in the file's name, as its first day.",
            "service_type": "Green or Yellow.",
            "pickup_hour": "Hour of the pickup, New York local time.",
            "trips": "Trips.",
            "total_amount": "Sum charged to passengers, in US dollars, without cash tips.",
        },
        tests={
            "filename_not_null": "not_null_hourly_trips_by_file_filename",
            "trips_not_null": "not_null_hourly_trips_by_file_trips",
            "unique_combination": "unique_combination_hourly_trips_by_file_filename__pickup_hour",
        },
    ),
    Model(
        name="zone_revenue_by_file",
        materialized="incremental",
        by_file=True,
        description="Revenue and trips per file, month of pickup and pickup zone: what one file adds to fct_monthly_zone_revenue.",
        depends_on=("built_files", "fct_trips"),
        columns={
            "filename": "Uncompressed name of the published file that the row comes from.",
            "file_month": "Month in the file's name, as its first day.",
            "service_type": "Green or Yellow.",
            "revenue_month": "Month of the pickup, as its first day.",
            "pickup_location_id": "TLC taxi zone in which the meter was engaged.",
            "pickup_zone": "Zone of the pickup.",
            "fare_amount": "Sum of fares, in US dollars.",
            "extra": "Sum of extras, in US dollars.",
            "mta_tax": "Sum of MTA tax, in US dollars.",
            "tip_amount": "Sum of tips, in US dollars.",
            "tolls_amount": "Sum of tolls, in US dollars.",
            "ehail_fee": "Sum of e-hail fees, in US dollars.",
            "improvement_surcharge": "Sum of improvement surcharges, in US dollars.",
            "total_amount": "Sum charged to passengers, in US dollars, without cash tips.",
            "trips": "Trips.",
            "passengers": "Passengers of the trips that say how many.",
            "trips_with_passengers": "Trips that say how many passengers they had.",
            "trip_distance": "Miles.",
        },
        tests={
            "filename_not_null": "not_null_zone_revenue_by_file_filename",
            "trips_not_null": "not_null_zone_revenue_by_file_trips",
            "unique_combination": "unique_combination_zone_revenue_by_file_filename__revenue_month__pickup_location_id__service_type",
        },
    ),
    Model(
        name="fct_monthly_zone_revenue",
        materialized="view",
        by_file=False,
        description="One row per pickup zone, month of pickup and service type.",
        depends_on=("zone_revenue_by_file",),
        columns={
            "pickup_zone": "Name of the pickup zone.",
            "revenue_month": "Month of the pickup, as its first day.",
            "service_type": "Green or Yellow.",
            "revenue_monthly_fare": "Sum of fares, in US dollars.",
            "revenue_monthly_extra": "Sum of extras, in US dollars.",
            "revenue_monthly_mta_tax": "Sum of MTA tax, in US dollars.",
            "revenue_monthly_tip_amount": "Sum of tips, in US dollars.",
            "revenue_monthly_tolls_amount": "Sum of tolls, in US dollars.",
            "revenue_monthly_ehail_fee": "Sum of e-hail fees, in US dollars.",
            "revenue_monthly_improvement_surcharge": "Sum of improvement surcharges, in US dollars.",
            "revenue_monthly_total_amount": "Sum charged to passengers, in US dollars, without cash tips.",
            "total_monthly_trips": "Trips.",
            "avg_monthly_passenger_count": "Mean number of passengers of the trips that say how many.",
            "avg_monthly_trip_distance": "Mean distance in miles.",
        },
        tests={
            "pickup_zone_not_null": "not_null_fct_monthly_zone_revenue_pickup_zone",
            "service_type_accepted_values": "accepted_values_fct_monthly_zone_revenue_service_type__Green__Yellow",
            "service_type_not_null": "not_null_fct_monthly_zone_revenue_service_type",
            "total_monthly_trips_not_null": "not_null_fct_monthly_zone_revenue_total_monthly_trips",
            "unique_combination": "unique_combination_fct_monthly_zone_revenue_pickup_zone__revenue_month__service_type",
        },
    ),
    Model(
        name="quarterly_revenue",
        materialized="view",
        by_file=False,
        description="Revenue per quarter of pickup and service type, and its growth against the same quarter of the year before.",
        depends_on=("zone_revenue_by_file",),
        columns={
            "service_type": "Green or Yellow.",
            "revenue_year": "Year of the pickup.",
            "revenue_quarter": "Quarter of the pickup, 1 to 4.",
            "total_amount": "Sum charged to passengers, in US dollars, without cash tips.",
            "trips": "Trips.",
            "total_amount_year_before": "The same sum one year earlier; empty where there were no trips.",
            "growth_percent": "Growth of the sum over that year, in percent.",
        },
        tests={
            "service_type_not_null": "not_null_quarterly_revenue_service_type",
            "unique_combination": "unique_combination_quarterly_revenue_service_type__revenue_year__revenue_quarter",
        },
    ),
)
