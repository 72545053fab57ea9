"""Golden cases: where the folders are, what is in one, and how close a computed array comes to the recorded one."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from compactlib.paths import ROOT

CLONE = ROOT / "tests" / "golden"
GOLDEN = (CLONE, ROOT.parent / "shared" / "golden")  # the second where it lies beside the clone
TOLERANCE = {"rtol": 1e-4, "atol": 2e-5}  # where a meta file states none


def found(*roots: Path, tables: bool = False) -> dict[str, Path]:
    """All cases under `roots`, by a name each: the folders, or the tables (CSV, JSON) beside them.

    What lies in two roots with the same content is one case; under one name with other content it is two.
    """
    cases: dict[str, Path] = {}
    for path in (path for root in roots if root.is_dir() for path in sorted(root.iterdir())):
        if path.name.startswith((".", "_")) or path.is_dir() == tables:
            continue
        if tables and path.suffix not in (".csv", ".json"):
            continue
        if path.name not in cases:
            cases[path.name] = path
        elif _content(path) != _content(cases[path.name]):
            cases[f"{path.parent}/{path.name}"] = path
    return cases


def _content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()}


class GoldenCase:
    """One folder.

    Attributes: `meta`; `arrays`, what was recorded by name: those of io.npz and the `numbers` of `meta["expected"]`,
    called pair/metric; `weights`, the reference's state dict, empty where there is none; `taken`, the arrays that were
    asked for as inputs: all others must be computed.
    """

    def __init__(self, folder: Path):
        self.name = folder.name
        files = [folder / name for name in ("meta.json", "map.json") if (folder / name).is_file()]
        if not files:
            raise FileNotFoundError(
                f"{folder} has neither meta.json nor map.json, so that nothing says what it records"
            )
        self.meta: dict = json.loads(files[0].read_text())
        arrays = dict(np.load(folder / "io.npz")) if (folder / "io.npz").is_file() else {}
        self.arrays = arrays.copy()
        self.weights: dict[str, Tensor] = {}
        if (folder / "weights.safetensors").is_file():
            self.weights = load_file(folder / "weights.safetensors")
        for pair, numbers in self.meta.get("expected", {}).items():
            for metric, number in numbers.items():
                raises = isinstance(number, str) and number.startswith("raises")
                self.arrays[f"{pair}/{metric}"] = number if raises else np.asarray(number, np.float64)
        self.numbers = set(self.arrays) - set(arrays)
        self.taken: dict[str, Tensor] = {}

    def take(self, name: str) -> Tensor:
        """An input; the same tensor every time, with a gradient if one is recorded."""
        if name not in self.taken:
            tensor = torch.from_numpy(self.arrays[name])
            wants_gradient = any(array.startswith("grad_of_") for array in self.arrays)
            self.taken[name] = tensor.requires_grad_(wants_gradient and tensor.is_floating_point())
        return self.taken[name]

    def matching(self, pattern: str) -> Iterator[re.Match]:
        """The recorded arrays whose whole name matches."""
        return filter(None, (re.fullmatch(pattern, name) for name in self.arrays))

    def constructor(self) -> tuple[str, dict]:
        """What was called in the reference, and its keyword arguments, in whichever of its forms the meta says it."""
        given = self.meta.get("constructor", {})
        if "composition" in given:
            return given["composition"].split("(")[0], given
        named = {"call", "class", "kwargs"} & set(given)
        rest = set(given) - {"call", "class", "kwargs"}
        if named and rest:
            raise ValueError(f"constructor has {sorted(rest)} beside {sorted(named)}; expected kwargs to hold them")
        keys = ("class", "model", "function")
        text = (
            given.get("call") or given.get("class") or next((self.meta[k] for k in keys if k in self.meta), self.name)
        )
        name, keywords = _read_call(text)
        return name, keywords | (given.get("kwargs", {}) if named else given)

    @property
    def slices(self) -> dict[str, tuple]:
        """What part of an array was stored, from notes such as "logits holds every second row: full[:, :, ::2]"."""
        notes = self.meta.get("notes", "")
        notes = notes if isinstance(notes, str) else "\n".join(notes)
        parts = re.findall(r"([\w./]+) holds[^\[\n]*?full\[([^\]]*)\]", notes)
        if len(parts) != notes.count("full["):
            raise ValueError(
                f'cannot read which part of which array is stored; expected "NAME holds ...: full[...]": {notes}'
            )
        unknown = {name for name, _ in parts} - set(self.arrays)
        if unknown:
            raise ValueError(f"the notes speak of a part of {sorted(unknown)}, which io.npz does not hold")
        return {name: tuple(_index(part) for part in text.split(",")) for name, text in parts}

    def difference(self, name: str, actual: object) -> str | None:
        """None if `actual` is what was recorded as `name`, else what differs."""
        expected = self.arrays[name]
        actual = actual.detach().numpy() if isinstance(actual, Tensor) else np.asarray(actual)
        if isinstance(expected, str):
            return f"the reference {expected}, here it is {actual}" if np.isfinite(actual).all() else None
        actual = actual[self.slices.get(name, ())]
        if actual.shape != expected.shape:
            return f"shape {actual.shape}, recorded {expected.shape}"
        if expected.dtype.kind == "f":
            return self._far(name, actual.astype(np.float64), expected.astype(np.float64))
        # Two classes may tie but for rounding, once in ten thousand pixels.
        allowed = expected.size // 10_000 if name.startswith("argmax") else 0
        wrong = np.count_nonzero(actual != expected)
        return f"{wrong} of {expected.size} entries differ" if wrong > allowed else None

    def _far(self, name: str, actual: np.ndarray, expected: np.ndarray) -> str | None:
        tolerance = TOLERANCE | self.meta.get("tolerance", {})
        # The stated tolerance is for values around 1. Random weights take some outputs up to 92, and rounding with
        # them; gradients are small, and an absolute tolerance of their own size would pass anything.
        finite = expected[np.isfinite(expected)]
        if name.startswith("grad_of_"):
            scale = np.abs(finite).max(initial=1e-6)
        else:
            scale = max(1.0, np.sqrt(np.square(finite).mean())) if finite.size else 1.0
        close = np.isclose(actual, expected, tolerance["rtol"], tolerance["atol"] * scale, equal_nan=True)
        if close.all():
            return None
        most = np.abs(actual - expected)[~close]
        size = np.abs(finite).max(initial=0)
        return f"{(~close).sum()} of {close.size} numbers differ, by up to {most.max():.3g} (values up to {size:.3g})"


def _read_call(text: str) -> tuple[str, dict]:
    """("BasicLayer", {"downsample": "PatchMerging"}) of "BasicLayer(downsample=PatchMerging)"; a name alone is a name.

    Of the signature of a function, "src/helpers.py: resize(table, size)", the name.
    """
    text = text.rsplit(": ", 1)[-1]
    if "(" not in text:
        return text, {}
    call = ast.parse(text, mode="eval").body
    if any(isinstance(argument, ast.Constant) for argument in call.args):
        raise ValueError(f"{text}: write arguments with their names, f(size=32)")
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id
    return name, {
        k.arg: k.value.id if isinstance(k.value, ast.Name) else ast.literal_eval(k.value) for k in call.keywords
    }


def _index(text: str) -> slice | int | type(...):
    if text.strip() == "...":
        return ...
    numbers = [int(number) if number.strip() else None for number in text.split(":")]
    return slice(*numbers) if ":" in text else numbers[0]
