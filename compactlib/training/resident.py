"""A training set that lies whole on the model's device, shuffled and augmented there: no loader process, no copy."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from compactlib.datasets import ImageSet
from compactlib.training.infobatch import InfoBatch
from compactlib.training.randaugment import RandAugment, random_resized_crop
from compactlib.training.recipe import Recipe

CHUNK = 8192  # images that are RandAugmented together: enough to keep a GPU busy with few calls


class ResidentBatches:
    """Batches of a split, in a new order in every pass: images uint8 (b, h, w, c), labels and indices int64 (b,).

    All draws come from torch's generators, so that a pass can be repeated. The last, smaller batch is left out. With
    InfoBatch, passes that leave out images follow one another until there are as many batches as in a whole one.
    """

    def __init__(
        self,
        part: ImageSet,
        mean: tuple[float, ...],
        recipe: Recipe,
        device: torch.device,
        infobatch: InfoBatch | None = None,
    ):
        self.images = torch.from_numpy(np.require(part.images, requirements="W")).to(device)
        self.labels = torch.from_numpy(np.require(part.labels, requirements="W")).to(device)
        self.batch_size, self.crop_scale = recipe.batch_size, recipe.crop_scale
        self.randaugment = RandAugment(recipe.randaugment, mean) if recipe.randaugment else None
        self.infobatch = infobatch
        self.augments = True  # whether the pass has RandAugment, where the recipe has it

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        together = max(1, CHUNK // self.batch_size) * self.batch_size
        left = len(self)
        while left:
            order = self._order()
            batches = min(left, len(order) // self.batch_size)
            left -= batches
            for chunk in order[: batches * self.batch_size].split(together):
                images = self._augment(self.images[chunk])
                for k in range(0, len(chunk), self.batch_size):
                    some = slice(k, k + self.batch_size)
                    yield images[some], self.labels[chunk[some]], chunk[some]

    def _order(self) -> Tensor:
        """Indices of the next pass: all images, or those that InfoBatch draws, at least a batch."""
        if self.infobatch is None:
            return torch.randperm(len(self.images)).to(self.images.device)
        order = self.infobatch.draw()
        while len(order) < self.batch_size:
            order = torch.cat([order, self.infobatch.draw()])
        return order

    def _augment(self, images: Tensor) -> Tensor:
        randaugment = self.randaugment if self.augments else None
        if self.crop_scale < 1 or randaugment:
            x = images.permute(0, 3, 1, 2)  # uint8 (b, c, h, w)
            x = random_resized_crop(x, self.crop_scale) if self.crop_scale < 1 else x
            x = randaugment(x) if randaugment else x
            return x.permute(0, 2, 3, 1)
        return images
