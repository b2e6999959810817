"""Benchmarks: how fast the platform loads, compared with bare COPY and with other ways of loading the same files.

`python -m benchmarks` measures all groups of figures, `python -m benchmarks GROUP ...` some of them. `work` generates
the files and creates the databases; `contenders` holds the other ways of loading and `load` the platform's own; the
groups are functions in `figures`, `journey`, `source` and `startup`. `parts`, `google` and `sizing` are programs of
their own.
"""
