"""The assets as Dagster runs them: from a mirror over HTTP to rows, checks and metadata."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from taxi_platform.definitions import build_defs
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.errors import BadFile, DatabaseUnavailable
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.source.known_row_counts import published_rows
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.conftest import REPO, ServeFolder
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.platform import Platform, checks_of, failure_of, metadata_of, platform_over
from taxi_platform_tests.support.trip_files import csv_text, publish, trip

GREEN = TripMonth.from_key("green|2020-04")
YELLOW = TripMonth.from_key("yellow|2020-04")
ASSETS = ("raw_csv", "postgres_staging", "postgres_tripdata")


def query(url: str, text: str) -> list[tuple]:
    with psycopg.connect(url) as connection:
        return connection.execute(text).fetchall()  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_load_reports_rows_and_preview(platform: Platform, mirror: HttpMirror, postgres_url: str) -> None:
    rows = [trip(GREEN), trip(GREEN, "02 00:00:00"), trip(GREEN, "2009-01-01 00:00:00")]
    publish(mirror.folder, GREEN, csv_text(GREEN, rows))
    result = platform.run(GREEN, *ASSETS)

    staging, table = metadata_of(result, "postgres_staging"), metadata_of(result, "postgres_tripdata")
    assert staging["rows_staged"] == staging["dagster/partition_row_count"] == 3
    assert table["dagster/table_name"] == "public.green_tripdata"
    assert (table["rows_in_file"], table["rows_in_table"], table["duplicates_skipped"]) == (3, 3, 0)
    assert table["pickups_outside_month"] == 1
    assert table["changed"] is True
    for facts in (staging, table):
        assert facts["seconds"] > 0  # pyright: ignore[reportOperatorIssue]
        assert facts["rows_per_second"] > 0  # pyright: ignore[reportOperatorIssue]
        assert len(facts["preview"].records) == 3  # pyright: ignore[reportAttributeAccessIssue]
    assert query(postgres_url, "select count(*) from green_tripdata") == [(3,)]


def test_sha256_is_the_data_version_of_all_assets(platform: Platform, mirror: HttpMirror) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    result = platform.run(GREEN, *ASSETS)
    sha256 = metadata_of(result, "raw_csv")["sha256"]
    for event in result.get_asset_materialization_events():
        tags = event.materialization.tags or {}
        assert tags["dagster/data_version"] == sha256
        assert metadata_of(result, event.materialization.asset_key.to_user_string())["sha256"] == sha256


@pytest.mark.parametrize("month", [GREEN, YELLOW], ids=["green", "yellow"])
def test_columns_have_descriptions_and_lineage(platform: Platform, mirror: HttpMirror, month: TripMonth) -> None:
    publish(mirror.folder, month, csv_text(month, [trip(month)]))
    result = platform.run(month, *ASSETS)
    for asset in ("postgres_staging", "postgres_tripdata"):
        facts = metadata_of(result, asset)
        schema, lineage = facts["dagster/column_schema"], facts["dagster/column_lineage"]
        assert isinstance(schema, dg.TableSchema)
        assert isinstance(lineage, dg.TableColumnLineage)
        names = ["unique_row_id", "filename", *[column.name.lower() for column in month.colour.columns]]
        assert [column.name for column in schema.columns] == names
        assert all(column.description for column in schema.columns)
        deps = {name: [dep.column_name for dep in deps] for name, deps in lineage.deps_by_column.items()}
        assert deps["vendorid"] == ["VendorID"]
        assert deps["filename"] == []
        assert set(deps["unique_row_id"]) == {column.name for column in month.colour.row_id}


def test_checks_count_rows_and_warn_of_out_of_month_rows(platform: Platform, mirror: HttpMirror) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    assert checks_of(platform.run(GREEN, *ASSETS)) == {
        "every_row_accounted_for": True,
        "rows_as_published": True,
        "pickups_inside_month": True,
        "locks_for_all_months": True,
    }
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN), trip(GREEN, "2009-01-01 00:00:00")]))
    result = platform.run(GREEN, *ASSETS)
    assert result.success
    assert not checks_of(result)["pickups_inside_month"]
    [warning] = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert warning.severity == dg.AssetCheckSeverity.WARN
    assert warning.metadata["pickups_outside_month"].value == 1


def test_too_few_locks_for_all_months_are_a_warning(
    mirror: HttpMirror, postgres15_url: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_over(mirror.url, tmp_path, instance, postgres=Postgres(url=postgres15_url))
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    assert checks_of(platform.run(GREEN, *ASSETS))["locks_for_all_months"]
    with psycopg.connect(postgres15_url, autocommit=True) as connection:
        connection.execute(
            "do $$ begin for n in 1..260 loop execute format('create table trip_months.made_up_%s partition of "
            "green_tripdata for values in (''made up %s'')', n, n); end loop; end $$"
        )
    result = platform.run(GREEN, *ASSETS)
    assert result.success
    [warning] = [each for each in result.get_asset_check_evaluations() if not each.passed]
    assert (warning.check_name, warning.severity) == ("locks_for_all_months", dg.AssetCheckSeverity.WARN)
    assert "alter system set max_locks_per_transaction = 512; then restart" in str(warning.description)


def every_row_accounted_for(platform: Platform, month: TripMonth) -> dg.AssetCheckEvaluation:
    """Executes the check alone, as in the web interface."""
    key = dg.AssetCheckKey(dg.AssetKey("postgres_tripdata"), "every_row_accounted_for")
    job = platform.defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(), asset_check_selection={key}
    )
    [evaluation] = job.execute_in_process(partition_key=month.key).get_asset_check_evaluations()
    return evaluation


def test_deleted_row_fails_check_and_rerun_restores_it(
    platform: Platform, mirror: HttpMirror, postgres_url: str
) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN), trip(GREEN)]))
    platform.run(GREEN, *ASSETS)
    query(postgres_url, "delete from green_tripdata where ctid = '(0,1)' returning 1")

    check = every_row_accounted_for(platform, GREEN)
    assert not check.passed
    assert "changed by hand since the month was loaded: DELETE by taxi at" in str(check.description)
    step, says = failure_of(platform.run(GREEN, "postgres_tripdata"))
    assert step == "postgres_tripdata"
    assert "does not have all of its rows unchanged" in says

    result = platform.run(GREEN, *ASSETS)
    assert checks_of(result)["every_row_accounted_for"]
    assert metadata_of(result, "postgres_tripdata")["changed"] is True


def test_second_run_changes_nothing(platform: Platform, mirror: HttpMirror) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    first = platform.run(GREEN, *ASSETS)
    second = platform.run(GREEN, *ASSETS)
    assert metadata_of(second, "raw_csv")["reused"] is True
    assert metadata_of(second, "postgres_staging")["already_loaded"] is True
    assert metadata_of(second, "postgres_tripdata")["changed"] is False
    assert metadata_of(second, "postgres_tripdata")["loaded_at"] == metadata_of(first, "postgres_tripdata")["loaded_at"]


def test_corrected_file_replaces_month(platform: Platform, mirror: HttpMirror) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    older = metadata_of(platform.run(GREEN, *ASSETS), "raw_csv")["sha256"]
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN), trip(GREEN, fare_amount="9")]))
    # Without raw_csv in the selection too: the input is asked for as it is published now.
    table = metadata_of(platform.run(GREEN, "postgres_staging", "postgres_tripdata"), "postgres_tripdata")
    assert (table["rows_in_table"], table["replaced_sha256"]) == (2, older)


def test_each_asset_can_be_materialized_alone(platform: Platform, mirror: HttpMirror, postgres_url: str) -> None:
    step, says = failure_of(platform.run(GREEN, "postgres_tripdata"))
    assert step == "postgres_tripdata"
    assert "Nothing is staged for green|2020-04" in says
    assert "Materialize it with its upstream assets" in says

    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    assert metadata_of(platform.run(GREEN, "postgres_staging"), "postgres_staging")["rows_staged"] == 1
    assert query(postgres_url, "select count(*) from green_tripdata") == [(0,)]
    assert metadata_of(platform.run(GREEN, "postgres_tripdata"), "postgres_tripdata")["changed"] is True
    assert metadata_of(platform.run(GREEN, "postgres_tripdata"), "postgres_tripdata")["changed"] is False
    assert metadata_of(platform.run(GREEN, "postgres_staging"), "postgres_staging")["rows_staged"] == 0
    assert query(postgres_url, "select count(*) from green_tripdata") == [(1,)]


def test_bad_file_fails_once_and_changes_nothing(platform: Platform, mirror: HttpMirror, postgres_url: str) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    assert platform.run(GREEN, *ASSETS).success
    before = query(postgres_url, "select *, xmin::text from green_tripdata")
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN), trip(GREEN, fare_amount="much")]))
    result = platform.run(GREEN, *ASSETS)
    step, says = failure_of(result)
    assert step == "raw_csv"
    assert says.startswith('green_tripdata_2020-04.csv.gz, line 3, column fare_amount: "much" is not a number.')
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    assert query(postgres_url, "select *, xmin::text from green_tripdata") == before


def test_only_transient_errors_are_retried() -> None:
    for name in ASSETS:
        asset = build_defs().resolve_asset_graph().get(dg.AssetKey(name)).assets_def
        policy = asset.node_def.retry_policy  # pyright: ignore[reportAttributeAccessIssue]
        assert policy.backoff == dg.Backoff.EXPONENTIAL
        assert policy.jitter is not None
    assert DatabaseUnavailable("", "").allow_retries
    assert not BadFile("", "", filename="").allow_retries


@pytest.fixture
def cli_home(tmp_path: Path) -> Iterator[Path]:
    """A home of its own for a command, whose embedded server is removed at the end."""
    home = tmp_path / "home"
    yield home
    EmbeddedPostgres(home / "postgres").remove()


def materialize(folder: Path, month: TripMonth, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command of the README, typed in that folder."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "dagster", "asset", "materialize", "-m", "taxi_platform"),
            *("--select", "+postgres_tripdata", "--partition", month.key),
        ],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPO), **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_readme_command_loads_into_embedded_server(mirror: HttpMirror, cli_home: Path) -> None:
    """Typed where the README has it typed: Dagster reads the dagster.yaml that lies there."""
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN), trip(GREEN)]))
    done = materialize(REPO, GREEN, TAXI_HOME=str(cli_home), TAXI_SOURCE_URL=mirror.url)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(EmbeddedPostgres(cli_home / "postgres").url()) as connection:
        assert connection.execute("select count(*) from green_tripdata").fetchall() == [(2,)]


def test_readme_command_reads_a_dotenv_file(mirror: HttpMirror, postgres15_url: str, tmp_path: Path) -> None:
    """To a PostgreSQL 15 with a password over TCP."""
    publish(mirror.folder, YELLOW, csv_text(YELLOW, [trip(YELLOW)]))
    settings = f"TAXI_HOME={tmp_path}/home\nTAXI_SOURCE_URL={mirror.url}\nTAXI_POSTGRES_URL={postgres15_url}\n"
    (tmp_path / ".env").write_text(settings)
    done = materialize(tmp_path, YELLOW)
    assert done.returncode == 0, done.stderr
    assert postgres15_url.split(":")[2].split("@", maxsplit=1)[0] not in done.stdout + done.stderr
    with psycopg.connect(postgres15_url) as connection:
        assert connection.execute("select count(*) from yellow_tripdata").fetchall() == [(1,)]


def test_real_files_are_loaded_completely(
    real_files: Path,
    real_months: list[TripMonth],
    serve_folder: ServeFolder,
    each_postgres_url: str,
    tmp_path: Path,
    instance: dg.DagsterInstance,
) -> None:
    url = each_postgres_url
    with serve_folder(real_files) as mirror:
        platform = platform_over(mirror.url, tmp_path, instance, postgres=Postgres(url=url))
        for month in real_months:
            result = platform.run(month, *ASSETS)
            assert checks_of(result)["every_row_accounted_for"]
            assert metadata_of(result, "postgres_tripdata")["duplicates_skipped"] == 0
    for colour in COLOURS.values():
        of_colour = [month for month in real_months if month.colour == colour]
        assert dict(query(url, f"select filename, count(*) from {colour.table} group by 1")) == {
            month.filename: rows_of_real_file(month) for month in of_colour
        }
        text = ", ".join(column.folded_name for column in colour.row_id)
        wrong = f"select count(*) from {colour.table} where unique_row_id is distinct from md5(concat({text}))"
        assert query(url, wrong) == [(0,)]


def rows_of_real_file(month: TripMonth) -> int:
    """Green months are complete, yellow ones are samples."""
    if month.colour.name == "green":
        return published_rows(month) or 76_518
    return 22_792 if month.month == "2021-01" else 10_000
