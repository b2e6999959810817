"""Figures of a month: numbers that are equal in all destinations that have loaded the same rows.

Every destination computes them from the same text forms: a number with nine decimals, a time in seconds since 1970, an
empty text for a null.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import LiteralString

SEPARATOR: LiteralString = "|"
"""Between the texts of a row's columns, before they are hashed."""

HASH_DIGITS = 8
"""Hexadecimal digits of the MD5 of a row that are summed up: the sums of 2^31 rows fit into 64 bits."""


@dataclass(frozen=True)
class Figures:
    """Numbers that identify a month's rows, whatever their order."""

    rows: int
    sums: Mapping[str, Decimal]
    """Exact sums of the columns of numbers, by the column's name."""
    checksum: int
    """Sum of the hashes of all rows."""
