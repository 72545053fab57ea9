"""The training loop."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timm.utils import ModelEmaV3, dispatch_clip_grad
from torch import Tensor, nn
from tqdm.auto import tqdm

from compactlib.models import as_named_in, device_and_type, runnable, set_data_facts, unwrap
from compactlib.training.base_recipe import BaseRecipe
from compactlib.training.optimizer import make_optimizer
from compactlib.training.precision import in_bf16
from compactlib.training.run_state import BestWeights, finish_epoch, held, start_run
from compactlib.training.schedule import Schedule, stands_still
from compactlib.training.seeding import seeded
from compactlib.training.subnormal import flush_subnormals
from compactlib.training.task import Task


class DivergedError(FloatingPointError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class FitResult:
    """What a training run left behind: a row per epoch.

    A row has epoch, lr, train_loss, train_seconds, cpu_seconds (of this process's threads, while it trained), seconds
    (with validation) and, with a validation set, val_loss, val_accuracy and, for masks, val_iou and val_dice (means
    over the classes).
    """

    history: list[dict[str, float]]
    best_epoch: int  # by val_accuracy or val_iou; the last one without a validation set
    seconds: float  # of all epochs, those before a restart included
    setup_seconds: float  # before the first step: data and model to the device, reading a checkpoint, compiling

    def __repr__(self) -> str:
        return f"FitResult({len(self.history)} epochs, best_epoch={self.best_epoch}, seconds={self.seconds:.1f})"

    def column(self, name: str) -> list[float]:
        """One metric over the epochs."""
        return [row[name] for row in self.history]


def fit(
    model: nn.Module,
    data: Any,
    recipe: BaseRecipe,
    out: str | Path | None = None,
    *,
    device: str | torch.device = "cpu",
    resume: bool = True,
    progress: bool = True,
) -> FitResult:
    """Train `model` on data.train as `recipe` says: a classifier with a Recipe, a segmentation model with a MaskRecipe,
    anything else with a recipe that makes its task (`compactlib.training.task`).

    The run is over after `recipe.epochs` passes, or when `recipe.time_budget` seconds of training have passed.
    Afterwards the model holds the last weights (averaged ones with EMA); with early stopping (`recipe.patience`) those
    of the best epoch. With a folder `out`, each epoch writes `last.safetensors` (all that is needed to go on; the one
    before it stays as `previous.safetensors` and serves where that is damaged), `best.safetensors` (the weights alone)
    and `metrics.jsonl`, each whole or not at all. Both files of weights open in `models.load_model`, `segment` and the
    app, with mean, std and class names of the data, if the model carries its spec (`models.spec_of`). A run that was
    killed goes on from its last epoch when it is called again with the same arguments; on a CPU it ends with the same
    weights, bit for bit, unless the clock sets the pace. With more `epochs` a run goes on as well, finished or not,
    where what it has done does not hang on its length: with a constant schedule or "plateau". From then on, this thread
    takes numbers below 1.2e-38 for zero (`flush_subnormals`).

    Args:
        model: may stand in wrappers (torch.compile, DataParallel): it learns through them, and files are as without.
        resume: go on from what is in `out`; False starts anew.
        progress: show a bar.

    Raises:
        TypeError: the recipe is not one for these data.
        ValueError: data, model and recipe do not fit, labels or masks are no class of the data, the model's weights are
            in half precision, or `out` holds a run of another model, recipe or data.
        RuntimeError: another run is training in `out`.
        PermissionError: nothing can be written to `out`.
        DivergedError: the loss is not finite; names epoch, step and learning rate.
        MemoryError: a batch does not fit the GPU's memory; names a batch size to try.
    """
    flush_subnormals()
    with held(out):
        return _fit(model, data, recipe, out, torch.device(device), resume, progress)


def _fit(outer, data: Any, recipe: BaseRecipe, out, device: torch.device, resume: bool, progress: bool) -> FitResult:
    """outer: the model in its wrappers, which computes; what is inside is what is looked at and stored."""
    called = time.perf_counter()
    model = unwrap(outer)
    task = recipe.task(model, data, device)
    _check(model, task)
    model.to(device, memory_format=torch.channels_last if recipe.channels_last else torch.preserve_format)
    if facts := task.model_facts():
        set_data_facts(model, **facts)
    loader = task.batches()
    if not len(loader):
        raise ValueError(
            f"{data.name} has {len(data.train)} training images, fewer than batch_size={recipe.batch_size}; "
            "lower batch_size or raise fraction"
        )
    optimizer = make_optimizer(model, recipe)
    schedule = Schedule(optimizer, recipe, len(loader))
    ema = ModelEmaV3(model, decay=recipe.ema_decay, use_warmup=True) if recipe.ema_decay else None
    modules = {"model": model} | ({"ema": ema.module} if ema else {}) | task.modules()
    state = start_run(out, task, modules, optimizer, resume)
    best = BestWeights(out) if recipe.patience else None
    for row in state.history:
        schedule.after_epoch(row)
    step_model = runnable(outer)
    if recipe.compile:
        step_model = torch.compile(step_model, dynamic=False)
        with seeded(recipe.seed):
            _warm_up(step_model, model, task, loader)
    setup_seconds = time.perf_counter() - called

    with _bar(schedule, state.epoch * len(loader), progress) as bar:
        epoch = state.epoch
        while not schedule.over(schedule.position(epoch * len(loader))):
            if stands_still(recipe, state.history, state.best_epoch):
                break
            began, cpu_began = time.perf_counter(), time.process_time()
            with seeded(recipe.seed, epoch):
                outer.train()
                train_loss = _train_epoch(step_model, model, loader, task, optimizer, schedule, ema, epoch, bar)
            row = {"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"], "train_loss": train_loss}
            row |= {"train_seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}
            if task.validates:
                row |= task.validate(ema.module if ema else model)
                bar.set_postfix(loss=f"{train_loss:.3f}", val=f"{row[task.score]:.3f}")
            row["seconds"] = time.perf_counter() - began
            schedule.after_epoch(row)
            improved = finish_epoch(out, state, row, row.get(task.score, epoch), modules, optimizer)
            if best and improved:
                best.keep(modules.get("ema", model))
            epoch += 1
    if best:
        best.give_to(model)
    elif ema:
        model.load_state_dict(as_named_in(model, ema.module.state_dict()))
    return FitResult(state.history, state.best_epoch, sum(row["seconds"] for row in state.history), setup_seconds)


def _bar(schedule: Schedule, update: int, progress: bool) -> tqdm:
    """A bar of steps, or of seconds where the clock sets the pace."""
    total, unit = (
        (round(schedule.budget), "s") if schedule.budget else (schedule.epochs * schedule.steps_per_epoch, "it")
    )
    begun = round(schedule.elapsed()) if schedule.budget else update
    return tqdm(total=total, initial=begun, unit=unit, disable=not progress, leave=False, mininterval=0.5)


def _warm_up(step_model: nn.Module, model: nn.Module, task: Task, loader) -> None:
    """Compile before the clock starts: a step for each size of image, which leaves model and optimizer as they are."""
    kept = [model, *task.modules().values()]
    before = [{name: value.clone() for name, value in module.state_dict().items()} for module in kept]
    model.train()
    batch = next(iter(loader))
    for position in (0.0, float(task.recipe.epochs)):
        task.begin_step(0, position)
        task.loss(step_model, *batch).backward()
    model.zero_grad()
    for module, state in zip(kept, before, strict=True):  # BatchNorm and InfoBatch have counted the batch
        module.load_state_dict(state)


def _train_epoch(step_model, model, loader, task: Task, optimizer, schedule, ema, epoch: int, bar) -> float:
    """One pass over the training set, or as much of it as there is time for. Returns the mean loss."""
    losses: list[Tensor] = []
    schedule.begin_epoch()
    task.begin_epoch(schedule.position(epoch * len(loader)))
    for step, batch in enumerate(loader):
        update = epoch * len(loader) + step
        position = schedule.position(update)
        schedule.before_step(position)
        task.begin_step(epoch, position)
        optimizer.zero_grad()
        try:
            loss = task.loss(step_model, *batch)
            loss.backward()
        except torch.OutOfMemoryError as error:
            raise _too_large(task.recipe, task.device) from error
        if task.recipe.clip_grad:
            dispatch_clip_grad(model.parameters(), task.recipe.clip_grad)
        optimizer.step()
        task.after_step(model, update)
        if ema:
            ema.update(model, update)
        losses.append(loss.detach())
        # A look at the loss makes a GPU wait.
        if task.device.type == "cpu" or step % 50 == 49:
            _check_finite(losses, epoch, optimizer)
        bar.update(max(0, int(schedule.elapsed()) - bar.n) if schedule.budget else 1)
        if schedule.over(schedule.position(update + 1)):
            break
    _check_finite(losses, epoch, optimizer)  # the clock may have ended the pass between two looks
    return torch.stack(losses).mean().item()


def _check(model: nn.Module, task: Task) -> None:
    """ValueError if the model is in fewer digits than training needs, or a recipe waits for scores that nobody has."""
    recipe = task.recipe
    _, dtype = device_and_type(model)
    if dtype != torch.float32 and not (dtype == torch.bfloat16 and in_bf16(recipe.precision, task.device)):
        raise ValueError(
            f"the model's weights are {str(dtype).removeprefix('torch.')}; fit trains float32 ones, because the steps "
            "of an optimizer get lost in fewer digits: call model.float(), and set precision='bf16' for speed"
        )
    if (recipe.patience or recipe.schedule == "plateau") and not task.validates:
        what = "early stopping (patience)" if recipe.patience else "the plateau schedule"
        raise ValueError(f"{what} needs a validation set, {task.data.name} has none; load it with val_fraction above 0")


def _too_large(recipe: BaseRecipe, device: torch.device) -> MemoryError:
    half = max(1, recipe.batch_size // 2)
    smaller = f"batch_size={half}" if recipe.batch_size > 1 else "smaller images"
    also = " or precision='bf16'" if recipe.precision == "fp32" else ""
    return MemoryError(f"batch_size={recipe.batch_size} does not fit the memory of {device}: try {smaller}{also}")


def _check_finite(losses: list[Tensor], epoch: int, optimizer: torch.optim.Optimizer) -> None:
    bad = (~torch.stack(losses[-50:]).isfinite()).nonzero()
    if len(bad):
        step = max(0, len(losses) - 50) + int(bad[0])
        raise DivergedError(
            f"the loss is {losses[step].item()} in epoch {epoch + 1}, step {step + 1}, at learning rate "
            f"{optimizer.param_groups[0]['lr']:.3g}: lower lr, raise warmup_epochs, or set clip_grad=1.0"
        )
