"""From stored images to training batches: per-image work in the loader, batch work on the model's device."""

import numpy as np
import torch
from PIL import Image
from timm.data.auto_augment import rand_augment_transform
from timm.data.random_erasing import RandomErasing
from timm.data.transforms import RandomResizedCropAndInterpolation
from torch import Tensor
from torch.utils.data import Dataset

from compactlib.training.recipe import Recipe


class TrainingImages(Dataset):
    """Batches of a split for a DataLoader: uint8 (b, h, w, c) and labels (b,), cropped and RandAugmented if asked.

    RandAugment and the random resized crop are timm's and work on one picture at a time, on the CPU. Without them a
    batch is one indexing of the array.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, mean: tuple[float, ...], recipe: Recipe):
        self.images, self.labels = images, labels
        self.steps = []
        if recipe.crop_scale < 1:
            size = images.shape[1:3]
            self.steps.append(
                RandomResizedCropAndInterpolation(size, scale=(recipe.crop_scale, 1.0), interpolation="bicubic")
            )
        if recipe.randaugment:
            fill = tuple(round(255 * m) for m in (mean if len(mean) == 3 else mean * 3))
            # Just under timm's largest magnitude, 10, where its Posterize keeps 0 bits, which newer Pillows refuse.
            hparams = {"img_mean": fill, "magnitude_max": 9.99}
            self.steps.append(rand_augment_transform(recipe.randaugment, hparams))

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        images = self.images[indices]
        if self.steps:
            images = np.stack([self._augment(image) for image in images])
        return torch.from_numpy(images), torch.from_numpy(self.labels[indices])

    def _augment(self, image: np.ndarray) -> np.ndarray:
        grey = image.shape[-1] == 1
        picture = Image.fromarray(image.repeat(3, axis=-1) if grey else image)
        for step in self.steps:
            picture = step(picture)
        changed = np.asarray(picture)
        return changed[..., :1] if grey else changed


def to_input(
    images: Tensor, mean: tuple[float, ...], std: tuple[float, ...], device: str | torch.device = "cpu"
) -> Tensor:
    """Stored images uint8 (b, h, w, c) -> model input float32 (b, c, h, w), normalised, on `device`."""
    x = images.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255
    m, s = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (mean, std))
    return (x - m) / s


def random_shift(x: Tensor, pixels: int) -> Tensor:
    """Move each image of (b, c, h, w) by up to `pixels` in y and x; zeros (the mean colour) come in at the border."""
    b, _, h, w = x.shape
    padded = torch.nn.functional.pad(x, [pixels] * 4)
    dy, dx = torch.randint(2 * pixels + 1, (2, b, 1), device=x.device)
    rows, columns = dy + torch.arange(h, device=x.device), dx + torch.arange(w, device=x.device)  # (b, h), (b, w)
    image = torch.arange(b, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def random_flip(x: Tensor) -> Tensor:
    """Mirror each image of (b, c, h, w) left to right with probability 1/2."""
    mirrored = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5
    return torch.where(mirrored, x.flip(-1), x)


class BatchAugment:
    """The recipe's shift, flip and random erasing, on normalised batches (b, c, h, w) on their device."""

    def __init__(self, recipe: Recipe, device: torch.device):
        self.shift, self.flip = recipe.shift, recipe.flip
        self.erase = (
            RandomErasing(recipe.random_erasing, mode="pixel", device=device) if recipe.random_erasing else None
        )

    def __call__(self, x: Tensor) -> Tensor:
        x = random_shift(x, self.shift) if self.shift else x
        x = random_flip(x) if self.flip else x
        return self.erase(x) if self.erase else x
