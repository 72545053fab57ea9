"""Training a classifier: its batches, its loss, its metrics. `fit` does the rest."""

import torch
import torch.nn.functional as F
from timm.data import Mixup
from torch import Tensor, nn
from torch.utils.data import Dataset

from compactlib.datasets import ImageData
from compactlib.training.augment import BatchAugment, TrainingImages, to_input
from compactlib.training.evaluate import evaluate_classifier
from compactlib.training.recipe import Recipe


class Classification:
    """The task of `fit` for ImageData. `score` names the metric by which the best epoch is chosen."""

    recipe_class, score = Recipe, "val_accuracy"

    def __init__(self, model: nn.Module, data: ImageData, recipe: Recipe, device: torch.device):
        self.data, self.recipe, self.device = data, recipe, device
        self.augment, self.mix = BatchAugment(recipe, device), None

    def training_set(self) -> Dataset:
        return TrainingImages(self.data.train.images, self.data.train.labels, self.data.mean, self.recipe)

    def begin_epoch(self, epoch: int) -> None:
        recipe = self.recipe
        mixing = (recipe.mixup or recipe.cutmix) and not 0 < recipe.mixup_off_epoch <= epoch
        smoothing = dict(label_smoothing=recipe.label_smoothing, num_classes=self.data.num_classes)
        self.mix = Mixup(recipe.mixup, recipe.cutmix, **smoothing) if mixing else None

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of a batch: images uint8 (b, h, w, c), labels int64 (b,)."""
        x = self.augment(to_input(images, self.data.mean, self.data.std, self.device))
        target = labels.to(self.device)
        if self.mix:
            x, target = self.mix(x, target)
        smoothing = 0.0 if self.mix else self.recipe.label_smoothing  # timm's Mixup smooths by itself
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            return F.cross_entropy(model(x), target, label_smoothing=smoothing)

    def validate(self, model: nn.Module) -> dict[str, float]:
        found = evaluate_classifier(model, self.data, "val")
        return {"val_loss": found.loss, "val_accuracy": found.accuracy}
