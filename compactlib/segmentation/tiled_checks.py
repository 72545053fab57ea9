"""What `predict_tiled` is given, checked before any work."""

from collections.abc import Sequence

import numpy as np
from timm.layers import to_2tuple
from torch import Tensor, nn

from compactlib.models import unwrap
from compactlib.raster import Window
from compactlib.segmentation.inference import attribute

Side = int | tuple[int, int]  # of a square in pixels, or (height, width)


def read_size(tile: Side, halo: Side) -> tuple[int, int]:
    """Height and width of what the model sees at once."""
    (tile_h, tile_w), (halo_h, halo_w) = to_2tuple(tile), to_2tuple(halo)
    return tile_h + 2 * halo_h, tile_w + 2 * halo_w


def check_numbers(tile: Side, halo: Side, mode: str, align: int | None, batch_size: int | None) -> None:
    least = {"tile": (tile, 1), "halo": (halo, 0), "align": (align, 1), "batch_size": (batch_size, 1)}
    for name, (value, low) in least.items():
        if value is None and name in ("align", "batch_size"):
            continue
        pair = isinstance(value, (tuple, list)) and len(value) == 2 and name in ("tile", "halo")
        for number in value if pair else [value]:
            if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < low:
                raise ValueError(f"{name}={value!r}: expected a whole number, {low} or more")
    if mode not in ("crop", "blend"):
        raise ValueError(f"mode={mode!r} is unknown; choose 'crop' (exact, for unpadded models) or 'blend'")


def check_side(model: nn.Module, tile: Side, halo: Side, mode: str) -> None:
    """Whether the model takes tile + 2 * halo pixels and answers for what is wanted, as far as it says so."""
    model, side, halos = unwrap(model), read_size(tile, halo), to_2tuple(halo)
    margin, fixed = attribute(model, "margin"), getattr(model, "img_size", None)
    given = f"tile={tile} and halo={halo} give the model {_words(side)}"
    if margin and halos != (margin, margin):
        raise ValueError(f"halo={halo}: the model loses {margin} pixels on each side of its input; use halo={margin}")
    if margin and mode == "blend":
        raise ValueError(
            "mode='blend' needs a model with padding; this one loses a margin, and mode='crop' is exact for it"
        )
    if fixed and tuple(fixed) != side:
        best = tuple(max(1, length - 2 * h) for length, h in zip(fixed, halos, strict=True))
        raise ValueError(
            f"{given}; it takes {fixed[0]} x {fixed[1]}: use tile={best[0] if best[0] == best[1] else best} with this "
            "halo"
        )
    if hasattr(model, "nearest_sizes"):
        for length, h in zip(side, halos, strict=True):
            sizes = [size for size in model.nearest_sizes(length) if size]
            works = [str(size - 2 * h) for size in sizes if size > 2 * h]
            if length not in sizes:
                raise ValueError(
                    f"{given}, which it cannot take; the nearest tiles that work with this halo: {' and '.join(works)}"
                )


def _words(size: Sequence[int]) -> str:
    return f"{size[0]} pixels a side" if size[0] == size[1] else f"{size[0]} x {size[1]} pixels"


def checked_window(window: Window | None, image) -> Window:
    height, width = image.shape[:2]
    if window is None:
        return Window(0, 0, height, width)
    inside = 0 <= window.y < window.y + window.height <= height and 0 <= window.x < window.x + window.width <= width
    if not inside:
        raise ValueError(f"{window} does not lie in the image of {height} x {width} pixels, or has no pixels")
    return window


def check_out(out, window: Window, classes: int | None) -> None:
    if out is None:
        return
    shape = (window.height, window.width, classes or out.shape[-1])
    if tuple(out.shape) != shape or not str(out.dtype).startswith("float"):
        raise ValueError(f"out is {out.dtype} {tuple(out.shape)}; expected floats {shape}")


def check_scores(scores: Tensor, tile: Side, halo: Side, mode: str) -> None:
    """The first answer shows what a model that says nothing about itself does with its input."""
    (height, width), (h, w), found = read_size(tile, halo), to_2tuple(tile), tuple(scores.shape[2:])
    if found == (height, width) or (found == (h, w) and mode == "crop"):
        return
    margin = (height - found[0]) // 2
    hint = f"; if it has no padding, use mode='crop' and halo={margin}" if margin > 0 else ""
    raise ValueError(
        f"for {height} x {width} pixels the model gave scores of {found[0]} x {found[1]}; expected as many as pixels, "
        f"or in mode 'crop' the {h} x {w} in the middle{hint}"
    )
