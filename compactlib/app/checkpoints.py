"""The models on offer: those that the app brings along, and every one that a run has saved."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import timm
from torch import nn

from compactlib.app.uploads import Picture
from compactlib.models import SEGMENTATION_VARIANTS, VARIANTS, SwinUnet, UNet, load_model, read_facts
from compactlib.paths import runs_dir
from compactlib.runs.folders import is_aside
from compactlib.segmentation.inference import check_image

SHIPPED = Path(__file__).parent / "models"
FIRST = ("aerial-unet", "aerial-swin-unet", "cells-unet")  # in this order; the first is the default
FAMILIES = {
    "unet": "U-Net",
    "unet_valid": "U-Net, unpadded",
    "swin_unet": "Swin-Unet",
    "swin_unet_tiny": "Swin-Unet",
    "swin_unet_base": "Swin-Unet",
}
NO_MASKS = {*VARIANTS, *(name for name, (kind, _) in SEGMENTATION_VARIANTS.items() if kind not in (UNet, SwinUnet))}
CLASSIFIER = "classification"  # a task: one class for all that it sees, which makes a coarse mask
SPARES = ("previous.safetensors", "damaged.safetensors")  # of a training, beside its best and its last weights


class ModelError(ValueError):
    """A model that cannot do what is asked. The sentence says why, and what would work."""


@dataclass(frozen=True)
class Offer:
    """A model's file and what it says of itself; the weights are read by `load`.

    label: as a menu shows it, unique. classes: their names, in order.
    """

    label: str
    path: Path = field(repr=False)
    facts: dict[str, Any] = field(repr=False)

    @property
    def family(self) -> str:
        return FAMILIES.get(self.facts["name"], self.facts["name"])

    @property
    def in_chans(self) -> int:
        """Channels of the pictures that it takes, as far as its file says so."""
        _, defaults = SEGMENTATION_VARIANTS.get(self.facts["name"], (None, {}))
        return self.facts["arguments"].get("in_chans", defaults.get("in_chans", 3))

    @property
    def mean(self) -> float | Sequence[float] | None:
        return self.facts.get("mean")

    @property
    def std(self) -> float | Sequence[float] | None:
        return self.facts.get("std")

    def load(self) -> nn.Module:
        """The model, in eval mode. Raises ModelError where the file is damaged or its model is not for masks."""
        try:
            model = load_model(self.path).eval()
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"{self.label} cannot be loaded: {str(error).replace(str(self.path), 'its file')}"
            ) from None
        if not isinstance(getattr(model, "num_classes", None), int) or not 1 < model.num_classes < 255:
            raise ModelError(f"{self.label} does not say how many classes it knows; expected a segmentation model.")
        return model

    def classes(self, model: nn.Module) -> tuple[str, ...]:
        """Names of the model's classes, `class 0`, `class 1` ... where its file does not give them."""
        names = self.facts.get("classes") or ()
        if len(names) == model.num_classes and all(isinstance(name, str) for name in names):
            return tuple(names)
        return tuple(f"class {number}" for number in range(model.num_classes))


def offers(runs: Path | None = None) -> list[Offer]:
    """Shipped models first, then those below `runs` (default: the folder of all runs), newest first.

    Only what `save_model` or a training (its best and its last weights) wrote is listed; of classifiers, which give a
    class to a whole patch, those of a training. Damaged files are passed over, and nothing else than safetensors is
    opened: no pickle.
    """
    runs = Path(runs or runs_dir())
    shipped = {path.stem: path for path in SHIPPED.glob("*.safetensors")}
    rank = {name: place for place, name in enumerate(FIRST)}
    ordered = sorted(shipped, key=lambda name: (rank.get(name, len(rank)), name))
    found = [(f"{name} (shipped)", shipped[name]) for name in ordered]
    written = _written(runs)
    for path in sorted(written, key=lambda path: (-written[path], path)):
        found.append((f"{path.relative_to(runs).with_suffix('').as_posix()} (runs)", path))
    return [Offer(label, path, facts) for label, path in found if (facts := _facts(path))]


def check_fit(offer: Offer, model: nn.Module, picture: Picture, others: Sequence[Offer] = ()) -> None:
    """Raises ModelError, naming those of `others` that fit, if the model cannot take the picture's channels."""
    try:
        check_image(model, picture.pixels)
    except ValueError:
        fitting = [other.label for other in others if channels_fit(other, picture.pixels)]
        advice = f"These take it: {', '.join(fitting[:4])}." if fitting else "No model here takes it; convert it first."
        have, want = picture.pixels.shape[2], getattr(model, "in_chans", "another number of")
        raise ModelError(
            f"{offer.label} takes pictures of {want} channel{'' if want == 1 else 's'}; {picture.name} has {have}. "
            f"{advice}"
        ) from None


def channels_fit(offer: Offer, pixels: np.ndarray) -> bool:
    """Whether the model takes pictures of so many channels, as far as its file says so."""
    channels = pixels.shape[2]
    return channels == offer.in_chans or (offer.family == "Swin-Unet" and offer.in_chans == 3 and channels == 1)


def _written(runs: Path) -> dict[Path, float]:
    """When each safetensors file below `runs` was written, but for runs that were moved aside. A training beside this
    renames and deletes some meanwhile: what is gone is passed over, as os.walk passes over folders that are."""
    times = {}
    for folder, inner, names in os.walk(runs):
        inner[:] = [name for name in inner if not is_aside(Path(name))]
        for path in (Path(folder, name) for name in names if name.endswith(".safetensors") and name not in SPARES):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode):
                times[path] = found.st_mtime
    return times


def _facts(path: Path) -> dict[str, Any] | None:
    """What the file says of itself, None if it is no segmentation model that can be built here."""
    try:
        facts = read_facts(path)
    except (OSError, ValueError):
        return None
    name, arguments = facts["name"], facts["arguments"]
    if not timm.models.is_model(name) or arguments.get("features_only"):
        return None
    if "task" in facts:  # a training says what it was for
        return facts if facts["task"] in ("segmentation", CLASSIFIER) else None
    masks = name in SEGMENTATION_VARIANTS or ("num_classes" in arguments and "classes" in facts)
    return facts if masks and name not in NO_MASKS else None
