"""A trained model as one file: weights, the name and arguments that rebuild it, and what its user must know."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from compactlib.files import atomic_write
from compactlib.models.checkpoints import misfits

# They make timm read other files or addresses; what is in ours must be enough.
_OUTSIDE = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")


def save_model(
    path: str | Path,
    model: nn.Module,
    name: str,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    classes: Sequence[str] | None = None,
    **arguments: Any,
) -> Path:
    """Write `model` to a safetensors file that `load_model` rebuilds it from. Returns the path.

    name, arguments: with which timm.create_model(name, **arguments) builds this model. mean, std: of the pixels, as
    training subtracted and divided by them (`predict_tiled`). classes: their names, in order. The file holds numbers
    and JSON, nothing that can run code, and is there whole or not at all.

    Raises ValueError, and writes nothing, if these arguments do not build a model with these weights.
    """
    model = getattr(model, "module", model)  # DataParallel's wrapper
    facts = {"name": name, "arguments": arguments}
    facts |= {key: value for key, value in {"mean": mean, "std": std, "classes": classes}.items() if value is not None}
    try:
        text = json.dumps(facts)
    except TypeError as error:
        raise ValueError(f"only numbers, texts and lists go into a model's file ({error}): {facts}") from None
    tensors = {key: tensor.detach().contiguous() for key, tensor in model.state_dict().items()}
    _check_fit(_build(json.loads(text), "save_model"), tensors, "save_model")
    return atomic_write(path, save(tensors, metadata={"model": text}))


def load_model(path: str | Path) -> nn.Module:
    """The model that `save_model` wrote, on the CPU, in training mode as timm.create_model gives it.

    Raises FileNotFoundError, or ValueError naming the file: damaged or another kind of file, a name that timm does not
    know here, arguments or weights that do not fit the model.
    """
    facts = read_facts(path)
    model = _build(facts, path)
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (a safetensors handle, no dict)
    _check_fit(model, tensors, path)
    model.load_state_dict(tensors)
    return model


def read_facts(path: str | Path) -> dict[str, Any]:
    """What `save_model` wrote beside the weights: name, arguments, and mean, std, classes if they were given."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; expected a model's file, as save_model writes it")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["model"])
        if not (isinstance(facts["name"], str) and isinstance(facts["arguments"], dict)):
            raise TypeError("name or arguments of another type")
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is damaged or no model's file ({type(error).__name__}: {error}); expected what save_model writes"
        ) from error
    return facts


def _build(facts: Mapping[str, Any], source: str | Path) -> nn.Module:
    """timm's model, without changing the state of PyTorch's random numbers."""
    name, arguments = facts["name"], facts["arguments"]
    if not timm.models.is_model(name):
        raise ValueError(f"{source}: timm knows no model {name!r}; import the module that registers it first")
    if outside := sorted(set(_OUTSIDE) & set(arguments)):
        raise ValueError(f"{source}: {', '.join(outside)} would load another file; give the model's own arguments only")
    try:
        with torch.random.fork_rng(devices=[]):
            return timm.create_model(name, **arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: {name} cannot be built with {arguments}: {error}") from error


def _check_fit(model: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    problems = misfits(model, tensors)
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise ValueError(
            f"{source}: the weights do not fit the model that name and arguments build: {'; '.join(problems[:4])}{more}"
        )
