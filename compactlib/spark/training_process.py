"""One process of a training on patches: what each Spark task of `train_on_patches` runs."""

import json
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import timm
import torch
import torch.distributed as distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset
from torchvision.transforms.functional import center_crop

from compactlib.models import save_model, scaling
from compactlib.segmentation import LOSSES
from compactlib.segmentation.inference import WHITE, attribute, check_answer
from compactlib.spark.reading import PatchDataset, read_patches
from compactlib.training.seeding import seeded

Numbers = float | Sequence[float]
EPOCH = "compactlib-epoch "  # begins the lines by which the first process tells the driver of an epoch


@dataclass(frozen=True)
class Plan:
    """What the processes have in common: see `train_on_patches`. Values that JSON knows; paths are absolute."""

    patches: str
    model: str
    arguments: dict[str, Any]
    out: str
    epochs: int
    batch_size: int
    lr: float
    loss: str
    weight_decay: float
    mean: Numbers
    std: Numbers
    valid: float
    labelled: float
    use_gpu: bool
    seed: int

    def data(self) -> PatchDataset:
        return read_patches(self.patches).where(valid=self.valid, labelled=self.labelled)

    def build(self) -> nn.Module:
        return timm.create_model(self.model, **self.arguments)

    def loss_of(self, model: nn.Module, images: Tensor, masks: Tensor) -> Tensor:
        """The loss of a batch: images (b, C, h, w) in the scene's type, masks int64 (b, h, w)."""
        mean, std = scaling(self.mean, self.std, images.device)
        white = WHITE.get(str(images.dtype).removeprefix("torch."), 1)
        x = ((images.float() / white - mean) / std).nan_to_num(0, 0, 0)  # what has no data is the mean, as in `segment`
        margin = attribute(model, "margin") or 0  # an unpadded model answers for the middle of its input
        size = [side - 2 * margin for side in x.shape[-2:]]
        return LOSSES[self.loss](check_answer(model(x), len(x), size), center_crop(masks, size))


def train(settings: dict[str, Any]) -> dict[str, Any]:
    """One process of the training; settings: of a Plan. Returns the history, a row per epoch. The first process writes
    the model.

    After an error the group is not taken down: the others must not fail of that before this process can say why.
    """
    plan = Plan(**settings)
    distributed.init_process_group("nccl" if plan.use_gpu else "gloo")
    rank, device = distributed.get_rank(), torch.device("cpu")
    if plan.use_gpu:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    with seeded(plan.seed):
        model = plan.build().to(device)
    parallel = DistributedDataParallel(model, device_ids=[device] if plan.use_gpu else None)
    optimizer = torch.optim.AdamW(parallel.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    history = []
    for epoch in range(plan.epochs):
        with seeded(plan.seed, epoch, rank):  # dropout differs between the processes
            loss, patches = _epoch(plan, parallel, optimizer, epoch, device)
        me = {"rank": rank, "host": socket.gethostname(), "pid": os.getpid(), "patches": patches}
        ranks: list[dict[str, Any]] = [{} for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(ranks, me)
        history.append({"epoch": epoch + 1, "loss": loss, "ranks": ranks})
        if rank == 0:
            print(EPOCH + json.dumps({"epoch": epoch + 1, "loss": loss}), flush=True)
    if rank == 0:
        save_model(plan.out, model.cpu(), plan.model, mean=plan.mean, std=plan.std, **plan.arguments)
    distributed.barrier()  # nobody leaves while the file is being written
    distributed.destroy_process_group()
    return {"history": history}


def _epoch(
    plan: Plan,
    model: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    epoch: int,
    device: torch.device,
) -> tuple[float, int]:
    """One pass over this process's share; returns the mean loss of all processes and the patches of this one."""
    rank, world = distributed.get_rank(), distributed.get_world_size()
    data = plan.data().shuffled(plan.seed + epoch)  # the same order in each process
    share = len(data) // plan.batch_size * plan.batch_size // world
    model.train()
    total = torch.zeros((), device=device)
    loader = DataLoader(Subset(data, range(rank * share, (rank + 1) * share)), plan.batch_size // world)
    for images, masks in loader:
        loss = plan.loss_of(model, images.to(device), masks.to(device))
        optimizer.zero_grad()
        loss.backward()  # averages the gradients of all processes
        optimizer.step()
        total += loss.detach()
    distributed.all_reduce(total)
    mean = total.item() / len(loader) / world
    if not torch.isfinite(total):
        raise FloatingPointError(f"the loss is {mean} in epoch {epoch + 1}, at learning rate {plan.lr:.3g}: lower lr")
    return mean, share
