"""Row counts of the public mirror's files, by which the checks recognize a complete load.

They were counted in the published files of 2020 and of yellow 2021-03.
"""

from taxi_platform.trips.partitions import TripMonth

_YELLOW_2020 = (
    6_405_008,
    6_299_354,
    3_007_292,
    237_993,
    348_371,
    549_760,
    800_412,
    1_007_284,
    1_341_012,
    1_681_131,
    1_508_985,
    1_461_897,
)
_GREEN_2020 = (447_770, 398_632, 223_406, 35_612, 57_360, 63_109, 72_257, 81_063, 87_987, 95_120, 88_605, 83_130)

_ROWS = {
    **{("yellow", f"2020-{month:02}"): rows for month, rows in enumerate(_YELLOW_2020, 1)},
    **{("green", f"2020-{month:02}"): rows for month, rows in enumerate(_GREEN_2020, 1)},
    ("yellow", "2021-03"): 1_925_152,
}


def published_rows(month: TripMonth) -> int | None:
    """Return the number of rows in the public mirror's file of that month, None if it was not counted."""
    return _ROWS.get((month.colour.name, month.month))
