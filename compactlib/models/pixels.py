"""What goes into a model: pixels from which the mean is taken and which the standard deviation divides, in the number
type of its weights."""

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn

Numbers = float | Sequence[float]

ROUNDING = 1e-6  # a standard deviation below this share of the mean is what float32 leaves of zero


def scaling(mean: Numbers, std: Numbers, device: str | torch.device = "cpu") -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, float32 (c, 1, 1) or (1, 1, 1): the model's input is (pixels - mean) / std.

    A channel that is constant in the training data (an empty one of a microscope) has no spread to divide by: its
    standard deviation counts as 1, as in scikit-learn's StandardScaler, and the channel is 0.

    Raises:
        ValueError: numbers that are not finite, or a negative standard deviation.
    """
    mean, std = (torch.as_tensor(value, dtype=torch.float64, device="cpu").reshape(-1) for value in (mean, std))
    if not (mean.isfinite().all() and std.isfinite().all() and (std >= 0).all()):
        raise ValueError(f"mean={mean.tolist()}, std={std.tolist()}: expected finite numbers, std not below 0")
    std = std.where(std > ROUNDING * mean.abs(), 1.0)
    return mean.float().view(-1, 1, 1).to(device), std.float().view(-1, 1, 1).to(device)


def device_and_type(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where the model's weights are, and in what numbers: float32 for a model without any.

    Raises:
        ValueError: weights of several number types, which no input suits.
    """
    weights = [p for p in model.parameters() if p.is_floating_point()]
    kinds = {p.dtype for p in weights}
    if len(kinds) > 1:
        counts = {kind: sum(p.dtype == kind for p in weights) for kind in sorted(kinds, key=str)}
        found = ", ".join(f"{count} {str(kind).removeprefix('torch.')}" for kind, count in counts.items())
        raise ValueError(
            f"the model's weights are of several number types ({found} tensors); bring all into one, as model.half() "
            "or model.float() do"
        )
    first = next((p for p in chain(weights, model.buffers()) if p.is_floating_point()), torch.empty(0))
    return first.device, first.dtype
