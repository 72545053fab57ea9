"""From stored images to model input, and the augmentation of whole batches on their device."""

import torch
import torch.nn.functional as F
from timm.data.random_erasing import RandomErasing
from torch import Tensor

from compactlib.models import scaling
from compactlib.training.recipe import Recipe


def to_input(
    images: Tensor, mean: tuple[float, ...], std: tuple[float, ...], device: str | torch.device = "cpu"
) -> Tensor:
    """Stored images (b, h, w, c), uint8 or uint16 -> model input float32 (b, c, h, w), normalised, on `device`."""
    m, s = scaling(mean, std, device)
    return (to_unit(images.to(device, non_blocking=True)) - m) / s


def to_unit(images: Tensor) -> Tensor:
    """Stored images (b, h, w, c), uint8 or uint16 -> float32 (b, c, h, w) in which white is 1."""
    return images.permute(0, 3, 1, 2).float() / torch.iinfo(images.dtype).max


def random_window(x: Tensor, pixels: int, size: tuple[int, int] | None = None, border: str = "zeros") -> Tensor:
    """A window of `size` (height, width; None: the image's own) from each image of (b, c, h, w), at a random place.

    The window may reach out of the image by `pixels`; there comes in what `border` says: "zeros" (the mean colour) or
    "reflect". A window of the image's own size is a shift by up to `pixels`.
    """
    b, _, height, width = x.shape
    h, w = size or (height, width)
    padded = F.pad(x, [pixels] * 4, mode="constant" if border == "zeros" else border) if pixels else x
    top = torch.randint(height + 2 * pixels - h + 1, (b, 1), device=x.device)
    left = torch.randint(width + 2 * pixels - w + 1, (b, 1), device=x.device)
    rows, columns = top + torch.arange(h, device=x.device), left + torch.arange(w, device=x.device)  # (b, h), (b, w)
    image = torch.arange(b, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def flip(x: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror those images of (b, c, h, w) left to right for which `mirrored` (b,) is true."""
    return torch.where(mirrored[:, None, None, None], x.flip(-1), x)


def cutout(x: Tensor, side: int) -> Tensor:
    """Blank a square of `side` pixels in each image of (b, c, h, w) to 0, the mean colour of normalised images.

    Its centre is drawn among the pixels, so that a part of it may lie outside. Source: DeVries, Taylor 2017.
    """
    b, _, height, width = x.shape
    hidden = []
    for length in (height, width):
        start = torch.randint(length, (b, 1), device=x.device) - side // 2
        place = torch.arange(length, device=x.device)
        hidden.append((place >= start) & (place < start + side))  # (b, length)
    return x.masked_fill((hidden[0][:, :, None] & hidden[1][:, None, :])[:, None], 0.0)


class BatchAugment:
    """The recipe's flips, shifts, small crops, cut-out and random erasing, on normalised batches on their device."""

    def __init__(self, recipe: Recipe, device: torch.device):
        self.recipe = recipe
        self.flips = recipe.flip  # whether images are mirrored now
        self.erase = (
            RandomErasing(recipe.random_erasing, mode="pixel", device=device) if recipe.random_erasing else None
        )

    def __call__(self, x: Tensor, indices: Tensor, epoch: int, small: bool) -> Tensor:
        """Augment images (b, c, h, w), which are number `indices` (b,) of the training set, in pass `epoch` (from 0)
        over it; `small` asks for crops of `crop_size` pixels."""
        recipe = self.recipe
        if self.flips:
            x = flip(x, self._mirrored(indices, epoch))
        if recipe.shift or small:
            x = random_window(x, recipe.shift, (recipe.crop_size,) * 2 if small else None, recipe.shift_border)
        if recipe.cutout:
            x = cutout(x, recipe.cutout)
        return self.erase(x) if self.erase else x

    def _mirrored(self, indices: Tensor, epoch: int) -> Tensor:
        """Which images are mirrored. In turn: two passes in a row show an image both ways, never twice the same (the
        airbench recipe, Jordan 2024); which way is first depends on the seed and on the image's number."""
        if not self.recipe.alternate_flip:
            return torch.rand(len(indices), device=indices.device) < 0.5
        scattered = (indices + self.recipe.seed * 7919) * 2654435761 % 2**32  # Knuth's multiplicative hash
        return ((scattered >> 16) + epoch) % 2 == 1
