# syntax=docker/dockerfile:1

# The image of the code location, the daemon and the webserver; docker-compose.yml and the Helm chart use the same one.
# Pinned by tag. A digest is stricter: docker buildx imagetools inspect python:3.11.14-slim-bookworm
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS dependencies
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /source
# The platform's dependencies only, so that this layer is rebuilt only when one of these two files changes.
COPY pyproject.toml constraints.txt ./
RUN mkdir taxi_platform && touch taxi_platform/__init__.py README.md LICENSE \
    && pip install --constraint constraints.txt '.[kubernetes,marts]' \
    && pip uninstall --yes taxi-platform

FROM dependencies AS wheel
COPY . .
RUN pip wheel --no-deps --wheel-dir /wheel .

FROM ${BASE} AS platform
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DAGSTER_HOME=/opt/dagster/home \
    TAXI_HOME=/var/lib/taxi
# A number, so that Kubernetes can verify that it is not root. New volumes get the owner of these folders.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/taxi --shell /usr/sbin/nologin taxi \
    && install --directory --owner=10001 --group=10001 /var/lib/taxi /opt/dagster/home /opt/dagster/home/storage
COPY --from=dependencies /opt/venv /opt/venv
COPY --chown=10001:10001 deploy/compose/dagster.yaml deploy/compose/workspace.yaml /opt/dagster/home/
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel pip install --no-cache-dir --no-index --no-deps /wheel/*.whl
USER 10001:10001
WORKDIR /opt/dagster/home
EXPOSE 4000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=120s --retries=3 \
    CMD ["dagster", "api", "grpc-health-check", "--port", "4000"]
CMD ["python", "-m", "taxi_platform.deployment.code_server", "--host", "0.0.0.0", "--port", "4000", "--module-name", "taxi_platform"]

# The emulators of the profile gcp-emulators, which are not for production.
FROM platform AS emulators
USER root
RUN --mount=type=bind,source=.,target=/source,rw cd /source \
    && pip install --no-cache-dir --constraint constraints.txt '.[emulators]'
USER 10001:10001
CMD ["python", "-c", "raise SystemExit('docker-compose.yml has the command that starts the emulators')"]

# The target of `docker build .`.
FROM platform
