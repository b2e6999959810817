"""Tests of connections to the embedded server."""

import os
import signal
from pathlib import Path

import dagster as dg
import psutil
import pytest

from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.local.instance import embedded_server
from taxi_platform_tests.support.waiting import PATIENCE


def test_retry_starts_a_killed_embedded_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TAXI_POSTGRES_URL", raising=False)
    monkeypatch.setenv("TAXI_HOME", str(tmp_path / "data"))
    server = embedded_server(tmp_path / "data")

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def attempts(context: dg.AssetExecutionContext, postgres: Postgres) -> dg.MaterializeResult:
        with postgres.connect("test") as connection:
            connection.execute("select 1")
        if context.retry_number == 0:
            postmaster = (server.folder / "server" / "data" / "postmaster.pid").read_text().splitlines()[0]
            sessions = psutil.Process(int(postmaster)).children()
            os.kill(int(postmaster), signal.SIGKILL)
            # A session that is kept may respond until it notices that its server is gone.
            psutil.wait_procs(sessions, PATIENCE)
        with postgres.connect("test") as connection:
            connection.execute("select 1")
        return dg.MaterializeResult(metadata={"retries": context.retry_number})

    try:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize([attempts], resources={"postgres": Postgres()}, instance=instance)
        assert result.success
        [event] = result.get_asset_materialization_events()
        assert event.materialization.metadata["retries"].value == 1
    finally:
        server.remove()
