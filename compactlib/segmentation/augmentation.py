"""Augmentation of images with their masks, a batch at a time on its device: one geometry for both, masks nearest."""

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What `augment` may do to each image of a batch. All off, the default, changes nothing. ValueError out of range.

    Every draw is uniform up to the given limit, except the two normal ones, elastic and speckle.
    """

    flip: bool = False  # left-right and up-down, each with probability 1/2
    rot90: bool = False  # by 0, 90, 180 or 270 degrees; images that are not square by 0 or 180
    rotate: float = 0.0  # by up to this many degrees either way
    scale: float = 0.0  # zoom by a factor of 1 - scale to 1 + scale
    shift: float = 0.0  # by up to this many pixels in y and x
    elastic: float = 0.0  # standard deviation in pixels of the displacements on a 3 x 3 grid
    intensity: float = 0.0  # brightness by up to this share of white; contrast and gamma by factors of 1 +- intensity
    speckle: float = 0.0  # standard deviation of the noise that multiplies each pixel

    def __post_init__(self):
        limits = dict(rotate=180, scale=0.9, shift=10_000, elastic=1000, intensity=0.9, speckle=1)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in limits:
                if not isinstance(value, bool):
                    raise ValueError(f"{field.name}={value!r}: expected True or False")
            elif isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= limits[field.name]:
                raise ValueError(f"{field.name}={value!r}: expected a number from 0 to {limits[field.name]}")


def augment(
    images: Tensor, masks: Tensor, weights: Tensor | None, settings: Augmentation
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Images float32 (n, c, h, w) in 0 to 1, masks int64 (n, h, w) and pixel weights (n, h, w), changed alike.

    Flips and quarter turns move pixels as they are. Everything else is put into one sampling grid, so that an image is
    interpolated (bilinear) only once; masks and weights take the nearest pixel, and no class id is made up. What comes
    in from outside is the mirrored image. Intensity and speckle change images only and leave them in 0 to 1. Draws come
    from PyTorch's global generator.
    """
    _check(images, masks, weights)
    size = images.shape[-2:]
    if settings.flip or settings.rot90:
        moves = _draw_moves(len(images), size, settings, images.device)
        images, masks = _move(images, moves), _move(masks, moves)
        weights = None if weights is None else _move(weights, moves)
    if settings.rotate or settings.scale or settings.shift or settings.elastic:
        displacement = _draw_displacement(len(images), size, settings, images.device)
        images = warp(images, displacement)
        planes = [masks.to(images.dtype)] + ([] if weights is None else [weights.to(images.dtype)])
        nearest = warp(torch.stack(planes, dim=1), displacement, mode="nearest")  # (n, 1 or 2, h, w)
        masks, weights = nearest[:, 0].long(), None if weights is None else nearest[:, 1].to(weights.dtype)
    if settings.intensity or settings.speckle:
        images = _change_intensity(images, settings)
    return images, masks, weights


def elastic_displacement(
    height: int, width: int, std: float = 10, grid: int = 3, generator: Generator | None = None
) -> Tensor:
    """Smooth random displacement in pixels, (2, height, width): how far in y and x from each pixel `warp` looks.

    Vectors from a normal distribution of standard deviation `std` on grid x grid points, the outer ones at the image's
    corners, and bicubic interpolation between them (U-Net paper, Section 3.1).
    """
    return _spread(std * torch.randn(1, 2, grid, grid, generator=generator), height, width)[0]


def warp(image: Tensor, displacement: Tensor, mode: str = "bilinear") -> Tensor:
    """The image seen through a displacement: out[y, x] = image[y + displacement[0, y, x], x + displacement[1, y, x]].

    image: float (h, w), (c, h, w) or (n, c, h, w), mirrored beyond its border; displacement: pixels, (2, h, w) or
    (n, 2, h, w); mode: "bilinear" or "nearest".
    """
    batch = image if image.ndim == 4 else image.reshape(1, -1, *image.shape[-2:])
    shift = displacement if displacement.ndim == 4 else displacement.expand(len(batch), -1, -1, -1)
    h, w = batch.shape[-2:]
    if shift.shape != (len(batch), 2, h, w):
        raise ValueError(
            f"displacement of shape {tuple(displacement.shape)} does not belong to an image of shape "
            f"{tuple(image.shape)}; expected (2, {h}, {w})"
        )
    y = torch.arange(h, device=batch.device)[:, None] + shift[:, 0]
    x = torch.arange(w, device=batch.device) + shift[:, 1]
    # grid_sample wants x before y, and -1 to 1 for the middle of the first to that of the last pixel.
    grid = torch.stack([2 * x / max(1, w - 1) - 1, 2 * y / max(1, h - 1) - 1], dim=-1).to(batch.dtype)
    out = F.grid_sample(batch, grid, mode=mode, padding_mode="reflection", align_corners=True)
    return out.reshape(image.shape)


