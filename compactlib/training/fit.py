"""The training loop."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from timm.data import Mixup
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3, dispatch_clip_grad
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from compactlib.datasets import ImageData
from compactlib.files import atomic_write
from compactlib.training.augment import BatchAugment, TrainingImages, to_input
from compactlib.training.checkpoint import Progress, load_run, restore, save_run, save_weights
from compactlib.training.evaluate import evaluate
from compactlib.training.recipe import Recipe
from compactlib.training.seeding import seeded


class DivergedError(FloatingPointError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class FitResult:
    """What a training run left behind: a row per epoch (epoch, lr, train_loss, val_loss, val_accuracy, seconds)."""

    history: list[dict[str, float]]
    best_epoch: int  # by validation accuracy; the last one without a validation set
    seconds: float  # of all epochs, those before a restart included

    def column(self, name: str) -> list[float]:
        """One metric over the epochs."""
        return [row[name] for row in self.history]


def fit(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    device: str | torch.device = "cpu",
    resume: bool = True,
    progress: bool = True,
) -> FitResult:
    """Train `model` on data.train as `recipe` says; afterwards it holds the last weights (averaged ones with EMA).

    With a folder `out`, each epoch writes `last.safetensors` (all that is needed to go on), `best.safetensors` (the
    weights alone) and `metrics.jsonl`, each whole or not at all. A run that was killed goes on from its last epoch when
    it is called again with the same arguments; on a CPU it ends with the same weights, bit for bit.

    Args:
        resume: go on from what is in `out`; False starts anew.
        progress: show a bar.

    Raises:
        ValueError: data, model and recipe do not fit, or `out` holds a run of another model, recipe or data.
        DivergedError: the loss is not finite; names epoch, step and learning rate.
    """
    device = torch.device(device)
    model.to(device)
    if getattr(model, "num_classes", data.num_classes) != data.num_classes:
        raise ValueError(f"the model has {model.num_classes} outputs, {data.name} has {data.num_classes} classes")
    loader = _loader(data, recipe)
    optimizer = create_optimizer_v2(
        model, opt="adamw", lr=recipe.lr, weight_decay=recipe.weight_decay, filter_bias_and_bn=True, fused=True
    )
    schedule, epochs = create_scheduler_v2(
        optimizer, sched="cosine", num_epochs=recipe.epochs, min_lr=recipe.min_lr, warmup_epochs=recipe.warmup_epochs,
        warmup_lr=recipe.warmup_lr, cooldown_epochs=recipe.cooldown_epochs,
        step_on_epochs=False, updates_per_epoch=len(loader),
    )  # fmt: skip
    ema = ModelEmaV3(model, decay=recipe.ema_decay, use_warmup=True) if recipe.ema_decay else None
    modules = {"model": model} | ({"ema": ema.module} if ema else {})
    state = _start(out, data, recipe, modules, optimizer, resume)
    step_model = torch.compile(model) if recipe.compile else model

    bar = tqdm(
        total=epochs * len(loader),
        initial=state.epoch * len(loader),
        disable=not progress,
        leave=False,
        mininterval=0.5,
    )
    with bar:
        for epoch in range(state.epoch, epochs):
            began = time.perf_counter()
            with seeded(recipe.seed, epoch):
                train_loss = _train_epoch(
                    step_model, loader, data, recipe, optimizer, schedule, ema, epoch, device, bar
                )
            row = {"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"], "train_loss": train_loss}
            if len(data.val):
                validation = evaluate(ema.module if ema else model, data, "val")
                row |= {"val_loss": validation.loss, "val_accuracy": validation.accuracy}
                bar.set_postfix(loss=f"{train_loss:.3f}", val=f"{validation.accuracy:.3f}")
            row["seconds"] = time.perf_counter() - began
            _finish_epoch(out, state, row, modules, optimizer)
    if ema:
        model.load_state_dict(ema.module.state_dict())
    return FitResult(state.history, state.best_epoch, sum(row["seconds"] for row in state.history))


def _train_epoch(model, loader, data, recipe, optimizer, schedule, ema, epoch, device, bar) -> float:
    """One pass over the training set. Returns the mean loss."""
    augment, mix = BatchAugment(recipe, device), _mixup(data, recipe, epoch)
    smoothing = 0.0 if mix else recipe.label_smoothing  # timm's Mixup smooths by itself
    model.train()
    losses: list[Tensor] = []
    for step, (images, labels) in enumerate(loader):
        update = epoch * len(loader) + step
        schedule.step_update(update)
        x, target = augment(to_input(images, data.mean, data.std, device)), labels.to(device)
        if mix:
            x, target = mix(x, target)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            loss = F.cross_entropy(model(x), target, label_smoothing=smoothing)
        optimizer.zero_grad()
        loss.backward()
        if recipe.clip_grad:
            dispatch_clip_grad(model.parameters(), recipe.clip_grad)
        optimizer.step()
        if ema:
            ema.update(model, update)
        losses.append(loss.detach())
        if device.type == "cpu" or step % 50 == 0 or step + 1 == len(loader):  # a look at the loss makes a GPU wait
            _check_finite(losses, epoch, optimizer)
        bar.update()
    return torch.stack(losses).mean().item()


def _loader(data: ImageData, recipe: Recipe) -> DataLoader:
    if len(data.train) < recipe.batch_size:
        raise ValueError(
            f"{data.name} has {len(data.train)} training images, fewer than batch_size={recipe.batch_size}; "
            "lower batch_size or raise fraction"
        )
    images = TrainingImages(data.train.images, data.train.labels, data.mean, recipe)
    return DataLoader(
        images, recipe.batch_size, shuffle=True, drop_last=True, num_workers=recipe.num_workers, collate_fn=_as_is
    )


def _as_is(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return batch


def _mixup(data: ImageData, recipe: Recipe, epoch: int) -> Mixup | None:
    if not (recipe.mixup or recipe.cutmix) or 0 < recipe.mixup_off_epoch <= epoch:
        return None
    return Mixup(recipe.mixup, recipe.cutmix, label_smoothing=recipe.label_smoothing, num_classes=len(data.class_names))


def _check_finite(losses: list[Tensor], epoch: int, optimizer: torch.optim.Optimizer) -> None:
    bad = (~torch.stack(losses[-50:]).isfinite()).nonzero()
    if len(bad):
        step = max(0, len(losses) - 50) + int(bad[0])
        raise DivergedError(
            f"the loss is {losses[step].item()} in epoch {epoch + 1}, step {step + 1}, at learning rate "
            f"{optimizer.param_groups[0]['lr']:.3g}: lower lr, raise warmup_epochs, or set clip_grad=1.0"
        )


def _start(out, data: ImageData, recipe: Recipe, modules, optimizer, resume: bool) -> Progress:
    """The progress to start from, with weights and optimizer restored if there is a checkpoint."""
    facts = _facts(modules["model"], data)
    fresh = Progress(recipe=asdict(recipe), facts=facts)
    if out is None:
        return fresh
    path = Path(out) / "last.safetensors"
    if not resume:
        for name in ("last.safetensors", "best.safetensors", "metrics.jsonl"):
            (Path(out) / name).unlink(missing_ok=True)
    if not path.exists():
        return fresh
    state, tensors = load_run(path)
    changed = recipe.differences(state.recipe)
    changed |= {k: (facts[k], state.facts.get(k)) for k in facts if facts[k] != state.facts.get(k)}
    if changed:
        what = [f"{k}: {old!r} there, {new!r} now" for k, (new, old) in sorted(changed.items())]
        raise ValueError(
            f"{path} belongs to a run with other settings ({'; '.join(what)}); "
            "name another folder, or call fit(..., resume=False) to train from the start"
        )
    restore(tensors, modules, optimizer)
    _write_metrics(out, state)  # a kill between the two files of an epoch leaves the metrics one row short
    return state


def _facts(model: nn.Module, data: ImageData) -> dict[str, Any]:
    """What has to be the same for a run to go on: the model's layers, and the very images and labels."""
    layers = {
        f"{name}.{key}": value
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, (bool, int, float, str, tuple)) and key != "training"
    }
    images = hashlib.sha256(data.train.images.tobytes() + data.train.labels.tobytes() + str(data.mean).encode())
    return {
        "model": f"{type(model).__name__} {hashlib.sha256(str(layers).encode()).hexdigest()[:12]}",
        "data": f"{data.name}, {len(data.train)} images, {images.hexdigest()[:12]}",
    }


def _finish_epoch(out, state: Progress, row: dict[str, float], modules, optimizer) -> None:
    """Enter the epoch's row into the progress, and write it all if there is a folder."""
    state.epoch = row["epoch"]
    state.history.append(row)
    score = row.get("val_accuracy", row["epoch"])  # without a validation set the last epoch counts as the best
    improved = score > state.best
    if improved:
        state.best, state.best_epoch = score, row["epoch"]
    if out is None:
        return
    if improved:
        save_weights(Path(out) / "best.safetensors", modules.get("ema", modules["model"]), **row)
    save_run(Path(out) / "last.safetensors", state, modules, optimizer)
    _write_metrics(out, state)


def _write_metrics(out: str | Path, state: Progress) -> None:
    atomic_write(Path(out) / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in state.history))
