"""Training a segmentation model: its batches, its loss, its metrics. `fit` does the rest."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import center_crop
from tqdm.auto import tqdm

from compactlib.datasets import MaskSet, SegmentationData
from compactlib.models import scaling
from compactlib.raster import mirror_indices
from compactlib.segmentation import LOSSES, augment, balanced_class_weights, label_instances, weight_map
from compactlib.segmentation.inference import attribute, check_answer
from compactlib.training.augment import to_unit
from compactlib.training.classification import as_is
from compactlib.training.evaluate_masks import evaluate_masks
from compactlib.training.labels import check_labels, check_outputs, pixel_counts
from compactlib.training.mask_recipe import MaskRecipe
from compactlib.training.precision import in_bf16
from compactlib.training.task import ImageTask


class Segmentation(ImageTask):
    """The task of a MaskRecipe: a class for each pixel."""

    name, score, needs = "segmentation", "val_iou", ("images", "masks")

    def __init__(self, model: nn.Module, data: SegmentationData, recipe: MaskRecipe, device: torch.device):
        super().__init__(model, data, recipe, device)
        check_outputs(model, data)
        check_labels(data, "train", "val")
        self.loss_function, self.augmentation = LOSSES[recipe.loss], recipe.augmentation
        self.bf16 = in_bf16(recipe.precision, device)
        self.margin, self.window = attribute(model, "margin") or 0, _window(model, data, recipe)
        self.class_weights = class_weights(data, recipe, device)

    def batches(self) -> DataLoader:
        """A pass over the training set in batches, shuffled."""
        recipe = self.recipe
        weights = weight_maps(self.data.train) if recipe.loss == "weighted_ce" else None
        windows = TrainingMasks(self.data.train, weights, self.window, self.margin, recipe.crops_per_image)
        return DataLoader(
            windows, recipe.batch_size, shuffle=True, drop_last=True, num_workers=recipe.num_workers, collate_fn=as_is
        )

    def loss(self, model: nn.Module, images: Tensor, masks: Tensor, weights: Tensor | None = None) -> Tensor:
        """The recipe's loss of a batch: images (b, h, w, c), masks uint8 (b, h, w), weights float (b, h, w)."""
        x = to_unit(images.to(self.device, non_blocking=True))
        target = masks.to(self.device).long()
        weights = None if weights is None else weights.to(self.device)
        x, target, weights = augment(x, target, weights, self.augmentation)
        mean, std = scaling(self.data.mean, self.data.std, self.device)
        x = (x - mean) / std
        if self.recipe.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            logits = model(x)
        size = [side - 2 * self.margin for side in x.shape[-2:]]  # an unpadded model answers for the middle
        check_answer(logits, len(x), size)
        weights = None if weights is None else center_crop(weights, size)
        return self.loss_function(logits.float(), center_crop(target, size), weights, self.class_weights)

    def validate(self, model: nn.Module) -> dict[str, float]:
        found = evaluate_masks(model, self.data, "val")
        scores = {"val_accuracy": found.accuracy, "val_iou": found.mean_iou, "val_dice": found.mean_dice}
        return {"val_loss": found.loss, **scores}


class TrainingMasks(Dataset):
    """Batches of windows of images and masks for a DataLoader, `crops_per_image` of each image in an epoch.

    window: height and width of the part that is learned; margin: pixels of context around it, mirrored where the image
    ends. Where a window is as large as the image it starts at its corner, else at a random place.
    """

    def __init__(
        self, part: MaskSet, weights: np.ndarray | None, window: tuple[int, int], margin: int, crops_per_image: int
    ):
        self.arrays = [part.images, part.masks] + ([] if weights is None else [weights])
        self.window, self.margin, self.crops = window, margin, crops_per_image

    def __len__(self) -> int:
        return len(self.arrays[0]) * self.crops

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, ...]:
        pieces = [self._piece(index % len(self.arrays[0])) for index in indices]
        return tuple(torch.from_numpy(np.stack(arrays)) for arrays in zip(*pieces, strict=True))

    def _piece(self, index: int) -> list[np.ndarray]:
        """One window of each array, with its margin."""
        rows, columns = (self._stretch(*sides) for sides in zip(self.arrays[0].shape[1:3], self.window, strict=True))
        return [array[index][rows[:, None], columns] for array in self.arrays]

    def _stretch(self, length: int, window: int) -> np.ndarray:
        free = length - window
        start = int(torch.randint(free + 1, ())) if free > 0 else 0
        return mirror_indices(start - self.margin, start + window + self.margin, length)


def class_weights(data: SegmentationData, recipe: MaskRecipe, device: torch.device) -> Tensor | None:
    """The recipe's weight of each class, float32 (k,), or None. ValueError where they do not belong to the data."""
    chosen, names = recipe.class_weights, data.class_names
    if chosen is None:
        return None
    if chosen == "balanced":
        counts = pixel_counts(data.train.masks)[: len(names)]
        if absent := [f"{k} ({name})" for k, (name, n) in enumerate(zip(names, counts, strict=True)) if not n]:
            raise ValueError(
                f"class_weights='balanced': no training mask of {data.name} has class {', '.join(absent)}; give "
                "numbers instead, or more training images"
            )
        chosen = balanced_class_weights(counts)
    if len(chosen) != len(names):
        raise ValueError(f"class_weights has {len(chosen)} numbers; {data.name} has {len(names)} classes")
    return torch.tensor(chosen, dtype=torch.float32, device=device)


def weight_maps(part: MaskSet) -> np.ndarray:
    """U-Net's weight map of each mask (n, h, w), float32. The objects are the connected parts of what is not class 0.

    The border term stays in the background: on the rims of the cells too, where the formula as printed puts it as well,
    it pulls against itself, and hardly a gap opened in the notebook's short training.
    """
    masks = tqdm(part.masks, desc="weight maps", leave=False, delay=20)
    return np.stack([weight_map(label_instances(mask), border="background") for mask in masks])


def _window(model: nn.Module, data: SegmentationData, recipe: MaskRecipe) -> tuple[int, int]:
    """Height and width of what is learned in one piece: the crop or the image, made larger until the model takes it."""
    wanted = [recipe.crop] * 2 if recipe.crop else list(data.img_size)
    margin = 2 * getattr(model, "margin", 0)
    if fixed := getattr(model, "img_size", None):
        answers = [side - margin for side in fixed]  # height and width of the model's output
        if wanted != answers:
            what = f"crop={recipe.crop}" if recipe.crop else f"images of {wanted[0]}x{wanted[1]} pixels"
            raise ValueError(
                f"the model answers for {answers[0]}x{answers[1]} pixels, the recipe gives {what}; "
                f"set crop={answers[0]} or build the model with another img_size"
            )
    if not hasattr(model, "nearest_sizes"):
        return wanted[0], wanted[1]
    height, width = (model.nearest_sizes(side + margin)[1] - margin for side in wanted)
    return height, width
