"""The tutorial's jobs: `hello_world`, built from ops, and `statistics`, which materializes two assets."""

import dagster as dg
from pydantic import Field

HELLO_LIMIT_TAG = "taxi/limit"
"""The instance runs at most two runs with the value `hello_world` at a time; further ones are queued."""


class Name(dg.Config):
    """Whom to greet."""

    name: str = Field(default="Will", description="Name to greet.")


@dg.op
def hello_message(context: dg.OpExecutionContext, config: Name) -> str:
    """Log a greeting and return the name."""
    context.log.info(f"Hello, {config.name}!")
    return config.name


@dg.op(ins={"greeted": dg.In(dg.Nothing)})
def generate_output() -> str:
    """Return a value, which Dagster stores and passes to the next op."""
    return "I was generated during this run."


@dg.op
def log_output(context: dg.OpExecutionContext, value: str) -> None:
    """Log the value that the previous op returned."""
    context.log.info(f"This is an output: {value}")


@dg.op(ins={"logged": dg.In(dg.Nothing)})
def goodbye_message(context: dg.OpExecutionContext, name: str) -> None:
    """Log a goodbye to the name that `hello_message` greeted."""
    context.log.info(f"Goodbye, {name}!")


@dg.config_mapping
def _one_input(value: Name) -> dg.RunConfig:
    """Pass the job's only input to the op that needs it. A terminal shows only what the ops log."""
    return dg.RunConfig(ops={"hello_message": value}, loggers={"console": {"config": {"log_level": "INFO"}}})


@dg.job(config=_one_input, tags={HELLO_LIMIT_TAG: "hello_world"})
def hello_world() -> None:
    """Log a greeting, a value passed from one op to the next, and a goodbye."""
    name = hello_message()
    value = generate_output(greeted=name)
    goodbye_message(name, logged=log_output(value))


statistics_job = dg.define_asset_job(
    "statistics",
    selection=["docker_image_pulls", "github_stars"],
    description="Request an image's pulls from Docker Hub and a repository's stars from GitHub.",
)
