"""Training a classifier: its batches, its loss, its metrics. `fit` does the rest."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from timm.data import Mixup
from torch import Tensor, nn
from torch.utils.data import DataLoader

from compactlib.datasets import ImageData
from compactlib.training.augment import BatchAugment, to_input
from compactlib.training.evaluate import evaluate_classifier
from compactlib.training.infobatch import InfoBatch
from compactlib.training.labels import check_labels, check_outputs
from compactlib.training.pictures import TrainingImages
from compactlib.training.precision import in_bf16
from compactlib.training.recipe import Recipe
from compactlib.training.resident import ResidentBatches
from compactlib.training.task import ImageTask


class Classification(ImageTask):
    """The task of a Recipe: a class for each image."""

    name, score, needs = "classification", "val_accuracy", ("images", "labels")

    def __init__(self, model: nn.Module, data: ImageData, recipe: Recipe, device: torch.device):
        super().__init__(model, data, recipe, device)
        check_outputs(model, data)
        check_labels(data, "train", "val")
        self.augment, self.mix = BatchAugment(recipe, device), None
        self.bf16 = in_bf16(recipe.precision, device)
        self.epoch, self.small = 0, False
        self.infobatch = InfoBatch(len(data.train), recipe.prune, device) if recipe.prune else None
        _check_crops(model, data, recipe)

    def batches(self) -> Iterable:
        """A pass over the training set in batches, shuffled."""
        part, recipe = self.data.train, self.recipe
        if recipe.resident:
            self.source = ResidentBatches(part, self.data.mean, recipe, self.device, self.infobatch)
            return self.source
        self.source = TrainingImages(part.images, part.labels, self.data.mean, recipe)
        workers = dict(num_workers=recipe.num_workers, collate_fn=as_is)
        return DataLoader(self.source, recipe.batch_size, shuffle=True, drop_last=True, **workers)

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint must hold besides the model."""
        return {"infobatch": self.infobatch} if self.infobatch else {}

    def begin_epoch(self, position: float) -> None:
        """Say how far the recipe's `epochs` are where an epoch begins: flips, RandAugment and pruning stop there."""
        recipe, share = self.recipe, position / self.recipe.epochs
        self.augment.flips = recipe.flip and share < recipe.flip_until
        self.source.augments = share < recipe.randaugment_until
        if self.infobatch:
            self.infobatch.active = share < recipe.prune_until

    def begin_step(self, epoch: int, position: float) -> None:
        """Say which pass over the data it is, from 0, and how far the recipe's `epochs` are (the two differ where the
        clock sets the pace)."""
        recipe = self.recipe
        mixing = bool(recipe.mixup or recipe.cutmix) and not 0 < recipe.mixup_off_epoch <= position
        if mixing and self.mix is None:
            smoothing = dict(label_smoothing=recipe.label_smoothing, num_classes=self.data.num_classes)
            self.mix = Mixup(recipe.mixup, recipe.cutmix, **smoothing)
        elif not mixing:
            self.mix = None
        self.epoch = epoch
        self.small = bool(recipe.crop_size) and position < recipe.crop_until * recipe.epochs

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        """Cross-entropy of a batch: images uint8 (b, h, w, c), labels and indices in the training set int64 (b,)."""
        x = to_input(images, self.data.mean, self.data.std, self.device)
        turn = int(self.infobatch.passes) if self.infobatch else self.epoch
        x = self.augment(x, indices.to(self.device), turn, self.small)
        target = labels.to(self.device)
        if self.mix:
            x, target = self.mix(x, target)
        if self.recipe.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        smoothing = 0.0 if self.mix else self.recipe.label_smoothing  # timm's Mixup smooths by itself
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            if self.infobatch is None:
                return F.cross_entropy(model(x), target, label_smoothing=smoothing)
            losses = F.cross_entropy(model(x), target, label_smoothing=smoothing, reduction="none")
        return self.infobatch.weigh(losses, indices)

    def validate(self, model: nn.Module) -> dict[str, float]:
        found = evaluate_classifier(model, self.data, "val")
        return {"val_loss": found.loss, "val_accuracy": found.accuracy}


def as_is(batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Collate nothing: the data set already gives batches."""
    return batch


def _check_crops(model: nn.Module, data: ImageData, recipe: Recipe) -> None:
    if not recipe.crop_size:
        return
    if recipe.crop_size > min(data.img_size):
        raise ValueError(
            f"crop_size={recipe.crop_size} is more than the images of {data.name} have, {min(data.img_size)} pixels"
        )
    if getattr(model, "pos_embed", None) is not None and not getattr(model, "dynamic_img_size", False):
        raise ValueError(
            f"crop_size={recipe.crop_size}: the model has positions for {data.img_size} pixels only; build it with "
            "dynamic_img_size=True or pos_embed='none', or set crop_size=0"
        )
