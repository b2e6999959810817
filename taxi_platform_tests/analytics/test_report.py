"""The report: figures, the page in a browser, the picture, the command."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from taxi_platform.analytics.definitions import MARTS
from taxi_platform.analytics.report.figures import NoMarts, read_figures
from taxi_platform.definitions import build_defs
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform_tests.support.browser import find_programs
from taxi_platform_tests.support.waiting import PATIENCE

CREATE = """
create schema marts;
create table marts.dim_zones as
    select * from (values (41, 'Manhattan', 'Central Harlem'), (42, 'Manhattan', 'Central Harlem North'),
        (75, 'Manhattan', 'East Harlem South'), (264, 'Unknown', 'NV')) as zones (location_id, borough, zone);
create table marts.zone_revenue_by_file as
    select 'Green' as service_type, file_month, zone as pickup_location_id,
        (zone + extract(month from file_month))::bigint as trips,
        (zone * extract(month from file_month) + 0.25)::numeric as total_amount
    from unnest(array[date '2020-03-01', '2020-04-01', '2020-06-01']) as file_month,
        unnest(array[41, 42, 75, 264]) as zone;
create table marts.hourly_trips_by_file as
    select 'Green' as service_type, date_trunc('month', pickup_hour)::date as file_month, pickup_hour::timestamp,
        2::bigint as trips, 10.5::numeric as total_amount
    from generate_series(timestamp '2020-03-01', '2020-04-20', interval '5 hours') as pickup_hour
    union all select 'Green', '2020-04-01', '2009-01-01', 1, 5;
create table marts.built_files (mart text, filename text, sha256 text, built_at timestamptz, load_record text);
"""


@pytest.fixture
def marts_url(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TAXI_HOME", str(tmp_path / "home"))
    with psycopg.connect(postgres_url) as connection:
        connection.execute(CREATE)
    return postgres_url


@pytest.fixture
def page(marts_url: str, tmp_path: Path) -> Path:
    """Return the path of the page that the asset writes."""
    asset = dg.AssetKey("report")
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_defs(postgres=Postgres(url=marts_url)).resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(asset_selection=[asset], instance=instance)
    (event,) = result.asset_materializations_for_node("report")
    assert event.metadata["trips"].value == sum(row[0] for row in query(marts_url, SUMS))
    assert "data:image/png;base64," in str(event.metadata["picture"].value)
    return tmp_path / "home" / "report" / "index.html"


SUMS = "select sum(trips)::int, sum(total_amount)::float from marts.zone_revenue_by_file"


def query(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


@contextmanager
def opened(page: Path) -> Iterator[webdriver.Chrome]:
    programs = find_programs()
    if programs is None:
        pytest.skip("chromium and chromedriver are not on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))
    try:
        driver.get(page.as_uri())
        yield driver
        assert driver.get_log("browser") == []
    finally:
        driver.quit()


def wait_until_drawn(driver: webdriver.Chrome, **chosen: str) -> None:
    def drawn(_: object) -> bool:
        state = json.loads(driver.find_element(By.TAG_NAME, "body").get_attribute("data-drawn") or "{}")
        return bool(state) and all(state[name] == value for name, value in chosen.items())

    WebDriverWait(driver, PATIENCE).until(drawn)


def figures_of_map(driver: webdriver.Chrome) -> dict[int, tuple[int, float]]:
    """Return trips and revenue of each drawn zone that has trips."""
    rows = driver.execute_script(
        "return views.map.data('rows').map(({id, properties}) => [id, properties.trips, properties.revenue])"
    )
    return {zone: (trips, revenue) for zone, trips, revenue in rows if trips}


def test_page_shows_figures_of_marts(page: Path, marts_url: str) -> None:
    zones = "select pickup_location_id, sum(trips)::int, sum(total_amount)::float from marts.zone_revenue_by_file"
    with opened(page) as driver:
        wait_until_drawn(driver)
        of_all = {zone: rest for zone, *rest in query(marts_url, f"{zones} where pickup_location_id < 264 group by 1")}
        assert figures_of_map(driver) == {zone: tuple(rest) for zone, rest in of_all.items()}
        assert driver.find_element(By.ID, "total-trips").text == f"{query(marts_url, SUMS)[0][0]:,}"
        assert "East Harlem South leads" in driver.find_element(By.ID, "top-text").text
        Select(driver.find_element(By.ID, "from")).select_by_value("2020-04")
        Select(driver.find_element(By.ID, "to")).select_by_value("2020-04")
        Select(driver.find_element(By.ID, "measure")).select_by_value("trips")
        wait_until_drawn(driver, **{"from": "2020-04", "to": "2020-04", "measure": "trips"})
        where = "where file_month = '2020-04-01' and pickup_location_id < 264"
        assert figures_of_map(driver) == {
            zone: tuple(rest) for zone, *rest in query(marts_url, f"{zones} {where} group by 1")
        }
        table = driver.find_element(By.ID, "months-table").get_attribute("textContent")
        assert "Days missing" in (table or "")


def test_page_fetches_nothing(page: Path) -> None:
    with opened(page) as driver:
        wait_until_drawn(driver)
        assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_report_lists_missing_months(marts_url: str) -> None:
    (marts,) = (marts for marts in MARTS if marts.name == "postgres")
    months = read_figures(marts, {"postgres": Postgres(url=marts_url)}).months
    green = months[months["colour"] == "Green"]
    assert dict(zip(green["month"], green["status"], strict=True)) == {
        "2020-03": "Complete",
        "2020-04": "Days missing",
        "2020-05": "Not loaded",
        "2020-06": "Days missing",
    }


def test_report_without_marts_names_asset(postgres_url: str) -> None:
    with pytest.raises(NoMarts, match="Materialize postgres/fct_monthly_zone_revenue"):
        read_figures(MARTS[0], {"postgres": Postgres(url=postgres_url)})


def test_command_prints_path(marts_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_POSTGRES_URL", marts_url)
    command = [Path(sys.executable).with_name("taxi-platform"), "report", "--no-open"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{query(marts_url, SUMS)[0][0]:,} trips of 3 months: ")
    assert (tmp_path / "home" / "report" / "index.html").exists()
