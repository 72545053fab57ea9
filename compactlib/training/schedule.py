"""The learning rate over a run, and when a run stops early: each a function of the recipe and the rows so far."""

from collections.abc import Mapping, Sequence

from timm.scheduler import create_scheduler_v2
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from compactlib.training.base_recipe import BaseRecipe

POLY_POWER = 0.9


class Schedule:
    """timm's cosine, poly or constant schedule by step, with warm-up; or torch's plateau by validation loss.

    It has no state of its own to be stored: steps are absolute, and the plateau is found again from the history.
    """

    def __init__(self, optimizer: Optimizer, recipe: BaseRecipe, steps_per_epoch: int):
        self.epochs, self.steps, self.plateau = recipe.epochs, None, None
        if recipe.schedule == "plateau":
            self.plateau = ReduceLROnPlateau(
                optimizer, factor=recipe.plateau_factor, patience=recipe.plateau_patience, min_lr=recipe.min_lr
            )
        else:
            self.steps, self.epochs = create_scheduler_v2(
                optimizer, sched=recipe.schedule, decay_rate=POLY_POWER, num_epochs=recipe.epochs, min_lr=recipe.min_lr,
                warmup_epochs=recipe.warmup_epochs, warmup_lr=recipe.warmup_lr, cooldown_epochs=recipe.cooldown_epochs,
                step_on_epochs=False, updates_per_epoch=steps_per_epoch,
            )  # fmt: skip

    def before_step(self, update: int) -> None:
        """Set the learning rate of step `update`, counted from the start of the run."""
        if self.steps:
            self.steps.step_update(update)

    def after_epoch(self, row: Mapping[str, float]) -> None:
        """Take note of an epoch's metrics. Call it for the stored rows, in order, when a run goes on."""
        if self.plateau:
            self.plateau.step(row["val_loss"])


def stands_still(recipe: BaseRecipe, history: Sequence[Mapping[str, float]], best_epoch: int) -> bool:
    """Whether early stopping ends the run: `patience` epochs have passed since the best one."""
    return bool(recipe.patience and history and history[-1]["epoch"] - best_epoch >= recipe.patience)
