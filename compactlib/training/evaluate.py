"""Measuring a classifier on a split; `evaluate` does it for whatever the data are."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from compactlib.datasets import ImageData, SegmentationData
from compactlib.models import device_and_type, eval_mode, runnable
from compactlib.training.augment import to_input
from compactlib.training.evaluate_masks import MaskEvaluation, evaluate_masks
from compactlib.training.labels import check_labels, check_outputs


@dataclass(frozen=True)
class Evaluation:
    """What a model does on n images: mean cross-entropy, accuracy in 0 to 1, and its probabilities (n, classes)."""

    loss: float
    accuracy: float
    labels: np.ndarray
    probabilities: np.ndarray

    def __repr__(self) -> str:
        images, classes = self.probabilities.shape
        return f"Evaluation(loss={self.loss:.4g}, accuracy={self.accuracy:.4f}; {images:,} images, {classes} classes)"

    @property
    def predictions(self) -> np.ndarray:
        """The most probable class of each image, (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> np.ndarray:
        """Counts (classes, classes): rows are true classes, columns predicted ones."""
        from sklearn.metrics import confusion_matrix  # here: it takes seconds to import

        return confusion_matrix(self.labels, self.predictions, labels=range(self.probabilities.shape[1]))


def evaluate(
    model: nn.Module, data: ImageData | SegmentationData, split: str = "test", **options
) -> Evaluation | MaskEvaluation:
    """Run `model` in eval mode over data.train, data.val or data.test, on the model's device; its mode is put back.

    The model may be in half precision or bfloat16, and in wrappers (torch.compile, DataParallel). ImageData gives an
    Evaluation, SegmentationData a MaskEvaluation. `options` are those of `evaluate_classifier` (batch_size,
    flip_average) and `evaluate_masks` (batch_size, tile). Raises ValueError for an unknown or empty split, for labels
    or masks that are no class of the data, and for a model with fewer outputs or with weights of several number types.
    """
    if split not in ("train", "val", "test"):
        raise ValueError(f"split={split!r} is unknown; expected 'train', 'val' or 'test'")
    if not len(getattr(data, split)):
        raise ValueError(f"{data.name} has no images in its {split!r} split; load it with val_fraction above 0")
    check_outputs(model, data, exactly=False)
    check_labels(data, split)
    return MEASURES[data.task](model, data, split, **options)


@torch.inference_mode()
def evaluate_classifier(
    model: nn.Module, data: ImageData, split: str, batch_size: int = 128, flip_average: bool = False
) -> Evaluation:
    """`evaluate` for ImageData, in batches of `batch_size` images; with `flip_average` the logits are the mean of those
    of the image and of its mirror image."""
    images, labels = getattr(data, split).images, getattr(data, split).labels
    (device, dtype), run = device_and_type(model), runnable(model)

    def predict(batch: torch.Tensor) -> torch.Tensor:
        x = to_input(batch, data.mean, data.std, device).to(dtype)
        logits = (run(x).float() + run(x.flip(-1)).float()) / 2 if flip_average else run(x).float()
        if logits.ndim != 2 or logits.shape[1] < data.num_classes:
            raise ValueError(
                f"the model answered {len(x)} images with numbers of shape {tuple(logits.shape)}; expected logits "
                f"({len(x)}, {data.num_classes})"
            )
        return logits.cpu()

    with eval_mode(model):
        # Copied: the images may be a file that is mapped into memory, which PyTorch must not write to.
        batches = (torch.tensor(images[i : i + batch_size]) for i in range(0, len(images), batch_size))
        logits = torch.cat([predict(batch) for batch in batches])
    loss = F.cross_entropy(logits, torch.tensor(labels)).item()
    accuracy = (logits.argmax(dim=1).numpy() == labels).mean().item()
    return Evaluation(loss, accuracy, labels, logits.softmax(dim=1).numpy())


MEASURES = {"classification": evaluate_classifier, "segmentation": evaluate_masks}  # by what the data are for
