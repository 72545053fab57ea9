"""A run's folder: starting from what is in it, and writing it after each epoch."""

import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors.torch import load_file
from torch import Tensor, nn

from compactlib.files import atomic_write
from compactlib.models import as_named_in
from compactlib.training.checkpoint import Progress, load_run, restore, save_run, save_weights
from compactlib.training.extension import obstacle
from compactlib.training.task import Task

# What a model's modules say of themselves that changes no step of a run.
UNIMPORTANT = ("training", "grad_checkpointing", "window_size")
LAST, PREVIOUS, DAMAGED = "last.safetensors", "previous.safetensors", "damaged.safetensors"
BEST, METRICS, LOCK = "best.safetensors", "metrics.jsonl", ".fit.lock"


@contextmanager
def held(out: str | Path | None) -> Iterator[None]:
    """Hold a run's folder, which is made if missing. Before any work: RuntimeError if another run holds it, and
    PermissionError if nothing can be written there."""
    if out is None:
        yield
        return
    lock = FileLock(Path(out) / LOCK)
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise RuntimeError(
            f"another run is training in {out}; wait until it ends, stop it, or name another folder"
        ) from None
    except OSError as error:
        raise PermissionError(
            f"the run folder {out} cannot be written to ({error}); name another folder, or free it for writing"
        ) from error
    try:
        yield
    finally:
        lock.release()


def start_run(out, task: Task, modules, optimizer, resume: bool) -> Progress:
    """The progress to start from, with weights and optimizer restored if there is a checkpoint."""
    recipe, facts = task.recipe, _layers(modules["model"]) | task.facts()
    fresh = Progress(recipe=asdict(recipe), facts=facts)
    if out is None:
        return fresh
    folder = Path(out)
    if not resume:
        for name in (LAST, PREVIOUS, DAMAGED, BEST, METRICS):
            (folder / name).unlink(missing_ok=True)
    found = _newest(folder)
    if found is None:
        return fresh
    path, state, tensors = found
    changed = recipe.differences(state.recipe)
    changed |= {k: (facts[k], state.facts.get(k)) for k in facts if facts[k] != state.facts.get(k)}
    if changed and (why := obstacle(recipe, changed)):
        what = [f"{k}: {old!r} there, {new!r} now" for k, (new, old) in sorted(changed.items())]
        raise ValueError(
            f"{path} belongs to a run with {why} ({'; '.join(what)}); "
            "name another folder, or call fit(..., resume=False) to train from the start"
        )
    state.recipe = asdict(recipe)
    restore(tensors, modules, optimizer)
    _write_metrics(out, state)  # a kill between the two files of an epoch leaves the metrics one row short
    return state


def _newest(folder: Path) -> tuple[Path, Progress, dict[str, Tensor]] | None:
    """The last checkpoint that can be read: if the newest is damaged, it is set aside and the one before it serves."""
    last, previous = folder / LAST, folder / PREVIOUS
    if not last.exists() and previous.exists():  # killed between the two renames of `_save`
        os.replace(previous, last)
    if not last.exists():
        return None
    try:
        return last, *load_run(last)
    except ValueError as error:
        if not previous.exists():
            raise
        found = load_run(previous)
        os.replace(last, folder / DAMAGED)
        os.replace(previous, last)
        warnings.warn(
            f"{error.args[0].split(';')[0]}; it is kept as {DAMAGED}, and the run goes on from the checkpoint before "
            f"it, of epoch {found[0].epoch}",
            stacklevel=4,
        )
        return last, *found


def _layers(model: nn.Module) -> dict[str, str]:
    """Names the model's layers and their settings: what has to be the same for a run to go on."""
    layers = {
        f"{name.replace('._orig_mod', '')}.{key}": value  # a part may have been compiled meanwhile
        for name, module in model.named_modules()
        if "_orig_mod" not in module._modules
        for key, value in vars(module).items()
        if isinstance(value, (bool, int, float, str, tuple)) and key not in UNIMPORTANT
    }
    return {"model": f"{type(model).__name__} {hashlib.sha256(str(layers).encode()).hexdigest()[:12]}"}


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
        save_weights(Path(out) / BEST, modules.get("ema", modules["model"]), **row)
    _save(Path(out), state, modules, optimizer)
    _write_metrics(out, state)
    return improved


def _save(folder: Path, state: Progress, modules, optimizer) -> None:
    """Write the checkpoint, and keep the one before it. At every moment one of the two is whole and has its name."""
    fresh = folder / f".{LAST}.new"
    save_run(fresh, state, modules, optimizer)
    if (folder / LAST).exists():
        os.replace(folder / LAST, folder / PREVIOUS)
    os.replace(fresh, folder / LAST)


def _write_metrics(out: str | Path, state: Progress) -> None:
    atomic_write(Path(out) / METRICS, "".join(json.dumps(row) + "\n" for row in state.history))


class BestWeights:
    """The weights of the best epoch: in the run's folder if there is one, else in memory."""

    def __init__(self, out: str | Path | None):
        self.path, self.kept = (Path(out) / BEST if out is not None else None), {}

    def keep(self, model: nn.Module) -> None:
        if self.path is None:
            self.kept = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def give_to(self, model: nn.Module) -> None:
        model.load_state_dict(self.kept if self.path is None else as_named_in(model, load_file(self.path)))
