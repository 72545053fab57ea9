"""Training on patches by several processes at once, each a Spark task, their gradients averaged in every step.

Plain on purpose: AdamW at one learning rate, no augmentation, no validation, no resume. It shows how a training set
that fits on no machine is learned from where it lies; `compactlib.training.fit` trains in one process, with the rest.
"""

import io
import json
import logging
import re
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm

from compactlib.files import atomic_write
from compactlib.segmentation import LOSSES
from compactlib.spark.measure import failure
from compactlib.spark.said import explained
from compactlib.spark.session import active_or_new, is_alive, jvm_log
from compactlib.spark.training_process import EPOCH, Numbers, Plan
from compactlib.training.seeding import seeded

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def train_on_patches(
    patches: str | Path,
    model_name: str,
    arguments: Mapping[str, Any],
    out: str | Path,
    *,
    epochs: int = 1,
    batch_size: int = 16,
    lr: float = 1e-3,
    loss: str = "dice_ce",
    weight_decay: float = 0.01,
    mean: Numbers = 0.5,
    std: Numbers = 0.25,
    valid: float = 0.0,
    labelled: float = 0.0,
    num_processes: int = 2,
    use_gpu: bool = False,
    session: "SparkSession | None" = None,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Train timm.create_model(model_name, **arguments) on a folder of patches with masks; returns `out`.

    `num_processes` Spark tasks train together (TorchDistributor, DistributedDataParallel; gloo, or nccl on GPUs): each
    reads its own share of every epoch's patches, batch_size / num_processes at a time, and all take the same steps.
    The gradient of a step is the mean over the processes: for a loss that is a mean over pixels, as "ce" is where all
    pixels are labelled, that of the whole batch; the Dice loss is that of each process's part. So are the statistics
    of BatchNorm. What does not fill a batch at the end of an epoch is left out, other patches in each epoch.

    out: the file, as `save_model` writes it, with mean and std; a row per epoch (epoch, loss, and for each process
    rank, host, pid, patches) stands beside it, in the file of the same name that ends in .jsonl. mean, std: of pixels
    between 0 and 1. valid, labelled: least share of pixels with data, and with a class, of the patches to learn from.
    patches and out must be where all workers see them. session: default: the active one, else a new local one.

    Before any task runs: ValueError if patches, model and arguments do not go together. TaskError if a process fails.
    """
    if num_processes < 1 or batch_size < 1 or batch_size % num_processes:
        raise ValueError(
            f"batch_size={batch_size}: expected a multiple of num_processes={num_processes}, both 1 or more"
        )
    if epochs < 1 or not lr > 0:
        raise ValueError(f"epochs={epochs}, lr={lr}: expected 1 or more epochs and a learning rate above 0")
    plan = Plan(
        str(Path(patches).absolute()), model_name, dict(arguments), str(Path(out).absolute()), epochs, batch_size, lr,
        loss, weight_decay, mean, std, valid, labelled, use_gpu, seed,
    )  # fmt: skip
    _check(plan)
    session = session or active_or_new(num_processes)
    _check_slots(session.sparkContext.master, num_processes)
    history = _distribute(plan, num_processes, session, use_gpu, progress)
    atomic_write(Path(out).with_suffix(".jsonl"), "".join(json.dumps(row) + "\n" for row in history))
    return Path(out)


def _check(plan: Plan) -> None:
    """One forward pass in the driver, so that what cannot work says so here."""
    data = plan.data()
    if not data.masks:
        raise ValueError(f"{plan.patches} has no masks to learn from; call patchify(..., mask=...)")
    if len(data) < plan.batch_size:
        raise ValueError(f"{plan.patches} has {len(data)} such patches, fewer than batch_size={plan.batch_size}")
    losses = sorted(set(LOSSES) - {"weighted_ce"})  # that one needs maps of weights
    if plan.loss not in losses:
        raise ValueError(f"loss={plan.loss!r} is not known here; expected one of {', '.join(losses)}")
    image, mask = data[0]
    try:
        with torch.no_grad(), seeded(plan.seed):
            plan.loss_of(plan.build().eval(), image[None], mask[None])
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{plan.model} with {plan.arguments} cannot learn from {plan.patches}: {error}") from error


def _check_slots(master: str, num_processes: int) -> None:
    """Spark would wait ten minutes for cores that a local master never gets."""
    if found := re.fullmatch(r"local\[(\d+).*\]", master):
        cores = int(found[1])
    elif found := re.fullmatch(r"local-cluster\[(\d+),(\d+),\d+\]", master.replace(" ", "")):
        cores = int(found[1]) * int(found[2])
    else:
        return
    if num_processes > cores:
        raise ValueError(f"num_processes={num_processes}: all run at once, and the session {master} has {cores} cores")


def _distribute(
    plan: Plan, num_processes: int, session: "SparkSession", use_gpu: bool, progress: bool
) -> list[dict[str, Any]]:
    """What `train` returns in the first process."""
    from pyspark.ml.torch.distributor import TorchDistributor

    def start(settings: dict[str, Any]) -> dict[str, Any]:
        # Pickled by value, for a fresh process in the executor's folder: a package that `session` shipped lies there.
        sys.path.append("compactlib.zip")
        from compactlib.spark.measure import measured
        from compactlib.spark.training_process import train

        return measured(train, settings)

    context, group = session.sparkContext, f"compactlib-{uuid.uuid4()}"
    context.setJobGroup(group, "train_on_patches", interruptOnCancel=True)
    with tqdm(total=plan.epochs, desc="epochs", disable=not progress) as bar:
        log = _Log(bar, partial(context.cancelJobGroup, group))
        try:
            with redirect_stderr(log):  # where TorchDistributor writes what its processes print
                distributor = TorchDistributor(num_processes, local_mode=False, use_gpu=use_gpu)
                logging.getLogger("TorchDistributor").setLevel(logging.WARNING)
                return distributor.run(start, asdict(plan))["history"]
        except Exception as error:
            # A task's own error may have been printed, where the others then failed of something else.
            raise failure(log.getvalue()) or explained(error, is_alive(context), jvm_log(1000)) from None
        finally:
            for name in ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel"):
                context.setLocalProperty(name, None)


class _Log(io.StringIO):
    """What the processes print. A line about an epoch moves the bar. An error of one process ends the job: the others
    would wait for it, and Spark would try all of them again."""

    def __init__(self, bar: tqdm, cancel: Callable[[], None]):
        super().__init__()
        self.bar, self.cancel = bar, cancel

    def write(self, text: str) -> int:
        written = super().write(text)
        if text.startswith(EPOCH):
            self.bar.update()
            self.bar.set_postfix(loss=f"{json.loads(text.removeprefix(EPOCH))['loss']:.4f}")
        elif failure(text):
            self.cancel()
        return written
