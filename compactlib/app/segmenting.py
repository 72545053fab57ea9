"""A run of the app: a picture through a model, tile by tile, so that it can be followed and stopped."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from compactlib.app.checkpoints import CLASSIFIER, ModelError, Offer
from compactlib.app.uploads import Picture
from compactlib.raster.missing import LoadedImage
from compactlib.segmentation import predict_tiled, tiling
from compactlib.segmentation.inference import attribute
from compactlib.segmentation.tiled import Side

IGNORE = 255  # no class: no data, or a probability below the threshold
PATCH, OVERLAP = 512, 25  # pixels a side that the model sees at once; per cent that neighbours share
SCORES_LIMIT = 3_000_000_000  # bytes of the class scores of all pixels
ROWS = 64  # at a time for softmax, so that its temporary arrays stay small


class Stopped(Exception):
    """The run was asked to stop."""


@dataclass(frozen=True)
class Plan:
    """How `predict_tiled` cuts the picture, and in words what of the wish could not be had."""

    tile: Side
    halo: Side
    mode: str
    remarks: tuple[str, ...] = ()

    @property
    def patch(self) -> Side:
        """Side of what the model sees at once, pixels; (height, width) for a model of rectangles."""
        if isinstance(self.tile, int):
            return self.tile + 2 * self.halo
        return self.tile[0] + 2 * self.halo[0], self.tile[1] + 2 * self.halo[1]

    @property
    def words(self) -> str:
        """In words: patches of what size, and how they are put together."""
        how = "neighbours blended where they overlap" if self.mode == "blend" else "only the middle of each is kept"
        if isinstance(self.tile, int):
            return f"{self.patch} pixels a side, {2 * self.halo} of them shared; {how}"
        shared = " x ".join(str(2 * side) for side in self.halo)
        return f"{' x '.join(map(str, self.patch))} pixels, {shared} of them shared; {how}"


@dataclass(frozen=True, eq=False)
class Segmented:
    """What a run found.

    best: uint8 (H, W), the most probable class of each pixel, 255 without data. sure: float32 (H, W), its probability.
    shares: float32 (h, w, classes), probabilities of all classes in a smaller picture, for looking at. seconds: of the
    prediction.
    """

    picture: Picture = field(repr=False)
    offer: Offer
    classes: tuple[str, ...]
    plan: Plan
    best: np.ndarray = field(repr=False)
    sure: np.ndarray = field(repr=False)
    shares: np.ndarray = field(repr=False)
    seconds: float

    def mask(self, threshold: float = 0.0) -> np.ndarray:
        """Class ids uint8 (H, W); 255 where the most probable class has a probability below `threshold` (0..1)."""
        return np.where(self.sure < threshold, np.uint8(IGNORE), self.best) if threshold > 0 else self.best


def plan(model: nn.Module, shape: tuple[int, ...], patch: int = PATCH, overlap: float = OVERLAP) -> Plan:
    """Tiles for a picture of this shape (H, W, ...): `patch` pixels a side, neighbours share `overlap` per cent of it.

    A model that fixes its input size, or the context it loses, has the last word; what it changes is remarked. Raises
    ModelError for numbers that cannot be meant.
    """
    if not 32 <= patch <= 4096 or not 0 <= overlap <= 50:
        raise ModelError(f"patch size {patch}, overlap {overlap} %: expected 32 to 4096 pixels and 0 to 50 %.")
    margin, fixed = attribute(model, "margin") or 0, getattr(model, "img_size", None)
    stride = attribute(model, "stride") or 1
    if margin:
        tile, halo, mode = tiling(model, shape, max(stride, patch - 2 * margin))
        found = Plan(tile, halo, mode)
        said = f"This model has no padding: it reads {found.patch} pixels and answers for the {tile} in the middle."
        return Plan(tile, halo, mode, (said,))
    remarks = []
    side = patch
    if fixed:
        if fixed[0] != fixed[1]:
            said = f"This model is built for patches of {fixed[0]} x {fixed[1]} pixels, and they overlap by a quarter."
            return Plan(*tiling(model, shape), (said,))
        side = fixed[0]
    elif max(shape[:2]) <= patch:
        return Plan(*tiling(model, shape, patch), ("The whole picture fits into one patch.",))
    else:
        side = max(stride, patch // stride * stride)
    if side != patch:
        why = "is built for" if fixed else f"takes multiples of {stride}:"
        remarks.append(f"This model {why} patches of {side} pixels, not {patch}.")
    # At least a step of the model's grid has to lie between two tiles, or one pixel where its grid is the patch.
    most = (side - min(stride, side // 2)) // 2
    halo = min(round(side * overlap / 200), most)
    return Plan(side - 2 * halo, halo, "blend", tuple(remarks))


def segment(
    picture: Picture,
    offer: Offer,
    model: nn.Module,
    cut: Plan,
    *,
    stop: threading.Event | None = None,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
    longest: int = 1000,
) -> Segmented:
    """Predict the picture's classes. on_tile: called with tiles done and tiles in all. longest: side of `shares`.

    Raises Stopped soon after `stop` is set, ModelError for a model and a picture that do not go together.
    """
    height, width = picture.pixels.shape[:2]
    if height * width * model.num_classes * 4 > SCORES_LIMIT:
        raise ModelError(
            f"The scores of {height:,} x {width:,} pixels and {model.num_classes} classes take more than "
            f"{SCORES_LIMIT / 1e9:.0f} GB of memory; use python -m compactlib segment, which writes them to disk."
        )

    def tick(done: int, total: int) -> None:
        if stop is not None and stop.is_set():
            raise Stopped
        on_tile(done, total)

    if offer.facts.get("task") == CLASSIFIER:
        said = "This model was trained to name one class for a whole patch: the mask is as coarse as the patches are."
        cut = replace(cut, remarks=(*cut.remarks, said))
    pixels, options = picture.pixels, dict(mean=offer.mean, std=offer.std, on_tile=tick)
    if pixels.shape[2] == 1 and getattr(model, "repeats_grey", False) and np.size(offer.mean) == 3:
        pixels = np.broadcast_to(pixels, (height, width, 3))  # as the model would do, and before mean and std
    began = time.perf_counter()
    tick(0, 1)
    try:
        scores = predict_tiled(model, LoadedImage(pixels, picture.empty), cut.tile, cut.halo, cut.mode, **options)
    except (ValueError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"{offer.label} and {picture.name} do not go together: {str(error).splitlines()[0]}"
        ) from error
    best, sure = _softmax(scores)
    if picture.empty is not None:
        best[picture.empty] = IGNORE
    step = max(1, -(-max(height, width) // longest))
    shares = scores[step // 2 :: step, step // 2 :: step][: max(1, height // step), : max(1, width // step)].copy()
    seconds = time.perf_counter() - began
    return Segmented(picture, offer, offer.classes(model), cut, best, sure, shares, seconds)


def _softmax(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn scores (H, W, k) into probabilities, in place; returns the most probable class and its probability."""
    best = np.empty(scores.shape[:2], np.uint8)
    sure = np.empty(scores.shape[:2], np.float32)
    for top in range(0, len(scores), ROWS):
        strip = torch.from_numpy(scores[top : top + ROWS])
        best[top : top + ROWS] = scores[top : top + ROWS].argmax(axis=-1)  # NumPy's: the first of equals, as elsewhere
        strip.copy_(strip.softmax(dim=-1))
        sure[top : top + ROWS] = strip.amax(dim=-1).numpy()
    return best, sure


