# Commands for users and developers. Everything is installed in .venv, from the package index that pip is set up for.

PIP = .venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt
INSTALLED = .venv/.installed
INSTALLED_EMULATORS = .venv/.installed-emulators
INSTALLED_FOR_TESTS = .venv/.installed-for-tests
INSTALLED_FOR_BENCH = .venv/.installed-for-bench
INSTALLED_DBT_BIGQUERY = .venv-dbt-bigquery/.installed

.PHONY: help demo demo-gcp dev sql lake stop test test-fast test-bounds lint format bench chaos clean

help:
	@echo "make demo     load sample trips into PostgreSQL and a Parquet lake, and build a report"
	@echo "make demo-gcp the same into BigQuery, on emulators on this machine"
	@echo "make dev      open the web interface"
	@echo "make sql      query the trips with psql, or QUERY='select ...' make sql for one statement"
	@echo "make lake     query the Parquet lake with DuckDB, or QUERY='select ...' make lake for one statement"
	@echo "make stop     stop the embedded PostgreSQL"
	@echo "make test     ruff, pyright and the tests"
	@echo "make test-fast the tests that start no daemon, no browser and no second interpreter"
	@echo "make test-bounds the same with the lowest and the newest versions that pyproject.toml allows; half an hour"
	@echo "make lint     ruff and pyright alone"
	@echo "make format   format the code with ruff"
	@echo "make bench    measure the speed of loading; 50 minutes and 15 GB of disk"
	@echo "make chaos    random faults against the guarantees, by seed; minutes"
	@echo "make clean    remove .venv, caches and the demo; rows of real trips stay"

demo: $(INSTALLED)
	@.venv/bin/taxi-platform demo

demo-gcp: $(INSTALLED_EMULATORS) $(INSTALLED_DBT_BIGQUERY)
	@TAXI_DBT=$$(ls .venv-dbt-bigquery/bin/dbt 2>/dev/null) .venv/bin/taxi-platform demo-gcp

dev: $(INSTALLED)
	@.venv/bin/taxi-platform dev $(OPTIONS)

# As it was typed: make would expand a dollar sign.
sql: export TAXI_QUERY := $(value QUERY)
sql: $(INSTALLED)
	@.venv/bin/taxi-platform sql $${TAXI_QUERY:+"$$TAXI_QUERY"}

lake: export TAXI_QUERY := $(value QUERY)
lake: $(INSTALLED)
	@.venv/bin/taxi-platform lake $${TAXI_QUERY:+"$$TAXI_QUERY"}

stop: $(INSTALLED)
	@.venv/bin/taxi-platform stop

test: lint
	.venv/bin/pytest $(OPTIONS)

# The tests that start no daemon, no browser and no second interpreter.
test-fast: $(INSTALLED_FOR_TESTS)
	.venv/bin/pytest --fast $(OPTIONS)

# Each in an environment of its own, without constraints.txt. Without the emulators, whose extra names one DuckDB.
test-bounds: .venv/bin/python
	.venv/bin/python -m venv --clear .venv/lowest
	.venv/bin/python -m taxi_platform_tests.support.lowest_versions dev marts > .venv/lowest/constraints.txt
	.venv/lowest/bin/pip install --quiet --constraint .venv/lowest/constraints.txt --editable '.[dev,marts]'
	.venv/lowest/bin/pytest --fast $(OPTIONS)
	.venv/bin/python -m venv --clear .venv/newest
	.venv/newest/bin/pip install --quiet --editable '.[dev,marts]'
	.venv/newest/bin/pytest --fast $(OPTIONS)

lint: $(INSTALLED_FOR_TESTS)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/pyright

format: $(INSTALLED_FOR_TESTS)
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

# GROUPS='first again' measures only those.
bench: $(INSTALLED_FOR_BENCH)
	@.venv/bin/python -m benchmarks $(GROUPS)

# OPTIONS="--destination lake --seed 7 --sequences 1" selects sequences.
chaos: $(INSTALLED_FOR_TESTS)
	.venv/bin/python -m taxi_platform_tests.chaos $(OPTIONS)

clean:
	@if [ -x .venv/bin/taxi-platform ]; then .venv/bin/taxi-platform clean; fi
	rm -rf .venv .venv-dbt-bigquery .pytest_cache .ruff_cache build *.egg-info
	find taxi_platform taxi_platform_tests -name __pycache__ -prune -exec rm -rf {} +

# The first Python that fits, or the one that is named: make PYTHON=/path/to/python3.12 demo. 3.14 comes late, because dbt
# does not import on it, so it builds no marts.
.venv/bin/python:
	@for python in $(PYTHON) python3.13 python3.12 python3.11 python3.14 python3 python; do \
	  if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then \
	    echo "Creating .venv with $$python ($$($$python -V))"; \
	    $$python -m venv --clear .venv && exit 0; \
	    echo "$$python failed to create a virtual environment. On Debian: apt-get install python3-venv" >&2; exit 1; \
	  fi; \
	done; \
	echo "Python 3.11 to 3.14 is needed, and none is on the PATH. Name one: make PYTHON=/path/to/python3.11" >&2; \
	exit 1

# dagster-dg-cli has the program dg, with which the README loads a month.
$(INSTALLED): .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing the platform in .venv; this takes a minute or two, once."
	@$(PIP) --editable '.[marts]' dagster-dg-cli
	@touch $@

$(INSTALLED_EMULATORS): .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing the platform and the emulators in .venv; this takes a minute or two, once."
	@$(PIP) --editable '.[emulators,marts]' dagster-dg-cli
	@touch $@ $(INSTALLED)

$(INSTALLED_FOR_TESTS): .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing the platform and what its tests need in .venv; this takes a few minutes, once."
	@$(PIP) --editable '.[dev,emulators,marts]'
	@touch $@ $(INSTALLED) $(INSTALLED_EMULATORS)

# Without the constraints: they do not name what the bench extra brings.
$(INSTALLED_FOR_BENCH): $(INSTALLED)
	@echo "Installing what the benchmarks compare with; this takes a minute."
	@.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[bench,emulators]'
	@touch $@

# dbt-bigquery wants older libraries of Google's than the platform, and they do not install on Python 3.13.
$(INSTALLED_DBT_BIGQUERY): taxi_platform/analytics/dbt/constraints-bigquery.txt
	@rm -rf .venv-dbt-bigquery; \
	for python in python3.11 python3.12 python3; do \
	  if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then \
	    echo "Installing dbt for BigQuery in .venv-dbt-bigquery; this takes a minute or two, once."; \
	    $$python -m venv .venv-dbt-bigquery && .venv-dbt-bigquery/bin/pip install --quiet --disable-pip-version-check \
	      --constraint $< dbt-core dbt-bigquery dbt-postgres dbt-duckdb && touch $@ && exit 0; \
	    rm -rf .venv-dbt-bigquery; exit 1; \
	  fi; \
	done; \
	echo "The marts are left out: dbt-bigquery needs Python 3.11 or 3.12, and neither is on the PATH." >&2
