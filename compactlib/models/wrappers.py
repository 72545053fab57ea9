"""What may stand around a model: torch.compile, DataParallel, DistributedDataParallel, an average of weights.

One place says what is inside, and what the weights are called without a wrapper's name in front.
"""

from collections.abc import Mapping

from timm.utils import ModelEmaV2, ModelEmaV3
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

# Known by their type: a network of somebody else may well have a layer that is called `module`.
_HOLD_A_MODULE = (nn.DataParallel, DistributedDataParallel, AveragedModel, ModelEmaV2, ModelEmaV3)


def _inside(model: nn.Module) -> str | None:
    """The name under which a wrapper keeps its model; None if `model` is no wrapper."""
    if isinstance(model, _HOLD_A_MODULE):
        return "module"
    return "_orig_mod" if "_orig_mod" in model._modules else None  # torch.compile's; its type is slow to import


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside all wrappers, nested in any order; `model` itself if there is none."""
    while name := _inside(model):
        model = getattr(model, name)
    return model


def runnable(model: nn.Module) -> nn.Module:
    """What to call: `model`, or what is in it where DataParallel would refuse because the weights are elsewhere than on
    its first device (on the CPU of a machine that has GPUs)."""
    if isinstance(model, nn.DataParallel) and model.device_ids:
        first = next(model.parameters(), None)
        if first is not None and first.device != model.src_device_obj:
            return runnable(model.module)
    return model


def plain_names(model: nn.Module) -> dict[str, str]:
    """Name in model.state_dict() -> the same without the names of wrappers, around the model or around a part of it."""
    extra = set()
    for path, module in model.named_modules(remove_duplicate=False):
        if name := _inside(module):
            extra.add(f"{path}.{name}".removeprefix("."))

    def plain(key: str) -> str:
        parts = key.split(".")
        return ".".join(part for i, part in enumerate(parts) if ".".join(parts[: i + 1]) not in extra)

    return {key: plain(key) for key in model.state_dict()}


def plain_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of the model inside the wrappers, under names without any of a wrapper; tensors are not copied."""
    model = unwrap(model)
    names = plain_names(model)
    return {names[key]: value for key, value in model.state_dict().items()}


def without_wrappers(name: str) -> str:
    """A weight's name as wrappers write it -> without `_orig_mod.` and `module.` in front, in any order and number, and
    without `_orig_mod.` of a compiled part in the middle."""
    parts = [part for part in name.split(".") if part != "_orig_mod"]
    while parts[0] == "module" and len(parts) > 1:
        parts.pop(0)
    return ".".join(parts)


def as_named_in(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` under the names of model.state_dict(), whatever stood around the model that they come from, and
    whatever stands around this one. Those that it does not know keep their names."""
    own = {plain: key for key, plain in plain_names(model).items()}
    found = {}
    for name, value in tensors.items():
        bare = without_wrappers(name)
        inner = ".".join(part for part in bare.split(".") if part != "module")  # of a part in DataParallel
        found[next((own[known] for known in (name, bare, inner) if known in own), name)] = value
    return found
