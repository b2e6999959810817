"""Emulators of Google Cloud on this machine, for `make demo-gcp` and the tests.

The platform finds them by their addresses, in settings that Google defines. The extra `emulators` installs them.
"""
