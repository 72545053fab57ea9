"""The training loop."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3, dispatch_clip_grad
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from compactlib.datasets import ImageData, SegmentationData
from compactlib.training.base_recipe import BaseRecipe
from compactlib.training.classification import Classification
from compactlib.training.run_state import BestWeights, finish_epoch, start_run
from compactlib.training.schedule import Schedule, stands_still
from compactlib.training.seeding import seeded
from compactlib.training.segmentation import Segmentation

Data = ImageData | SegmentationData
Task = Classification | Segmentation
TIMM_NAMES = {"adamw": "adamw", "sgd": "momentum"}  # timm's "sgd" is Nesterov's


class DivergedError(FloatingPointError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class FitResult:
    """What a training run left behind: a row per epoch.

    A row has epoch, lr, train_loss, seconds and, with a validation set, val_loss, val_accuracy and, for masks, val_iou
    and val_dice (means over the classes).
    """

    history: list[dict[str, float]]
    best_epoch: int  # by val_accuracy or val_iou; the last one without a validation set
    seconds: float  # of all epochs, those before a restart included

    def column(self, name: str) -> list[float]:
        """One metric over the epochs."""
        return [row[name] for row in self.history]


def fit(
    model: nn.Module,
    data: Data,
    recipe: BaseRecipe,
    out: str | Path | None = None,
    *,
    device: str | torch.device = "cpu",
    resume: bool = True,
    progress: bool = True,
) -> FitResult:
    """Train `model` on data.train as `recipe` says: a classifier with a Recipe, a segmentation model with a MaskRecipe.

    Afterwards the model holds the last weights (averaged ones with EMA); with early stopping (`recipe.patience`) those
    of the best epoch. With a folder `out`, each epoch writes `last.safetensors` (all that is needed to go on),
    `best.safetensors` (the weights alone) and `metrics.jsonl`, each whole or not at all. A run that was killed goes on
    from its last epoch when it is called again with the same arguments; on a CPU it ends with the same weights, bit
    for bit.

    Args:
        resume: go on from what is in `out`; False starts anew.
        progress: show a bar.

    Raises:
        TypeError: the recipe is not one for these data.
        ValueError: data, model and recipe do not fit, or `out` holds a run of another model, recipe or data.
        DivergedError: the loss is not finite; names epoch, step and learning rate.
    """
    device = torch.device(device)
    model.to(device)
    task = _task(model, data, recipe, device)
    loader = _loader(task, data, recipe)
    optimizer = create_optimizer_v2(
        model, opt=TIMM_NAMES[recipe.optimizer], lr=recipe.lr, weight_decay=recipe.weight_decay,
        momentum=recipe.momentum, filter_bias_and_bn=True, fused=True,
    )  # fmt: skip
    schedule = Schedule(optimizer, recipe, len(loader))
    ema = ModelEmaV3(model, decay=recipe.ema_decay, use_warmup=True) if recipe.ema_decay else None
    modules = {"model": model} | ({"ema": ema.module} if ema else {})
    state = start_run(out, data, recipe, modules, optimizer, resume)
    best = BestWeights(out) if recipe.patience else None
    for row in state.history:
        schedule.after_epoch(row)
    step_model = torch.compile(model) if recipe.compile else model

    bar = tqdm(
        total=schedule.epochs * len(loader),
        initial=state.epoch * len(loader),
        disable=not progress,
        leave=False,
        mininterval=0.5,
    )
    with bar:
        for epoch in range(state.epoch, schedule.epochs):
            if stands_still(recipe, state.history, state.best_epoch):
                break
            began = time.perf_counter()
            with seeded(recipe.seed, epoch):
                train_loss = _train_epoch(step_model, model, loader, task, optimizer, schedule, ema, epoch, bar)
            row = {"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"], "train_loss": train_loss}
            if len(data.val):
                row |= task.validate(ema.module if ema else model)
                bar.set_postfix(loss=f"{train_loss:.3f}", val=f"{row[task.score]:.3f}")
            row["seconds"] = time.perf_counter() - began
            schedule.after_epoch(row)
            improved = finish_epoch(out, state, row, row.get(task.score, epoch), modules, optimizer)
            if best and improved:
                best.keep(modules.get("ema", model))
    if best:
        best.give_to(model)
    elif ema:
        model.load_state_dict(ema.module.state_dict())
    return FitResult(state.history, state.best_epoch, sum(row["seconds"] for row in state.history))


def _train_epoch(step_model, model, loader, task: Task, optimizer, schedule, ema, epoch: int, bar) -> float:
    """One pass over the training set. Returns the mean loss."""
    task.begin_epoch(epoch)
    model.train()
    losses: list[Tensor] = []
    for step, batch in enumerate(loader):
        update = epoch * len(loader) + step
        schedule.before_step(update)
        loss = task.loss(step_model, *batch)
        optimizer.zero_grad()
        loss.backward()
        if task.recipe.clip_grad:
            dispatch_clip_grad(model.parameters(), task.recipe.clip_grad)
        optimizer.step()
        if ema:
            ema.update(model, update)
        losses.append(loss.detach())
        # A look at the loss makes a GPU wait.
        if task.device.type == "cpu" or step % 50 == 0 or step + 1 == len(loader):
            _check_finite(losses, epoch, optimizer)
        bar.update()
    return torch.stack(losses).mean().item()


def _task(model: nn.Module, data: Data, recipe: BaseRecipe, device: torch.device) -> Task:
    kind = Segmentation if isinstance(data, SegmentationData) else Classification
    if not isinstance(recipe, kind.recipe_class):
        raise TypeError(f"{data.name} needs a {kind.recipe_class.__name__}, this recipe is a {type(recipe).__name__}")
    if getattr(model, "num_classes", data.num_classes) != data.num_classes:
        raise ValueError(f"the model has {model.num_classes} outputs, {data.name} has {data.num_classes} classes")
    if (recipe.patience or recipe.schedule == "plateau") and not len(data.val):
        what = "early stopping (patience)" if recipe.patience else "the plateau schedule"
        raise ValueError(f"{what} needs a validation set, {data.name} has none; load it with val_fraction above 0")
    return kind(model, data, recipe, device)


def _loader(task: Task, data: Data, recipe: BaseRecipe) -> DataLoader:
    training_set = task.training_set()
    if len(training_set) < recipe.batch_size:
        raise ValueError(
            f"{data.name} has {len(training_set)} training images, fewer than batch_size={recipe.batch_size}; "
            "lower batch_size or raise fraction"
        )
    return DataLoader(
        training_set, recipe.batch_size, shuffle=True, drop_last=True, num_workers=recipe.num_workers, collate_fn=_as_is
    )


def _as_is(batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return batch


def _check_finite(losses: list[Tensor], epoch: int, optimizer: torch.optim.Optimizer) -> None:
    bad = (~torch.stack(losses[-50:]).isfinite()).nonzero()
    if len(bad):
        step = max(0, len(losses) - 50) + int(bad[0])
        raise DivergedError(
            f"the loss is {losses[step].item()} in epoch {epoch + 1}, step {step + 1}, at learning rate "
            f"{optimizer.param_groups[0]['lr']:.3g}: lower lr, raise warmup_epochs, or set clip_grad=1.0"
        )