def _spread(vectors: Tensor, height: int, width: int) -> Tensor:
    """Displacements at grid points (n, 2, g, g) -> at pixels (n, 2, h, w)."""
    return F.interpolate(vectors, size=(height, width), mode="bicubic", align_corners=True)


def _draw_moves(n: int, size: tuple[int, int], settings: Augmentation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Flips bool (2, n) (left-right, up-down) and quarter turns (n,) of each image."""
    flips = torch.rand(2, n, device=device) < (0.5 if settings.flip else 0)
    turns = torch.randint(4, (n,), device=device) * settings.rot90
    return flips, turns if size[0] == size[1] else 2 * (turns % 2)


def _move(x: Tensor, moves: tuple[Tensor, Tensor]) -> Tensor:
    """Turn and flip each of x (n, ..., h, w)."""
    each = (-1,) + (1,) * (x.ndim - 1)
    flips, turns = moves
    square = x.shape[-2] == x.shape[-1]
    for turn in (1, 2, 3) if square else (2,):
        x = torch.where((turns == turn).view(each), x.rot90(turn, (-2, -1)), x)
    for axis, flip in zip((-1, -2), flips, strict=True):
        x = torch.where(flip.view(each), x.flip(axis), x)
    return x


def _draw_displacement(n: int, size: tuple[int, int], settings: Augmentation, device: torch.device) -> Tensor:
    """Rotation and zoom about the middle, shift and elastic deformation together, as displacements (n, 2, h, w)."""
    h, w = size
    angle = math.radians(settings.rotate) * _uniform(n, device)
    zoom = 1 + settings.scale * _uniform(n, device)
    shift = settings.shift * _uniform(2 * n, device).view(n, 2, 1, 1)
    y = torch.arange(h, device=device)[:, None] - (h - 1) / 2
    x = torch.arange(w, device=device) - (w - 1) / 2
    cos, sin = ((f(angle) / zoom).view(n, 1, 1) for f in (torch.cos, torch.sin))
    displacement = torch.stack([cos * y + sin * x - y, cos * x - sin * y - x], dim=1) + shift
    if settings.elastic:
        displacement = displacement + _spread(settings.elastic * torch.randn(n, 2, 3, 3, device=device), h, w)
    return displacement


def _change_intensity(images: Tensor, settings: Augmentation) -> Tensor:
    if settings.intensity:
        brightness, contrast, gamma = (settings.intensity * _uniform(3 * len(images), images.device)).view(
            3, -1, 1, 1, 1
        )
        images = images.clamp(min=0) ** (1 + gamma)
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (1 + contrast) * (images - mean) + brightness
    if settings.speckle:
        images = images * (1 + settings.speckle * torch.randn_like(images))
    return images.clamp(0, 1)


def _uniform(n: int, device: torch.device) -> Tensor:
    """n draws from -1 to 1."""
    return 2 * torch.rand(n, device=device) - 1


def _check(images: Tensor, masks: Tensor, weights: Tensor | None) -> None:
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(f"images are {images.dtype} {tuple(images.shape)}; expected floats (n, c, h, w) in 0 to 1")
    expected = (images.shape[0], *images.shape[2:])
    for name, array in {"masks": masks, "weights": weights}.items():
        if array is not None and tuple(array.shape) != expected:
            raise ValueError(f"{name} of shape {tuple(array.shape)}; expected {expected} for these images")
    if masks.dtype != torch.int64:
        raise ValueError(f"masks are {masks.dtype}; expected torch.int64 class ids (use .long())")
