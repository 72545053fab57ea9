"""The models that segment a scene: checked, fingerprinted and packed by the driver, asked by the workers."""

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import torch
from timm.layers import to_2tuple
from torch import nn

from compactlib.files import atomic_write
from compactlib.models import load_model, read_facts, unwrap
from compactlib.raster import Scene, Window
from compactlib.segmentation import predict_tiled, tiles_source, tiling
from compactlib.segmentation.inference import attribute
from compactlib.segmentation.tiled import Side
from compactlib.spark.job import PACKED

MAX_TILE = 512  # pixels a side that a model sees where it may choose: what a worker's memory follows from
STRIP = 64  # rows at a time for softmax, so that its temporary arrays stay small

Numbers = float | Sequence[float] | None


@dataclass(frozen=True)
class Member:
    """A model, and how it is asked: see `predict_tiled`."""

    model: nn.Module
    tile: Side
    halo: Side
    mode: str
    mean: Numbers
    std: Numbers

    @property
    def step(self) -> int:
        """Pixels from one tile to the next."""
        stride = attribute(self.model, "stride") or 1
        return math.lcm(*(side // stride * stride or side for side in to_2tuple(self.tile)))

    def scores(self, image, window: Window, batch_size: int | None) -> np.ndarray:
        """Class scores float32 (window.height, window.width, classes)."""
        options = dict(mean=self.mean, std=self.std, batch_size=batch_size, window=window)
        return predict_tiled(self.model, image, self.tile, self.halo, self.mode, **options)

    def source(self, shape: Sequence[int], window: Window) -> Window:
        """The pixels of the scene that `scores` reads for a window."""
        return tiles_source(self.model, shape, self.tile, self.halo, self.mode, window)

    def facts(self) -> dict[str, Any]:
        """What its scores depend on, as JSON: weights as a hash, sizes, normalisation."""
        options = {name: np.asarray(value).tolist() for name, value in vars(self).items() if name != "model"}
        return {"weights": fingerprint(self.model), **options}


def load(models: nn.Module | str | Path | Sequence[nn.Module | str | Path]) -> list[tuple[nn.Module, dict[str, Any]]]:
    """Each model, loaded where it is a file of `save_model`, with the mean and std that stand in the file."""
    found = []
    for model in models if isinstance(models, (list, tuple)) else [models]:
        found.append((unwrap(model), {}) if isinstance(model, nn.Module) else (load_model(model), read_facts(model)))
    if not found:
        raise ValueError("no model is given; expected a module, the path of save_model's file, or a list of them")
    return found


def channels(loaded: Sequence[tuple[nn.Module, dict[str, Any]]]) -> set[int]:
    """How many channels the models that `load` found take, as far as they say so."""
    return {attribute(model, "in_chans") for model, _ in loaded} - {None}


def members(
    loaded: Sequence[tuple[nn.Module, dict[str, Any]]],
    shape: Sequence[int],
    tile: int | None,
    halo: int | None,
    mode: str | None,
    mean: Numbers,
    std: Numbers,
) -> list[Member]:
    """The models that `load` found, each with the tiling and the normalisation that suit it."""
    if (mean is None) != (std is None):
        raise ValueError("mean and std belong together; give both or none")
    if halo is not None and tile is None:
        raise ValueError(f"halo={halo} is given without a tile; give both, or none for the tiles that suit the model")
    given = {} if mean is None else {"mean": mean, "std": std}
    found = []
    for model, facts in loaded:
        size = _sizes(model, shape, tile, halo, mode)
        facts = facts | given
        found.append(Member(model, *size, facts.get("mean"), facts.get("std")))
    return found


def dry_run(ensemble: Sequence[Member], scene: Scene, batch_size: int | None) -> int:
    """Ask each model for the first tile of the scene; returns the number of classes.

    Raises ValueError, naming the model, for whatever makes the job impossible: channels, sizes, numbers of classes.
    """
    classes = []
    for number, member in enumerate(ensemble):
        name = f"model {number} ({type(member.model).__name__})" if len(ensemble) > 1 else type(member.model).__name__
        if any(halo >= side for halo, side in zip(to_2tuple(member.halo), scene.shape, strict=False)):
            raise ValueError(
                f"{name}: halo={member.halo} is larger than the image, which has {scene.shape[0]} x {scene.shape[1]} "
                "pixels: most of what the model sees would be its mirror image"
            )
        try:
            classes.append(member.scores(scene, Window(0, 0, 1, 1), batch_size).shape[-1])
        except (ValueError, RuntimeError, TypeError) as error:
            raise ValueError(f"{name} and {scene.path} do not go together: {_first_line(error)}") from error
        if not 2 <= classes[-1] <= 255:
            raise ValueError(
                f"{name} gives {classes[-1]} scores a pixel; expected 2 to 255 classes (255 means no data)"
            )
    if len(set(classes)) > 1:
        raise ValueError(f"the models of an ensemble have {classes} classes; expected the same number")
    return classes[0]


def predict(ensemble: Sequence[Member], image, window: Window, batch_size: int | None) -> np.ndarray:
    """Scores (h, w, classes) of one model; of several the mean of their softmax probabilities."""
    if len(ensemble) == 1:
        return ensemble[0].scores(image, window, batch_size)
    total = None
    for member in ensemble:
        scores = member.scores(image, window, batch_size)
        softmax(scores)
        total = scores if total is None else np.add(total, scores, out=total)
    return np.divide(total, len(ensemble), out=total)


def softmax(scores: np.ndarray) -> None:
    """Turn scores (h, w, classes) into probabilities, in place."""
    for top in range(0, len(scores), STRIP):
        strip = scores[top : top + STRIP]
        strip -= strip.max(axis=-1, keepdims=True)
        np.exp(strip, out=strip)
        strip /= strip.sum(axis=-1, keepdims=True)


def fingerprint(model: nn.Module) -> str:
    """A hash of the layers and the weights."""
    found = hashlib.sha256()
    for name, module in model.named_modules():
        found.update(f"{name} {type(module).__qualname__} {module.extra_repr()};".encode())
    for name, tensor in model.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        found.update(tensor.view(-1).view(torch.uint8).numpy() if tensor.numel() else b"")
    return found.hexdigest()[:16]


def pack(folder: Path, ensemble: Sequence[Member]) -> Path:
    """Write the members for the workers, into a file named by the hash of its content: a worker keeps what it has
    loaded. By cloudpickle, because a model's class may stand in a notebook."""
    packed = io.BytesIO()
    torch.save(list(ensemble), packed, pickle_module=cloudpickle)
    path = folder / f"{PACKED}{hashlib.sha256(packed.getbuffer()).hexdigest()}.pt"
    return atomic_write(path, packed.getbuffer())


def unpack(path: str | Path) -> list[Member]:
    """What `pack` wrote in this job. Such a file can run code, so its hash has to be that in the name, which the driver
    told this worker; ValueError where someone has put another file in its place."""
    path = Path(path)
    content = path.read_bytes() if path.is_file() else b""
    if path.name != f"{PACKED}{hashlib.sha256(content).hexdigest()}.pt":
        raise ValueError(f"{path} is not the file that this job wrote: someone has changed it; call again")
    return torch.load(io.BytesIO(content), weights_only=False)


def _sizes(
    model: nn.Module, shape: Sequence[int], tile: Side | None, halo: Side | None, mode: str | None
) -> tuple[Side, Side, str]:
    """What is given, and for the rest what suits the model; by default tiles overlap by a quarter."""
    suits = tiling(model, shape, MAX_TILE)
    if tile is None:
        return suits[0], suits[1], mode or suits[2]
    if halo is None:
        sixth = tile // 6 if isinstance(tile, int) else tuple(side // 6 for side in tile)
        halo = suits[1] if suits[2] == "crop" else sixth
    return tile, halo, mode or suits[2]


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
