"""What is shown without real trips: `make demo`, `make demo-gcp`, and the invented files that they load.

    postgres.py          the demo of the Postgres leg and of the first examples
    gcp.py               the demo of the Google Cloud leg, on emulators
    sample_trips.py      files like the published ones
    sample_products.py   answers like the products API's

Nothing here is used for real months.
"""
