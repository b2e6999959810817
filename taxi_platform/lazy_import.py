"""A module that is imported when an attribute of it is first used.

It is for libraries that take long to import and that most runs do not need: each run is a process of its own, so an
import that is not needed costs time in every month. A module that names such a library in annotations starts with
`from __future__ import annotations` and has the plain import under `TYPE_CHECKING`.
"""

from importlib import import_module
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """A stand-in for the module of that name."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)
