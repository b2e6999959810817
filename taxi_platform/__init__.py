"""New York's taxi trips, month by month, into PostgreSQL and BigQuery, on Dagster.

`dagster ... -m taxi_platform` finds the definitions here.
"""

from taxi_platform.definitions import defs as defs
