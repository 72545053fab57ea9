"""What a room offers, imported when it is first asked for: a command that needs no PyTorch does not wait for it."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package (PEP 562).

    places: for each name the module that has it, "compactlib.runs.results"; or, with a colon behind it, the module
    that is meant itself: "compactlib.figures.masks:".
    """

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(places[name].rstrip(":"))
        value = module if places[name].endswith(":") else getattr(module, name)
        setattr(sys.modules[package], name, value)  # the next access finds it without this function
        return value

    return get, lambda: sorted({*vars(sys.modules[package]), *places})
