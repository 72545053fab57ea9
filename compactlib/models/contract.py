"""What every model of this project answers when timm's tools, or a checkpoint, ask."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

import torch
from timm.layers import to_2tuple
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from compactlib.models.pixels import scaling
from compactlib.models.spec import Spec

HALF = 0.5  # mean and standard deviation of pixels of which nothing is known


class Model(nn.Module):
    """A network with a spec, timm's data configuration, gradient checkpointing and parameter groups.

    A subclass has `num_classes`, `in_chans`, `img_size` (None: any) and the methods `get_classifier`,
    `reset_classifier` and `group_matcher`; whatever changes the arguments that build it calls `respec`.
    """

    spec: Spec | None = None
    registry_name: ClassVar[str | None] = None  # under which timm.create_model builds the class from any arguments
    default_data: ClassVar[dict[str, Any]] = {}  # entries of pretrained_cfg: what weights under this name learned from
    default_size: ClassVar[int] = 224  # of the image, for a model that takes any
    data_facts: ClassVar[dict[str, Any]] = {}  # see set_data_facts
    img_size: tuple[int, int] | None = None
    grad_checkpointing = False

    def __new__(cls, *args: Any, **arguments: Any) -> "Model":
        """Note the arguments with which a class of this project is called: they are the model's spec."""
        model = super().__new__(cls)
        if name := cls.__dict__.get("registry_name"):  # a subclass is another model
            try:
                bound = inspect.signature(cls.__init__).bind(model, *args, **arguments)
            except TypeError:
                return model  # __init__ says it better
            bound.apply_defaults()
            model.__dict__["spec"] = Spec(name, dict(list(bound.arguments.items())[1:]))
        return model

    def respec(self, **arguments: Any) -> None:
        """Note that these arguments would now build the model."""
        if self.spec is not None:
            self.spec = self.spec.changed(**arguments)

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """timm's data configuration, as timm.data.resolve_model_data_config reads it: the size of the images, mean and
        standard deviation of the pixels, number and names of the classes. After `fit` those of the data; before, what
        the named model's published weights have learned from, or 0.5."""
        facts, chans = self.data_facts, self.in_chans
        size = to_2tuple(self.img_size or facts.get("img_size") or self.default_size)
        if hasattr(self, "nearest_sizes"):
            size = tuple(self.nearest_sizes(side)[1] for side in size)
        published = {k: v for k, v in self.default_data.items() if k not in ("mean", "std") or len(v) == chans}
        config = {
            "input_size": (chans, *size), "fixed_input_size": self.img_size is not None, "interpolation": "bicubic",
            "crop_pct": 1.0, "crop_mode": "center", "mean": (HALF,) * chans, "std": (HALF,) * chans,
            "num_classes": self.num_classes, "first_conv": self._name_of_first(nn.Conv2d),
            "classifier": self._name_of(self.get_classifier()), **published,
        }  # fmt: skip
        if self.spec is not None:
            config["architecture"] = self.spec.name
        if "mean" in facts and "std" in facts:
            scale = (value.flatten().expand(chans).tolist() for value in scaling(facts["mean"], facts["std"]))
            config |= {"mean": tuple(next(scale)), "std": tuple(next(scale)), "crop_pct": 1.0}
        if "classes" in facts:
            config["label_names"] = tuple(facts["classes"])
        return config

    @property
    def default_cfg(self) -> dict[str, Any]:
        """`pretrained_cfg` under its older name."""
        return self.pretrained_cfg

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute blocks again in the backward pass instead of keeping what is inside them: less memory, more time.
        Loss, gradients and running statistics are the same."""
        for module in self.modules():
            if hasattr(type(module), "grad_checkpointing"):
                module.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Names of the weights that do not decay, besides biases and norms (which timm leaves out by itself)."""
        return set()

    def _name_of(self, layer: nn.Module) -> str | None:
        return next((name for name, module in self.named_modules() if module is layer), None)

    def _name_of_first(self, kind: type[nn.Module]) -> str | None:
        return next((name for name, module in self.named_modules() if isinstance(module, kind)), None)


def run(block: nn.Module, *inputs: Any, again: bool) -> Tensor:
    """block(*inputs); with `again`, what is inside is computed once more in the backward pass instead of being kept."""
    if not again or not torch.is_grad_enabled():
        return block(*inputs)
    norms = [module for module in block.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    contexts: dict[str, Callable] = {}
    if norms:
        contexts["context_fn"] = lambda: (nullcontext(), _counting_nothing(norms))
    return checkpoint(block, *inputs, use_reentrant=False, **contexts)


@contextmanager
def _counting_nothing(norms: list[nn.Module]) -> Iterator[None]:
    """Within `with`, batch norms leave their running statistics alone: they have seen this batch already."""
    momenta = [norm.momentum for norm in norms]
    counts = [None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone() for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # computes all the same, and keeps what the backward pass expects
    try:
        yield
    finally:
        for norm, momentum, seen in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            if seen is not None:
                norm.num_batches_tracked.copy_(seen)
