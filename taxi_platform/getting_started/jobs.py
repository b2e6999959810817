"""Jobs of the tutorial: `hello_world`, made of ops, and `statistics`, which materializes two assets."""

import dagster as dg

HELLO_LIMIT_TAG = "taxi/limit"
"""The instance lets at most two runs with the value `hello_world` run at a time; further ones wait in the queue."""


class Name(dg.Config):
    """Who is greeted."""

    name: str = "Will"


@dg.op
def hello_message(context: dg.OpExecutionContext, config: Name) -> str:
    """Greets, and hands the name on."""
    context.log.info(f"Hello, {config.name}!")
    return config.name


@dg.op(ins={"greeted": dg.In(dg.Nothing)})
def generate_output() -> str:
    """A value for the next op: the web interface shows that it was handed on."""
    return "I was generated during this run."


@dg.op
def log_output(context: dg.OpExecutionContext, value: str) -> None:
    """Shows the value that the op before has made."""
    context.log.info(f"This is an output: {value}")


@dg.op(ins={"shown": dg.In(dg.Nothing)})
def goodbye_message(context: dg.OpExecutionContext, name: str) -> None:
    """Says goodbye to whom `hello_message` greeted."""
    context.log.info(f"Goodbye, {name}!")


@dg.config_mapping
def _one_input(value: Name) -> dg.RunConfig:
    """The job's single input, given to the op that needs it. In a terminal only what the ops say is shown."""
    return dg.RunConfig(ops={"hello_message": value}, loggers={"console": {"config": {"log_level": "INFO"}}})


@dg.job(config=_one_input, tags={HELLO_LIMIT_TAG: "hello_world"})
def hello_world() -> None:
    """Greeting, a value handed from one op to the next, goodbye."""
    name = hello_message()
    value = generate_output(greeted=name)
    goodbye_message(name, shown=log_output(value))


statistics_job = dg.define_asset_job(
    "statistics",
    selection=["docker_image_pulls", "github_stars"],
    description="Asks Docker Hub and GitHub for their two numbers.",
)
