"""Emulators of Google Cloud on this machine, for `make demo-gcp` and the tests.

The platform itself does not know about them: it gets their addresses. The extra `emulators` installs them.
"""
