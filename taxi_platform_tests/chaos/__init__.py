"""Random faults against the guarantees: sequences of loads, corrections, kills and hand edits, chosen by a seed.

`python -m taxi_platform_tests.chaos --destination lake --seed 7` runs one sequence; `make chaos` runs many.
"""
