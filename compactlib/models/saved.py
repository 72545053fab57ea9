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
from compactlib.models.saved_header import check_arguments, read_header
from compactlib.models.spec import attach_spec, facts_of, json_facts, set_data_facts
from compactlib.models.wrappers import as_named_in, plain_state_dict

KEY = "model"  # of the metadata
# They make timm read other files or addresses; what is in ours must be enough.
_OUTSIDE = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")
_DATA = ("mean", "std", "classes", "img_size", "task")


def save_model(
    path: str | Path,
    model: nn.Module,
    name: str | None = None,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    classes: Sequence[str] | None = None,
    **arguments: Any,
) -> Path:
    """Write `model` to a safetensors file that `load_model` rebuilds it from. Returns the path.

    Models that timm.create_model built, or a class of this project, know their name and arguments (see `models.spec`),
    and after `fit` the mean, std and classes of their data. Else, or instead: timm.create_model(name, **arguments)
    builds this model; mean, std: of the pixels, as training subtracted and divided by them (`predict_tiled`); classes:
    their names, in order. Wrappers of torch.compile and DataParallel are left out. The file holds numbers and JSON,
    nothing that can run code, and is there whole or not at all.

    Raises ValueError, and writes nothing, if name and arguments do not build a model with these weights.
    """
    data = {key: value for key, value in dict(mean=mean, std=std, classes=classes).items() if value is not None}
    if name is not None:
        facts = json_facts({"name": name, "arguments": arguments, **data})
    elif arguments:
        raise ValueError(f"save_model: {', '.join(arguments)} given without the model's name in timm")
    else:
        facts = facts_of(model) | json_facts(data)
        if facts["name"] is None:
            raise ValueError(
                f"save_model: {facts['why']}; give the name and the arguments with which timm.create_model builds it"
            )
    tensors = {key: tensor.detach().contiguous() for key, tensor in plain_state_dict(model).items()}
    _check_fit(_build(facts, "save_model"), tensors, "save_model")
    return atomic_write(path, save(tensors, metadata={KEY: json.dumps(facts)}))


def load_model(path: str | Path) -> nn.Module:
    """The model that `save_model` or `fit` wrote, on the CPU, in training mode as timm.create_model gives it.

    Of a checkpoint that has averaged weights (EMA) these are taken.

    Raises FileNotFoundError, or ValueError naming the file: damaged or another kind of file, a model without a spec, a
    name that timm does not know here, arguments or weights that do not fit the model.
    """
    facts = read_facts(path)
    part = facts.pop("weights", "")
    model = _build(facts, path)
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(part)]  # noqa: SIM118  (a safetensors handle, no dict)
        tensors = as_named_in(model, {name.removeprefix(part): file.get_tensor(name) for name in names})
    _check_fit(model, tensors, path)
    model.load_state_dict(tensors)
    set_data_facts(model, **{key: facts[key] for key in _DATA if key in facts})
    return attach_spec(model, facts["name"], **facts["arguments"])


def read_facts(path: str | Path) -> dict[str, Any]:
    """What `save_model` or `fit` wrote beside the weights: name, arguments, and as far as they are known mean, std,
    classes, img_size and task. Raises as `load_model` does."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; expected a model's file, as save_model or fit write it")
    try:
        facts, tensors, numbers = read_header(path, KEY)
        if facts["name"] is not None and not (isinstance(facts["name"], str) and isinstance(facts["arguments"], dict)):
            raise TypeError("name or arguments of another type")
        check_arguments(facts.get("arguments") or {}, tensors, numbers)
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise ValueError(
            f"{path} is damaged or no model's file ({type(error).__name__}: {error}); expected what save_model writes"
        ) from error
    if facts["name"] is None:
        part = f", those whose names begin with {facts['weights']!r}" if facts.get("weights") else ""
        raise ValueError(
            f"{path} holds weights, and not how to build their model: {facts.get('why')}. Build the model yourself and "
            f"give it the weights of safetensors.torch.load_file(path){part}"
        )
    return facts


def metadata(model: nn.Module, weights: str = "") -> dict[str, str]:
    """The metadata of a safetensors file that `load_model` opens; weights: what the names of the model's tensors begin
    with there. A model without a spec gives a file for which `load_model` says so."""
    return {KEY: json.dumps(facts_of(model) | ({"weights": weights} if weights else {}))}


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
    except (TypeError, ValueError, RuntimeError, MemoryError, ArithmeticError) as error:
        raise ValueError(f"{source}: {name} cannot be built with {arguments}: {error}") from error


def _check_fit(model: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    problems = misfits(model, tensors)
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise ValueError(
            f"{source}: the weights do not fit the model that name and arguments build: {'; '.join(problems[:4])}{more}"
        )
