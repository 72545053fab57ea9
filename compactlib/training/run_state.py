"""A run's folder: starting from what is in it, and writing it after each epoch."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file
from torch import nn

from compactlib.datasets import ImageData, SegmentationData
from compactlib.files import atomic_write
from compactlib.training.base_recipe import BaseRecipe
from compactlib.training.checkpoint import Progress, load_run, restore, save_run, save_weights


def start_run(
    out, data: ImageData | SegmentationData, recipe: BaseRecipe, modules, optimizer, resume: bool
) -> Progress:
    """The progress to start from, with weights and optimizer restored if there is a checkpoint."""
    facts = _facts(modules["model"], data)
    fresh = Progress(recipe=asdict(recipe), facts=facts)
    if out is None:
        return fresh
    path = Path(out) / "last.safetensors"
    if not resume:
        for name in ("last.safetensors", "best.safetensors", "metrics.jsonl"):
            (Path(out) / name).unlink(missing_ok=True)
    if not path.exists():
        return fresh
    state, tensors = load_run(path)
    changed = recipe.differences(state.recipe)
    changed |= {k: (facts[k], state.facts.get(k)) for k in facts if facts[k] != state.facts.get(k)}
    if changed:
        what = [f"{k}: {old!r} there, {new!r} now" for k, (new, old) in sorted(changed.items())]
        raise ValueError(
            f"{path} belongs to a run with other settings ({'; '.join(what)}); "
            "name another folder, or call fit(..., resume=False) to train from the start"
        )
    restore(tensors, modules, optimizer)
    _write_metrics(out, state)  # a kill between the two files of an epoch leaves the metrics one row short
    return state


def _facts(model: nn.Module, data: ImageData | SegmentationData) -> dict[str, Any]:
    """What has to be the same for a run to go on: the model's layers, the very images, labels and masks; those for
    validation too, because the best epoch, early stopping and the plateau hang on them."""
    layers = {
        f"{name}.{key}": value
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, (bool, int, float, str, tuple)) and key != "training"
    }
    arrays = hashlib.sha256(str((data.mean, data.std)).encode())
    for array in [*vars(data.train).values(), *vars(data.val).values()]:  # images, and labels or masks
        arrays.update(np.ascontiguousarray(array))
    return {
        "model": f"{type(model).__name__} {hashlib.sha256(str(layers).encode()).hexdigest()[:12]}",
        "data": f"{data.name}, {len(data.train)} images, {arrays.hexdigest()[:12]}",
    }


def finish_epoch(out, state: Progress, row: dict[str, float], score: float, modules, optimizer) -> bool:
    """Enter the epoch's row into the progress, and write it all if there is a folder. Whether it is the best."""
    state.epoch = row["epoch"]
    state.history.append(row)
    improved = score > state.best or not state.best_epoch  # a score may be nan: nothing counted
    if improved:
        state.best, state.best_epoch = score, row["epoch"]
    if out is None:
        return improved
    if improved:
        save_weights(Path(out) / "best.safetensors", modules.get("ema", modules["model"]), **row)
    save_run(Path(out) / "last.safetensors", state, modules, optimizer)
    _write_metrics(out, state)
    return improved


def _write_metrics(out: str | Path, state: Progress) -> None:
    atomic_write(Path(out) / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in state.history))


class BestWeights:
    """The weights of the best epoch: in the run's folder if there is one, else in memory."""

    def __init__(self, out: str | Path | None):
        self.path, self.kept = (Path(out) / "best.safetensors" if out is not None else None), {}

    def keep(self, model: nn.Module) -> None:
        if self.path is None:
            self.kept = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def give_to(self, model: nn.Module) -> None:
        model.load_state_dict(self.kept if self.path is None else load_file(self.path))
