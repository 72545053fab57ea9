"""Overlap-tile: the class scores of an image of any size, computed tile by tile (U-Net paper, Figure 2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, product

import numpy as np
import torch
from timm.layers import to_2tuple
from torch import Tensor, nn
from tqdm.auto import tqdm

from compactlib.raster import Window, axis_cores, blending_starts, blending_weights, mirror_indices
from compactlib.segmentation.inference import WindowModel, attribute
from compactlib.segmentation.tiled_checks import (
    Side,
    check_numbers,
    check_out,
    check_scores,
    check_side,
    checked_window,
    read_size,
)


@dataclass(frozen=True)
class Span:
    """A tile along one axis: where the model starts to read, which part of its answer is taken, where that part goes,
    and its weights there (None: it is the only answer)."""

    source: int
    taken: slice
    placed: slice
    weights: np.ndarray | None


def predict_tiled(
    model: nn.Module,
    image,
    tile: Side,
    halo: Side,
    mode: str = "crop",
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    batch_size: int | None = None,
    out: np.ndarray | None = None,
    align: int | None = None,
    window: Window | None = None,
    progress: bool = False,
    on_tile: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Class scores float32 (H, W, classes) of an image (H, W, C); the model sees tile + 2 * halo pixels a side of it.

    tile: side of what is kept of each tile, or (height, width) for a model of rectangles. halo: context read on each
    side of it, or (above and below, left and right). image: anything that gives NumPy
    arrays when sliced (array, memmap, zarr); only the windows at hand are read. uint8 is divided by 255, uint16 by
    65535, floats are taken as they are; then (x - mean) / std, if given.

    mode="crop" keeps the middle of each tile; the image is mirrored beyond its border. An unpadded model answers for
    the middle only, so that halo must be what it loses on each side (92 for U-Net). The result is then *exact*: what
    the model gives for the whole mirrored image in one pass. Max-pooling repeats only every `align` pixels (default:
    model.stride), so tiles step by the largest multiple of it up to `tile`.

    mode="blend" is for models with padding or global attention, whose answers differ from tile to tile. Neighbours
    overlap by 2 * halo pixels, over which Hann weights lead from one to the other. Tiles lie inside the image, where
    the model pads as it would for the whole image; mirrored pixels come in only where a tile does not fit.

    batch_size: tiles at once; default: as many as make 512 x 512 pixels, at least one. out: an array (H, W, classes) of
    floats to write into, e.g. a memmap. Memory beyond image and scores depends on tile and batch only. The model runs
    in eval mode on its device; its mode is put back. ValueError, before any work, for sizes that do not go together.

    window: only this part of the image, (window.height, window.width, classes). Tiles stand where they stand for the
    whole image and are added up in the same order, so that the scores are the same to the last bit (batch_size=1: other
    batches may round differently). Those that touch the window are computed.

    on_tile: called after each batch with the tiles done and the tiles in all; what it raises ends the prediction.
    """
    check_numbers(tile, halo, mode, align, batch_size)
    run = WindowModel(model, image, mean, std)
    side, window = read_size(tile, halo), checked_window(window, image)
    check_side(model, tile, halo, mode)
    check_out(out, window, attribute(model, "num_classes"))
    rows, columns = tile_spans(model, image.shape, tile, halo, mode, align, window)
    tiles = product(rows, columns)

    first, done = True, 0
    with run, tqdm(total=len(rows) * len(columns), desc="tiles", disable=not progress) as bar:
        while batch := list(islice(tiles, batch_size or max(1, 512 * 512 // (side[0] * side[1])))):
            # (b, k, *side), or *tile for an unpadded model
            scores = run([Window(down.source, across.source, *side) for down, across in batch])
            if first:
                check_scores(scores, tile, halo, mode)
                check_out(out, window, scores.shape[1])
                if out is None:
                    out = np.zeros((window.height, window.width, scores.shape[1]), np.float32)
                elif mode == "blend":
                    _clear(out, side[0])
                first = False
            for score, (down, across) in zip(scores, batch, strict=True):
                _put(out, score if mode == "blend" else _middle(score, tile), down, across)
            bar.update(len(batch))
            done += len(batch)
            if on_tile is not None:
                on_tile(done, bar.total)
    return out


def tile_spans(
    model: nn.Module, shape: Sequence[int], tile: Side, halo: Side, mode: str, align: int | None, window: Window
) -> tuple[list[Span], list[Span]]:
    """The rows and the columns of the tiles of an image of this shape that touch `window`; see `predict_tiled`."""
    grid = align or attribute(model, "stride") or 1

    def axis(length: int, tile: int, halo: int, start: int, stop: int) -> list[Span]:
        step = _step(model, tile, grid, max(shape[:2]))
        align = grid if step % grid == 0 else 1
        if mode == "crop":
            tiles, lead, weights = axis_cores(length, tile, step), halo, {}
        else:
            side, lead = tile + 2 * halo, 0
            starts = blending_starts(length, side, step, align)
            weights = dict(zip(starts, blending_weights(length, side, side - step, starts), strict=True))
            tiles = [(first, min(length, first + side)) for first in starts]
        return [
            _span(first - lead, first, last, weights.get(first), start, stop)
            for first, last in tiles
            if first < stop and last > start
        ]

    (tile_h, tile_w), (halo_h, halo_w) = to_2tuple(tile), to_2tuple(halo)
    rows = axis(shape[0], tile_h, halo_h, window.y, window.y + window.height)
    return rows, axis(shape[1], tile_w, halo_w, window.x, window.x + window.width)


def tiles_source(model: nn.Module, shape: Sequence[int], tile: Side, halo: Side, mode: str, window: Window) -> Window:
    """The part of an image of this shape that `predict_tiled(..., window=window)` reads: to load it at once."""
    spans, ends = tile_spans(model, shape, tile, halo, mode, None, window), []
    for length, axis, side in zip(shape, spans, read_size(tile, halo), strict=False):
        pixels = mirror_indices(axis[0].source, axis[-1].source + side, length)
        ends.append((int(pixels.min()), int(pixels.max()) + 1))
    (top, bottom), (left, right) = ends
    return Window(top, left, bottom - top, right - left)


def _span(source: int, first: int, last: int, weights: np.ndarray | None, start: int, stop: int) -> Span:
    """The tile that answers for first ... last - 1, cut to the window start ... stop - 1."""
    low, high = max(first, start), min(last, stop)
    taken = slice(low - first, high - first)
    weights = None if weights is None else weights[taken].astype(np.float32)
    return Span(source, taken, slice(low - start, high - start), weights)


def _middle(score: Tensor, tile: Side) -> Tensor:
    """The part of scores (k, h, w) that is kept: all of an unpadded model's, the core of a padded one's."""
    height, width = to_2tuple(tile)
    top, left = (score.shape[-2] - height) // 2, (score.shape[-1] - width) // 2
    return score[:, top : top + height, left : left + width]


def _put(out: np.ndarray, score: Tensor, down: Span, across: Span) -> None:
    """Write the part of scores (k, h, w) that is taken to its place in `out`, or add it there, weighted."""
    score = score[:, down.taken, across.taken]
    if down.weights is None:
        out[down.placed, across.placed] = score.permute(1, 2, 0).numpy()
        return
    weights = torch.from_numpy(down.weights[:, None] * across.weights)[..., None]
    sums = out[down.placed, across.placed]
    torch.from_numpy(sums).addcmul_(score.permute(1, 2, 0), weights)  # in place: 5 times as fast as NumPy's +=
    if not isinstance(out, np.ndarray):  # zarr and the like gave a copy
        out[down.placed, across.placed] = sums


def _clear(out: np.ndarray, rows: int) -> None:
    """Zeros, some rows at a time: `out` may be larger than memory."""
    for top in range(0, out.shape[0], rows):
        out[top : top + rows] = 0


def _step(model: nn.Module, tile: int, align: int, longest: int) -> int:
    """From one tile to the next: the largest multiple of `align` that is not above `tile`."""
    if tile >= align or longest <= tile:
        return tile // align * align or tile
    if attribute(model, "margin"):
        raise ValueError(
            f"tile={tile} is below the {align} pixels after which the model's grid repeats, and the image is larger "
            f"than one tile; use tile={align} or more"
        )
    return tile  # global attention: no step would be exact
