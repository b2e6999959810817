from taxi_platform.destinations.postgres.tables import TYPES
from taxi_platform.trips.columns import GREEN, YELLOW
from taxi_platform.trips.table_schema import schema_of, union_columns


def test_the_union_has_each_column_of_each_colour_once():
    names = [column.name for column in union_columns()]

    assert len(names) == len(set(names))
    assert set(names) == {column.name for column in (*YELLOW.columns, *GREEN.columns)}


def test_only_a_column_of_one_colour_names_it():
    described = {column.name: column.description for column in union_columns()}

    assert described["trip_type"].startswith("Green only. How the trip began")
    assert described["tpep_pickup_datetime"].startswith("Yellow only. ")
    assert described["VendorID"].startswith("Provider of the record")


def test_a_schema_has_names_types_and_descriptions_in_order():
    schema = schema_of(GREEN.columns, lambda column: TYPES[column.kind])

    assert [column.name for column in schema.columns] == [column.name for column in GREEN.columns]
    assert schema.columns[1].type == "timestamp"
    assert schema.columns[1].description == GREEN.columns[1].description
