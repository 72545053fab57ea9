"""Losses of a segmentation. Logits (n, k, h, w), target int64 (n, h, w) of class ids; pixels of 255 take no part.

All return a scalar. A batch whose pixels are all ignored gives 0 with a gradient of zeros, not nan.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = 255
Weights = Tensor | Sequence[float] | None


def cross_entropy(
    logits: Tensor, target: Tensor, weight: Weights = None, pixel_weights: Tensor | None = None
) -> Tensor:
    """Mean over the pixels that count of -log p(true class), the U-Net paper's energy (Section 3, equation 1).

    weight: one number per class; the mean is then a weighted one, as in PyTorch. pixel_weights: the paper's map
    w(x) (n, h, w), which multiplies each pixel's term. The sum is divided by the number of pixels (or the sum of their
    class weights), not by the sum of the map: a map of ones changes nothing, and a batch with more borders weighs more.
    """
    counted = _check(logits, target, pixel_weights)
    weight = _class_weights(weight, logits)
    total = counted.sum() if weight is None else (weight[target.where(counted, 0)] * counted).sum()
    total = total.where(total > 0, 1)
    if pixel_weights is None:
        return F.cross_entropy(logits, target, weight, ignore_index=IGNORE, reduction="sum") / total
    loss = F.cross_entropy(logits, target, weight, ignore_index=IGNORE, reduction="none")  # (n, h, w), 0 where ignored
    return (loss * pixel_weights.where(counted, 0)).sum() / total


def dice_loss(logits: Tensor, target: Tensor, weight: Weights = None) -> Tensor:
    """Soft Dice loss, mean over all classes, background included: 1 - (2 sum(p t) + e) / (sum(p^2) + sum(t^2) + e).

    p is the softmax, t the one-hot target, e = 1e-5; the sums go over the whole batch, so that an image without a class
    does no harm. A class that is in no image of the batch still counts: its loss falls to 0 with its p. weight: one
    number per class; the weighted sum is divided by the number of classes. As in Swin-Unet's training code.
    """
    counted = _check(logits, target)
    weight = _class_weights(weight, logits)
    p = logits.float().softmax(dim=1) * counted[:, None]  # (n, k, h, w); the sums would overflow in float16
    t = target[:, None] == torch.arange(logits.shape[1], device=logits.device)[:, None, None]
    common, squares = (p * t).sum(dim=(0, 2, 3)), p.square().sum(dim=(0, 2, 3)) + t.sum(dim=(0, 2, 3))  # (k,)
    loss = 1 - (2 * common + 1e-5) / (squares + 1e-5)
    return (loss if weight is None else loss * weight).mean()


def dice_ce_loss(
    logits: Tensor,
    target: Tensor,
    ce: float = 0.4,
    dice: float = 0.6,
    weight: Weights = None,
    pixel_weights: Tensor | None = None,
) -> Tensor:
    """ce * cross-entropy + dice * Dice loss; the defaults are those of Swin-Unet's training code.

    weight (one number per class) goes into both terms, pixel_weights into the cross-entropy only.
    """
    return ce * cross_entropy(logits, target, weight, pixel_weights) + dice * dice_loss(logits, target, weight)


def focal_loss(
    logits: Tensor, target: Tensor, gamma: float = 2.0, alpha: Weights = None, pixel_weights: Tensor | None = None
) -> Tensor:
    """Mean over the pixels that count of -alpha (1 - p)^gamma log p, p the softmax at the true class.

    Lin et al. 2017, equation 5, for many classes. gamma = 0 is cross-entropy. alpha: one number per class.
    """
    if gamma < 0:
        raise ValueError(f"gamma={gamma} is negative; expected 0 (cross-entropy) or more")
    counted = _check(logits, target, pixel_weights)
    alpha = _class_weights(alpha, logits)
    nll = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")  # (n, h, w), 0 where ignored
    # A pixel with p = 1 has nll = 0, where a power below 1 has no finite slope.
    loss = (-torch.expm1(-nll)).clamp(min=1e-12) ** gamma * nll
    loss = loss if alpha is None else loss * alpha[target.where(counted, 0)]
    loss = loss if pixel_weights is None else loss * pixel_weights.where(counted, 0)
    return loss.sum() / counted.sum().clamp(min=1)


def _ce(logits: Tensor, target: Tensor, pixel_weights: Tensor | None = None, weight: Weights = None) -> Tensor:
    return cross_entropy(logits, target, weight, pixel_weights)


def _dice(logits: Tensor, target: Tensor, pixel_weights: Tensor | None = None, weight: Weights = None) -> Tensor:
    if pixel_weights is not None:
        raise ValueError('loss "dice" has no pixel weights; leave them out or choose "weighted_ce" or "dice_ce"')
    return dice_loss(logits, target, weight)


def _focal(logits: Tensor, target: Tensor, pixel_weights: Tensor | None = None, weight: Weights = None) -> Tensor:
    return focal_loss(logits, target, alpha=weight, pixel_weights=pixel_weights)


def _dice_ce(logits: Tensor, target: Tensor, pixel_weights: Tensor | None = None, weight: Weights = None) -> Tensor:
    return dice_ce_loss(logits, target, weight=weight, pixel_weights=pixel_weights)


def _weighted_ce(logits: Tensor, target: Tensor, pixel_weights: Tensor | None = None, weight: Weights = None) -> Tensor:
    if pixel_weights is None:
        raise ValueError('loss "weighted_ce" needs pixel_weights (see weight_map); without them choose "ce"')
    return cross_entropy(logits, target, weight, pixel_weights)


Loss = Callable[[Tensor, Tensor, Tensor | None, Weights], Tensor]

# What a recipe can name: (logits, target, pixel_weights=None, weight=None) -> scalar; weight: one number per class.
LOSSES: dict[str, Loss] = {
    "ce": _ce,
    "weighted_ce": _weighted_ce,
    "dice": _dice,
    "dice_ce": _dice_ce,
    "focal": _focal,
}


def _class_weights(weight: Weights, logits: Tensor) -> Tensor | None:
    if weight is None:
        return None
    weight = torch.as_tensor(weight, dtype=logits.dtype, device=logits.device)
    if weight.shape != (logits.shape[1],):
        raise ValueError(
            f"class weights of shape {tuple(weight.shape)}; expected one for each of {logits.shape[1]} classes"
        )
    return weight


def _check(logits: Tensor, target: Tensor, pixel_weights: Tensor | None = None) -> Tensor:
    """The pixels that count, bool (n, h, w); ValueError where the arguments do not belong together."""
    if logits.ndim != 4:
        raise ValueError(f"logits of shape {tuple(logits.shape)}; expected (n, classes, h, w)")
    expected = (logits.shape[0], *logits.shape[2:])
    for name, array in {"target": target, "pixel_weights": pixel_weights}.items():
        if array is not None and tuple(array.shape) != expected:
            raise ValueError(
                f"{name} of shape {tuple(array.shape)} does not belong to logits {tuple(logits.shape)}; expected "
                f"{expected} (crop it to the output of a model that answers for the middle of its input)"
            )
    if target.dtype != torch.int64:
        raise ValueError(f"target of type {target.dtype}; expected torch.int64 class ids (use .long())")
    counted, k = target != IGNORE, logits.shape[1]
    if (counted & ((target < 0) | (target >= k))).any():
        wrong = sorted(set(target[counted].unique().tolist()) - set(range(k)))
        raise ValueError(
            f"target has the class ids {wrong[:5]}; expected 0 to {k - 1}, or {IGNORE} for pixels to ignore"
        )
    return counted
