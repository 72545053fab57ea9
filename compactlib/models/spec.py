"""A model's spec: the name and the arguments with which timm.create_model builds it again. The model carries it."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import timm.models
from torch import nn

from compactlib.models.wrappers import unwrap


@dataclass(frozen=True)
class Spec:
    """timm.create_model(name, **arguments) builds the model."""

    name: str
    arguments: dict[str, Any]

    def changed(self, **arguments: Any) -> "Spec":
        """The same with other arguments."""
        return dataclasses.replace(self, arguments=self.arguments | arguments)


def attach_spec(model: nn.Module, name: str, **arguments: Any) -> nn.Module:
    """Say that timm.create_model(name, **arguments) builds `model`; returns it.

    Models of timm.create_model and those that are built from a class of this project have a spec already. It stays with
    the model through copies, pickling and moves to other devices, and inside the wrappers of torch.compile and
    DataParallel; what `fit` writes can then be opened by `load_model`.
    """
    unwrap(model).spec = Spec(name, arguments)
    return model


def spec_of(model: nn.Module) -> Spec | None:
    """The spec that a model carries, or that timm (1.0.30 and later) noted when it built one of its own."""
    model = unwrap(model)
    if isinstance(found := getattr(model, "spec", None), Spec):
        return found
    config, arguments = getattr(model, "pretrained_cfg", None), getattr(timm.models, "get_model_args", None)
    if arguments is None or not hasattr(model, "_model_args") or not isinstance(config, dict):
        return None
    return Spec(config["architecture"], arguments(model)) if "architecture" in config else None


def set_data_facts(
    model: nn.Module,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    classes: Sequence[str] | None = None,
    img_size: Sequence[int] | None = None,
    task: str | None = None,
) -> None:
    """Note on the model what it has learned from: mean and std of the pixels (white is 1), names of the classes, the
    images' height and width, "classification" or "segmentation". They go into its file beside the spec."""
    facts = dict(mean=mean, std=std, classes=classes, img_size=img_size, task=task)
    unwrap(model).data_facts = {name: value for name, value in facts.items() if value is not None}


def facts_of(model: nn.Module) -> dict[str, Any]:
    """What a file says of the model: name and arguments, and its data facts. Without a spec the name is None, and `why`
    is a sentence. All of it is JSON."""
    model, spec = unwrap(model), spec_of(model)
    facts = dict(getattr(model, "data_facts", {}))
    if "classes" in facts and getattr(model, "num_classes", len(facts["classes"])) != len(facts["classes"]):
        del facts["classes"]  # another head since then
    kind = type(model).__name__
    if spec is None:
        return json_facts({"name": None, "why": f"the {kind} carries no spec (see models.attach_spec)", **facts})
    try:
        return json_facts({"name": spec.name, "arguments": spec.arguments, **facts})
    except ValueError as error:
        return json_facts({"name": None, "why": f"of the {kind}'s arguments, {error}", **facts})


def json_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """`facts` as they come back from a file. ValueError for what is no number, text or list."""
    try:
        return json.loads(json.dumps(facts, default=_number))
    except TypeError as error:
        raise ValueError(f"only numbers, texts and lists go into a model's file ({error}): {facts}") from None


def _number(value: Any) -> Any:
    """NumPy's and PyTorch's numbers and arrays as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__}: {value!r}")
