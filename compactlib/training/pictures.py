"""Training images for loader processes: cropped and RandAugmented one picture at a time, as the paper's code does."""

import numpy as np
import torch
from PIL import Image
from timm.data.auto_augment import rand_augment_transform
from timm.data.transforms import RandomResizedCropAndInterpolation
from torch import Tensor
from torch.utils.data import Dataset

from compactlib.training.recipe import Recipe

# Just under timm's largest magnitude, 10, where its Posterize keeps 0 bits, which newer Pillows refuse.
MAGNITUDE_MAX = 9.99


class TrainingImages(Dataset):
    """Batches of a split for a DataLoader: images uint8 (b, h, w, c), labels and indices int64 (b,).

    RandAugment and the random resized crop are timm's and work on the CPU. Without them a batch is one indexing of the
    array.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, mean: tuple[float, ...], recipe: Recipe):
        self.images, self.labels = images, labels
        self.steps, self.randaugment = [], None
        self.augments = True  # whether the pass has RandAugment, where the recipe has it
        if recipe.crop_scale < 1:
            size = images.shape[1:3]
            self.steps.append(
                RandomResizedCropAndInterpolation(size, scale=(recipe.crop_scale, 1.0), interpolation="bicubic")
            )
        if recipe.randaugment:
            fill = tuple(round(255 * m) for m in (mean if len(mean) == 3 else mean * 3))
            hparams = {"img_mean": fill, "magnitude_max": MAGNITUDE_MAX}
            self.randaugment = rand_augment_transform(recipe.randaugment, hparams)

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        images = self.images[indices]
        if self.steps or (self.randaugment and self.augments):
            images = np.stack([self._augment(image) for image in images])
        return torch.from_numpy(images), torch.from_numpy(self.labels[indices]), torch.tensor(indices)

    def _augment(self, image: np.ndarray) -> np.ndarray:
        grey = image.shape[-1] == 1
        picture = Image.fromarray(image.repeat(3, axis=-1) if grey else image)
        for step in self.steps:
            picture = step(picture)
        if self.randaugment and self.augments:
            picture = self.randaugment(picture)
        changed = np.asarray(picture)
        return changed[..., :1] if grey else changed
