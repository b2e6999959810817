"""The registry: which columns a colour's trips have, and what they mean.

Everything else about columns is derived from here: the check of a file, the Postgres DDL and COPY list, the row id,
the BigQuery schema, the column schema in the web interface. A further colour is one more entry in `COLOURS`.

Not here: how rows are stored or moved. Descriptions follow TLC's data dictionaries for yellow and green trip records.
"""

from dataclasses import dataclass
from enum import Enum
from typing import LiteralString


class Kind(Enum):
    """What a column holds, with its type in each destination and the form of its text in a file."""

    TEXT = ("text", "STRING", r'[^,"\r\n\0]*')
    TIME = ("timestamp", "TIMESTAMP", r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)?")
    INTEGER = ("integer", "INTEGER", r"(?:-?\d+)?")
    CODE = ("integer", "STRING", r"(?:-?\d+)?")
    """A small number that names something: an integer in Postgres, text in BigQuery."""
    NUMBER = ("double precision", "NUMERIC", r"(?:-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)?")
    """A distance in miles or money in US dollars."""

    def __init__(self, postgres: LiteralString, bigquery: LiteralString, pattern: str) -> None:
        self.postgres: LiteralString = postgres
        self.bigquery: LiteralString = bigquery
        self.pattern = pattern


@dataclass(frozen=True)
class Column:
    """One column of a published file.

    `row_id` is the column's place in the text that the unique_row_id is the MD5 of, None when it has none:
    Postgres hashes places 1 to 7, BigQuery 1 to 5.
    """

    name: str
    kind: Kind
    description: str
    row_id: int | None = None

    @property
    def postgres_name(self) -> str:
        """The name as Postgres folds it: the DDL does not quote names."""
        return self.name.lower()


@dataclass(frozen=True)
class Colour:
    """A taxi colour: its name and the columns of its files, in the file's order."""

    name: str
    columns: tuple[Column, ...]

    @property
    def row_id_columns(self) -> tuple[Column, ...]:
        """The seven columns of the row id, in its order."""
        chosen = [column for column in self.columns if column.row_id is not None]
        return tuple(sorted(chosen, key=lambda column: column.row_id or 0))

    @property
    def pickup(self) -> Column:
        """The pickup time: rows with equal row ids have equal pickups, where they have one."""
        return self.row_id_columns[1]

    @property
    def dropoff(self) -> Column:
        """The dropoff time."""
        return self.row_id_columns[2]

    @property
    def table(self) -> str:
        """The merged table's name in Postgres and BigQuery."""
        return f"{self.name}_tripdata"


UNIQUE_ROW_ID = Column(
    "unique_row_id",
    Kind.TEXT,
    "MD5 of the columns that identify a trip, put together as text with an empty string for a null.",
)
FILENAME = Column("filename", Kind.TEXT, "Uncompressed name of the published file that the row comes from.")

_VENDOR = Column(
    "VendorID",
    Kind.TEXT,
    "Provider of the record: 1 Creative Mobile Technologies, 2 VeriFone; empty for trips without a meter record.",
    row_id=1,
)
_PASSENGERS = Column("passenger_count", Kind.INTEGER, "Number of passengers, as entered by the driver.")
_DISTANCE = Column("trip_distance", Kind.NUMBER, "Distance of the trip in miles, from the taximeter.", row_id=7)
_RATE_CODE = Column(
    "RatecodeID",
    Kind.TEXT,
    "Rate at the end of the trip: 1 standard, 2 JFK, 3 Newark, 4 Nassau or Westchester, 5 negotiated, 6 group ride.",
)
_STORED = Column(
    "store_and_fwd_flag",
    Kind.TEXT,
    "Y when the record was held in the vehicle's memory before it was sent, for want of a connection; else N.",
)
_PICKUP_ZONE = Column("PULocationID", Kind.TEXT, "TLC taxi zone in which the meter was engaged.", row_id=4)
_DROPOFF_ZONE = Column("DOLocationID", Kind.TEXT, "TLC taxi zone in which the meter was disengaged.", row_id=5)
_PAYMENT = Column(
    "payment_type",
    Kind.INTEGER,
    "How the trip was paid: 1 credit card, 2 cash, 3 no charge, 4 dispute, 5 unknown, 6 voided trip.",
)
_FARE = Column(
    "fare_amount",
    Kind.NUMBER,
    "Fare by time and distance from the meter, in US dollars; negative for a refund.",
    row_id=6,
)
_EXTRA = Column("extra", Kind.NUMBER, "Extras and surcharges such as rush hour and overnight, in US dollars.")
_MTA_TAX = Column("mta_tax", Kind.NUMBER, "MTA tax triggered by the metered rate in use, in US dollars.")
_TIP = Column("tip_amount", Kind.NUMBER, "Tip paid by credit card, in US dollars; cash tips are not included.")
_TOLLS = Column("tolls_amount", Kind.NUMBER, "All tolls paid in the trip, in US dollars.")
_IMPROVEMENT = Column(
    "improvement_surcharge", Kind.NUMBER, "Improvement surcharge assessed at the flag drop, in US dollars."
)
_TOTAL = Column("total_amount", Kind.NUMBER, "Total charged to the passenger in US dollars, without cash tips.")
_CONGESTION = Column(
    "congestion_surcharge", Kind.NUMBER, "New York State's congestion surcharge for the trip, in US dollars."
)


def _times(prefix: str) -> tuple[Column, Column]:
    """The pickup and dropoff columns; New York's local time, without a time zone."""
    return (
        Column(
            f"{prefix}_pickup_datetime",
            Kind.TIME,
            "When the meter was engaged, New York local time.",
            row_id=2,
        ),
        Column(
            f"{prefix}_dropoff_datetime",
            Kind.TIME,
            "When the meter was disengaged, New York local time.",
            row_id=3,
        ),
    )


YELLOW = Colour(
    "yellow",
    (
        _VENDOR,
        *_times("tpep"),
        _PASSENGERS,
        _DISTANCE,
        _RATE_CODE,
        _STORED,
        _PICKUP_ZONE,
        _DROPOFF_ZONE,
        _PAYMENT,
        _FARE,
        _EXTRA,
        _MTA_TAX,
        _TIP,
        _TOLLS,
        _IMPROVEMENT,
        _TOTAL,
        _CONGESTION,
    ),
)

GREEN = Colour(
    "green",
    (
        _VENDOR,
        *_times("lpep"),
        _STORED,
        _RATE_CODE,
        _PICKUP_ZONE,
        _DROPOFF_ZONE,
        _PASSENGERS,
        _DISTANCE,
        _FARE,
        _EXTRA,
        _MTA_TAX,
        _TIP,
        _TOLLS,
        Column(
            "ehail_fee",
            Kind.NUMBER,
            "Fee for a trip hailed electronically, in US dollars; empty in all files so far.",
        ),
        _IMPROVEMENT,
        _TOTAL,
        _PAYMENT,
        Column("trip_type", Kind.CODE, "How the trip began: 1 street hail, 2 dispatch."),
        _CONGESTION,
    ),
)

COLOURS: dict[str, Colour] = {colour.name: colour for colour in (YELLOW, GREEN)}
