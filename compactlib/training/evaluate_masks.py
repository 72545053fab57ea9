"""Measuring a segmentation model on a split."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compactlib.datasets import MaskSet, SegmentationData
from compactlib.models import device_and_type, eval_mode, runnable, unwrap
from compactlib.segmentation import class_dice, class_iou, confusion, mean_dice, mean_iou, pixel_accuracy, predict_image
from compactlib.segmentation.inference import attribute, check_answer
from compactlib.training.augment import to_input


@dataclass(frozen=True)
class MaskEvaluation:
    """What a segmentation model does on n images; pixels of the ignore label 255 take no part.

    loss: mean cross-entropy of a pixel. confusion: pixel counts int64 (classes, classes), rows are true classes.
    predictions: the most probable class of each pixel, uint8 (n, h, w).
    """

    loss: float
    confusion: np.ndarray
    predictions: np.ndarray

    def __repr__(self) -> str:
        (images, *size), classes = self.predictions.shape, len(self.confusion)
        scores = f"mean_iou={self.mean_iou:.4f}, mean_dice={self.mean_dice:.4f}, accuracy={self.accuracy:.4f}"
        measured = f"{images:,} images of {' x '.join(map(str, size))} pixels, {classes} classes"
        return f"MaskEvaluation(loss={self.loss:.4g}, {scores}; {measured})"

    @property
    def accuracy(self) -> float:
        """Share of the pixels that are right."""
        return float(pixel_accuracy(self.confusion))

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each class, (classes,); nan for a class that is neither there nor predicted."""
        return np.asarray(class_iou(self.confusion))

    @property
    def dice(self) -> np.ndarray:
        """Dice of each class, (classes,), over all pixels of the split together; nan as for `iou`."""
        return np.asarray(class_dice(self.confusion))

    @property
    def mean_iou(self) -> float:
        return float(mean_iou(self.confusion))

    @property
    def mean_dice(self) -> float:
        return float(mean_dice(self.confusion))


@torch.inference_mode()
def evaluate_masks(
    model: nn.Module, data: SegmentationData, split: str, batch_size: int = 8, tile: int = 1024
) -> MaskEvaluation:
    """`evaluate` for SegmentationData. An image that the model cannot take whole, or whose side is above `tile` pixels,
    is segmented by overlap-tile (compactlib.segmentation.predict_image)."""
    part: MaskSet = getattr(data, split)
    device_and_type(model)  # weights of several number types are refused before any work
    loss, pixels, predictions = 0.0, 0, []
    counts = np.zeros((data.num_classes, data.num_classes), np.int64)
    with eval_mode(model):
        for start in range(0, len(part), batch_size):
            images, masks = part.images[start : start + batch_size], part.masks[start : start + batch_size]
            scores = _scores(model, images, data, tile)  # (b, classes, h, w)
            if scores.shape[1] < data.num_classes:
                raise ValueError(
                    f"the model gives {scores.shape[1]} scores, {data.name} has {data.num_classes} classes"
                )
            target = torch.tensor(masks, dtype=torch.long)
            loss += F.cross_entropy(scores, target, ignore_index=255, reduction="sum").item()
            pixels += int((target != 255).sum())
            predicted = scores.argmax(dim=1)
            counts += np.asarray(confusion(predicted, target, data.num_classes))
            predictions.append(predicted.numpy().astype(np.uint8))
    return MaskEvaluation(loss / max(1, pixels), counts, np.concatenate(predictions))


def _scores(model: nn.Module, images: np.ndarray, data: SegmentationData, tile: int) -> Tensor:
    """Class scores float32 (b, classes, h, w) on the CPU: in one batch where the model takes the images as they are."""
    side = images.shape[1:3]
    fixed, stride = getattr(unwrap(model), "img_size", None), attribute(model, "stride") or 1
    whole = tuple(fixed) == tuple(side) if fixed else all(length % stride == 0 for length in side)
    if whole and not attribute(model, "margin") and max(side) <= tile:
        device, dtype = device_and_type(model)
        scores = runnable(model)(to_input(torch.tensor(images), data.mean, data.std, device).to(dtype))
        return check_answer(scores, len(images), side).float().cpu()
    scores = [predict_image(model, image, data.mean, data.std, max_tile=tile) for image in images]
    return torch.from_numpy(np.stack(scores)).permute(0, 3, 1, 2)
