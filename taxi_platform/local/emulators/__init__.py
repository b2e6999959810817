"""Google Cloud on this machine, for `make demo-gcp` and the tests: two emulators and what they lack.

    servers.py           starts and stops the emulators
    __main__.py          runs them as a service
    external_tables.py   a layer in front of the BigQuery emulator: external tables, parameters of scripts

Nothing of the platform itself knows about them: it is given their addresses. The extra `emulators` installs them.
"""