@dataclass(frozen=True)
class Area:
    """A row of the table: pixels of a class, their share of all pixels 0..1, m2 where the picture's scale is known."""

    name: str
    pixels: int
    share: float
    square_metres: float | None


def areas(mask: np.ndarray, classes: tuple[str, ...], pixel_area: float | None = None) -> list[Area]:
    """A row for each class, and one for `no class` where there are such pixels. mask: class ids uint8 (H, W)."""
    counts = np.bincount(mask.ravel(), minlength=256)
    rows = [*enumerate(classes)] + ([(IGNORE, "no class")] if counts[IGNORE] else [])
    return [
        Area(
            name,
            int(counts[number]),
            float(counts[number] / mask.size),
            None if pixel_area is None else float(counts[number] * pixel_area),
        )
        for number, name in rows
    ]


def disagreement(a: Segmented, b: Segmented, threshold: float = 0.0) -> np.ndarray:
    """Where two masks of one picture differ, bool (H, W). Raises ModelError if their classes are not the same."""
    if a.classes != b.classes:
        raise ModelError(
            f"{a.offer.label} knows {', '.join(a.classes)}; {b.offer.label} knows {', '.join(b.classes)}: masks of "
            "other classes cannot be compared pixel by pixel."
        )
    return a.mask(threshold) != b.mask(threshold)
