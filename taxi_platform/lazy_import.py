"""A module that is loaded when something of it is asked for first.

For libraries that take long to load and that most runs do not need. Each run is a process of its own, so what is
loaded in vain is paid for with each month. A module that names such a library in annotations leaves these unevaluated
(`from __future__ import annotations`), and shows type checkers the plain import.
"""

from importlib import import_module
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """Stands for the module of that name."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)
