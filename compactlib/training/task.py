"""What `fit` needs to know of what is learned: a recipe makes its task, and the loop asks the task.

A new kind of training is a recipe and a task; the loop, checkpoints and restarts stay as they are.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn


class Task:
    """The parent of all tasks. One must have `batches` and `loss`; the rest may stay as it is here.

    name: goes into the files of weights. score: the metric of `validate` by which the best epoch is chosen, the larger
    the better. needs: the arrays of a part that the task learns from. Several networks are one container module; frozen
    ones have requires_grad=False.

    Raises TypeError if the data lack what the task needs.
    """

    name: ClassVar[str] = ""
    score: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: nn.Module, data: Any, recipe: Any, device: torch.device):
        self.data, self.recipe, self.device = data, recipe, device
        if missing := [name for name in self.needs if name not in data.train.arrays]:
            raise TypeError(
                f"{data.name} has {' and '.join(data.train.arrays)}, and a {type(recipe).__name__} learns from "
                f"{' and '.join(self.needs)}: it has no {' or '.join(missing)}; use a recipe for these data"
            )

    def batches(self) -> Iterable:
        """A pass over the training set in batches, shuffled; it has a length. Called once."""
        raise NotImplementedError

    def loss(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """The loss of a batch, a scalar with a gradient."""
        raise NotImplementedError

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint must hold besides the model: modules under their names, such as a momentum target."""
        return {}

    def begin_epoch(self, position: float) -> None:
        """An epoch begins; `position`: how far the recipe's `epochs` are."""

    def begin_step(self, epoch: int, position: float) -> None:
        """A step begins: which pass over the data it is, from 0, and how far the recipe's `epochs` are (the two differ
        where the clock sets the pace)."""

    def after_step(self, model: nn.Module, step: int) -> None:
        """The optimizer has moved the weights in step number `step` of the run, from 0: update a target, say."""

    @property
    def validates(self) -> bool:
        """Whether there is something to validate on."""
        return bool(self.score) and len(self.data.val) > 0

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Metrics after an epoch, `score` among them. Asked for only where `validates`."""
        return {}

    def model_facts(self) -> dict[str, Any]:
        """What a file of weights says of the data, for whoever opens it: mean, std, classes, img_size."""
        return {}

    def facts(self) -> dict[str, str]:
        """What has to be the same for a run to go on: the very arrays for training and for validation, on which the
        best epoch, early stopping and the plateau schedule depend."""
        found = hashlib.sha256(str(self.statistics()).encode())
        for array in [*self.data.train.arrays.values(), *self.data.val.arrays.values()]:
            found.update(np.ascontiguousarray(array))
        return {"data": f"{self.data.name}, {len(self.data.train)} images, {found.hexdigest()[:12]}"}

    def statistics(self) -> tuple:
        """Numbers by which the data are normalised."""
        return ()


class ImageTask(Task):
    """A task on images with a mean, a standard deviation and classes."""

    def model_facts(self) -> dict[str, Any]:
        data = self.data
        facts = dict(mean=data.mean, std=data.std, classes=data.class_names, img_size=data.img_size)
        return {**facts, "task": self.name}

    def statistics(self) -> tuple:
        return self.data.mean, self.data.std
