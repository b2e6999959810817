"""The column registry: the columns of each taxi colour's trips, their meaning, and the roles that some of them have.

Validation, table definitions, row ids, schemas in the web interface and the sample data all derive from here, so a
column or a colour is added in this file alone. How a kind is stored belongs to each destination. Descriptions follow
TLC's data dictionaries for yellow and green trip records.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a column holds, and the regular expression of its text form in a file, where an empty text is a null."""

    TEXT = ("text", r'[^,"\r\n\0]*')
    TIME = ("time", r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)?")
    """New York's local time, without a time zone."""
    INTEGER = ("integer", r"(?:-?\d+)?")
    CODE = ("code", r"(?:-?\d+)?")
    """An integer that names something, such as a trip type."""
    NUMBER = ("number", r"(?:-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)?")
    """A distance in miles or an amount in US dollars."""

    def __init__(self, label: str, pattern: str) -> None:
        self.label = label
        self.pattern = pattern


@dataclass(frozen=True)
class Column:
    """One column of the published files."""

    name: str
    kind: Kind
    description: str
    since: str | None = None
    """First month, `YYYY-MM`, whose published file has the column; None for a column that every file has."""

    @property
    def optional(self) -> bool:
        """Whether a file may lack the column; its rows then have a null there."""
        return self.since is not None

    @property
    def folded_name(self) -> str:
        """The name in lower case, as databases fold it that do not quote names."""
        return self.name.lower()


@dataclass(frozen=True)
class Colour:
    """A taxi colour: its columns and the roles that some of them have."""

    name: str
    columns: tuple[Column, ...]
    """The columns that every file has, in the file's order, then the optional ones."""
    pickup: Column
    """Start of the trip. Rows with equal row ids have equal pickups, where they have one."""
    dropoff: Column
    """End of the trip."""
    row_id: tuple[Column, ...]
    """The columns that identify a trip, in the order in which a row id concatenates their texts."""
    short_row_id: tuple[Column, ...]
    """The columns of a row id that identifies trips without their amounts."""

    @property
    def required_columns(self) -> tuple[Column, ...]:
        """The columns that every file has, in the file's order."""
        return tuple(column for column in self.columns if not column.optional)

    @property
    def table_columns(self) -> tuple[Column, ...]:
        """The columns of the table of all months, in order."""
        return (UNIQUE_ROW_ID, FILENAME, *self.columns)

    @property
    def table(self) -> str:
        """Name of the table of all months in every destination."""
        return f"{self.name}_tripdata"


UNIQUE_ROW_ID = Column(
    "unique_row_id",
    Kind.TEXT,
    "MD5 of the columns that identify a trip, concatenated as text with an empty string for a null.",
)
FILENAME = Column("filename", Kind.TEXT, "Uncompressed name of the published file that the row comes from.")

_VENDOR = Column(
    "VendorID",
    Kind.TEXT,
    "Provider of the record: 1 Creative Mobile Technologies, 2 VeriFone; empty for trips without a meter record.",
)
_PASSENGERS = Column("passenger_count", Kind.INTEGER, "Number of passengers, as entered by the driver.")
_DISTANCE = Column("trip_distance", Kind.NUMBER, "Distance of the trip in miles, from the taximeter.")
_RATE_CODE = Column(
    "RatecodeID",
    Kind.TEXT,
    "Rate at the end of the trip: 1 standard, 2 JFK, 3 Newark, 4 Nassau or Westchester, 5 negotiated, 6 group ride.",
)
_STORED = Column(
    "store_and_fwd_flag",
    Kind.TEXT,
    "Y if the record was stored in the vehicle before it was sent, because there was no connection; else N.",
)
_PICKUP_ZONE = Column("PULocationID", Kind.TEXT, "TLC taxi zone in which the meter was engaged.")
_DROPOFF_ZONE = Column("DOLocationID", Kind.TEXT, "TLC taxi zone in which the meter was disengaged.")
_PAYMENT = Column(
    "payment_type",
    Kind.INTEGER,
    "How the trip was paid: 1 credit card, 2 cash, 3 no charge, 4 dispute, 5 unknown, 6 voided trip.",
)
_FARE = Column(
    "fare_amount",
    Kind.NUMBER,
    "Fare by time and distance from the meter, in US dollars; negative for a refund.",
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
_AIRPORT_FEE = Column(
    "airport_fee",
    Kind.NUMBER,
    "Fee for a pickup at LaGuardia or John F. Kennedy airport, in US dollars.",
    since="2021-08",
)
_CBD_CONGESTION_FEE = Column(
    "cbd_congestion_fee",
    Kind.NUMBER,
    "Charge for trips in the MTA's Congestion Relief Zone, in US dollars, from 5 January 2025.",
    since="2025-01",
)


def _colour(name: str, prefix: str, *others: Column) -> Colour:
    """Return a colour whose files begin with the vendor and two times; `prefix` begins the names of the times."""
    pickup = Column(f"{prefix}_pickup_datetime", Kind.TIME, "When the meter was engaged, New York local time.")
    dropoff = Column(f"{prefix}_dropoff_datetime", Kind.TIME, "When the meter was disengaged, New York local time.")
    short_row_id = (_VENDOR, pickup, dropoff, _PICKUP_ZONE, _DROPOFF_ZONE)
    return Colour(
        name,
        columns=(_VENDOR, pickup, dropoff, *others),
        pickup=pickup,
        dropoff=dropoff,
        row_id=(*short_row_id, _FARE, _DISTANCE),
        short_row_id=short_row_id,
    )


YELLOW = _colour(
    "yellow",
    "tpep",
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
    _AIRPORT_FEE,
    _CBD_CONGESTION_FEE,
)

GREEN = _colour(
    "green",
    "lpep",
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
    Column("ehail_fee", Kind.NUMBER, "Fee for a trip hailed electronically, in US dollars; empty in all files so far."),
    _IMPROVEMENT,
    _TOTAL,
    _PAYMENT,
    Column("trip_type", Kind.CODE, "How the trip began: 1 street hail, 2 dispatch."),
    _CONGESTION,
    _CBD_CONGESTION_FEE,
)

COLOURS: dict[str, Colour] = {colour.name: colour for colour in (YELLOW, GREEN)}
"""All colours by name, in the order in which tables and choices list them."""
