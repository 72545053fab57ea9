"""The state of a training run in one safetensors file: numbers and JSON, nothing that can run code."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from compactlib.files import atomic_write
from compactlib.models import as_named_in, metadata, plain_state_dict


@dataclass
class Progress:
    """How far a run is: epochs done, what it was started with (recipe, model and data), a row of metrics per epoch."""

    epoch: int = 0
    recipe: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = float("-inf")
    best_epoch: int = 0


def save_weights(path: Path, model: nn.Module, **facts: Any) -> None:
    """Write a model's state dict, with `facts` as JSON metadata and what `load_model` needs to build it. Whole or not
    at all; names of wrappers (torch.compile, DataParallel) are left out."""
    tensors = {name: tensor.contiguous() for name, tensor in plain_state_dict(model).items()}
    atomic_write(path, save(tensors, metadata={"facts": json.dumps(facts), **metadata(model)}))


def save_run(path: Path, progress: Progress, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
    """Write everything that a run needs to go on: weights of `modules`, optimizer state, progress. `load_model` finds
    in it the averaged weights, or those of the model if there are none."""
    tensors = {
        f"{part}.{k}": v.contiguous() for part, module in modules.items() for k, v in plain_state_dict(module).items()
    }
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": torch.as_tensor(value).contiguous() for slot, value in slots.items()}
    best = "ema" if "ema" in modules else "model"
    about = {"progress": json.dumps(vars(progress)), **metadata(modules[best], weights=f"{best}.")}
    atomic_write(path, save(tensors, metadata=about))


def load_run(path: Path) -> tuple[Progress, dict[str, Tensor]]:
    """Read what `save_run` wrote. Raises ValueError, naming the file, if it is damaged or something else."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (a safetensors handle, no dict)
        return Progress(**json.loads(metadata["progress"])), tensors
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is damaged or no checkpoint of this version ({type(error).__name__}: {error}); "
            "delete it, or call fit(..., resume=False), to train from the start"
        ) from error


def restore(tensors: dict[str, Tensor], modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
    """Put the tensors of `load_run` back into the modules and the optimizer."""
    for part, module in modules.items():
        own = {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")}
        module.load_state_dict(as_named_in(module, own))
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, slot = name.split(".", 2)
            slots.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
