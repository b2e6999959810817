"""A graph of three assets that do nothing, to measure the time that Dagster itself takes."""

import dagster as dg


@dg.asset
def first() -> int:
    return 1


@dg.asset
def second(first: int) -> int:
    return first


@dg.asset
def third(second: int) -> int:
    return second


defs = dg.Definitions(assets=[first, second, third], executor=dg.in_process_executor)
