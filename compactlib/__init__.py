"""Compact Transformers lab: the module that the notebooks call.

Importing it makes timm know the course's models: at once if timm is there already, else as soon as it is imported.
It does not import timm or PyTorch itself, so that a process that only cuts a scene into patches stays small.
"""

import importlib
import importlib.util
import sys

__version__ = "0.1.0"


class _RegisterAfterTimm:
    """A finder that changes one thing about the import of timm: when it is done, `compactlib.models` follows."""

    def __init__(self) -> None:
        self.asking = False

    def find_spec(self, name: str, path: object = None, target: object = None):
        if name != "timm" or self.asking:
            return None
        self.asking = True  # the other finders now
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.asking = False
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module: object) -> None:
                execute(module)
                sys.meta_path.remove(self)
                importlib.import_module("compactlib.models")

            spec.loader.exec_module = exec_module
        return spec


def __getattr__(name: str):
    if name == "models":
        return importlib.import_module("compactlib.models")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if "timm" in sys.modules:
    importlib.import_module("compactlib.models")
else:
    sys.meta_path.insert(0, _RegisterAfterTimm())
