"""The header of a model's file, which may come from anywhere: read within limits, before a model is built from it."""

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open

HEADER_BYTES = 16 << 20  # names, shapes and metadata; a Swin-B has 60,000
ITEMS, LEVELS = 64, 4  # of a list in the arguments; lists within lists
LARGEST, RATIO = 4096, 64  # what any whole number may be (a side in pixels, say), and a ratio

DEPTHS, WIDTHS = ("depth", "layers", "blocks", "num_convs"), ("dim", "width")


def read_header(path: Path, key: str) -> tuple[dict[str, Any], int, int]:
    """The JSON under `key` of the metadata, the number of tensors, and of all their numbers.

    Raises ValueError, KeyError or safetensors' errors for a file that has none, or a header beyond the limits.
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > HEADER_BYTES:
        raise ValueError(f"a header of {length:,} bytes; expected {HEADER_BYTES:,} at most")
    with safe_open(path, framework="np") as file:
        text = (file.metadata() or {})[key]
        names = list(file.keys())
        numbers = sum(prod(file.get_slice(name).get_shape()) for name in names)
    try:
        return json.loads(text), len(names), numbers
    except RecursionError:
        raise ValueError("metadata nested deeper than any that we write") from None


def check_arguments(arguments: Mapping[str, Any], tensors: int, numbers: int) -> None:
    """ValueError for arguments of a model that is far larger than its file: to build it first would take all memory, or
    minutes, only to find that its weights do not fit.

    A layer has at least one tensor, and one of width d at least d x d numbers.
    """
    for name, value in arguments.items():
        for number in _numbers(name, value, LEVELS):
            most = max(LARGEST, numbers)
            if any(word in name for word in DEPTHS):
                most = tensors
            elif any(word in name for word in WIDTHS):
                most = max(1, round(numbers**0.5))
            elif "ratio" in name:
                most = RATIO
            if not -most <= number <= most:  # NaN, too
                raise ValueError(
                    f"{name}={value!r} does not go with a file of {tensors} tensors and {numbers:,} numbers"
                )


def _numbers(name: str, value: Any, levels: int) -> list[float]:
    """The numbers in an argument's value."""
    if isinstance(value, (list, tuple)):
        if len(value) > ITEMS or not levels:
            raise ValueError(f"{name} is a list of {len(value)}, or of lists of lists; expected at most {ITEMS}")
        return [number for item in value for number in _numbers(name, item, levels - 1)]
    if isinstance(value, str) and len(value) > 200:
        raise ValueError(f"{name} is a text of {len(value)} characters")
    if value is not None and not isinstance(value, (str, bool, int, float)):
        raise ValueError(f"{name} is a {type(value).__name__}; expected numbers, texts and lists")
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []
