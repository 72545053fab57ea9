"""RandAugment and the random resized crop for whole batches on their device.

The same operations, draws and strengths as timm's for single pictures (Cubuk et al. 2020, arXiv 1909.13719, with timm's
"increasing" set), each image with its own; what torchvision has for batches is called. All geometry is bilinear here;
timm picks bilinear or bicubic at random.
"""

import math

import torch
import torch.nn.functional as F
from timm.data.auto_augment import rand_augment_transform
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from compactlib.training.pictures import MAGNITUDE_MAX


class RandAugment:
    """timm's RandAugment of batches uint8 (b, c, h, w).

    config: timm's notation, such as "rand-m9-mstd0.5-inc1"; its set of operations must be the increasing one.
    mean: the mean colour, in units where white is 1, which fills what a move uncovers.
    """

    def __init__(self, config: str, mean: tuple[float, ...]):
        policy = rand_augment_transform(config, {"img_mean": (0, 0, 0), "magnitude_max": MAGNITUDE_MAX})
        self.layers, self.names = policy.num_layers, [op.name for op in policy.ops]
        self.operation = policy.ops[0]  # probability and magnitude are the same for all of them
        self.fill = tuple(round(255 * m) for m in mean)
        if policy.choice_weights is not None or not set(self.names) <= OPERATIONS.keys() | GEOMETRY.keys():
            raise ValueError(
                f"recipe: randaugment={config!r} has operations that need pictures one by one; with resident=True "
                "use the increasing set without weights, as in 'rand-m9-mstd0.5-inc1'"
            )

    def __call__(self, images: Tensor) -> Tensor:
        for _ in range(self.layers):
            images = self._layer(images)
        return images

    def _layer(self, images: Tensor) -> Tensor:
        """One drawn operation an image, or none."""
        # Drawn on the CPU: which images an operation gets has to be known there.
        b, operation = len(images), self.operation
        chosen = torch.randint(len(self.names), (b,)).masked_fill(torch.rand(b) > operation.prob, -1)
        spread = torch.rand(b) if operation.magnitude_std == math.inf else 1.0
        noise = 0.0 if operation.magnitude_std == math.inf else operation.magnitude_std * torch.randn(b)
        strength = (operation.magnitude * spread + noise).clamp(0, operation.magnitude_max) / 10  # 0 to 1
        sign = torch.randint(2, (b,)) * 2 - 1

        matrix = torch.eye(2, 3).repeat(b, 1, 1)
        changed = images.clone()
        for number, name in enumerate(self.names):
            where = (chosen == number).nonzero().squeeze(1)
            if not len(where):
                continue
            if name in GEOMETRY:
                matrix[where] = GEOMETRY[name](strength[where], sign[where], *images.shape[2:])
            else:
                there = where.to(images.device)
                level = [v[where].to(images.device)[:, None, None, None] for v in (strength, sign)]
                changed[there] = OPERATIONS[name](images[there], *level)
        moved = torch.isin(chosen, torch.tensor([k for k, name in enumerate(self.names) if name in GEOMETRY]))
        where = moved.nonzero().squeeze(1)
        there = where.to(images.device)
        changed[there] = warp(images[there], matrix[where].to(images.device), self.fill)
        return changed


def warp(images: Tensor, matrix: Tensor, fill: tuple[int, ...], mode: str = "bilinear") -> Tensor:
    """Move images uint8 (b, c, h, w) by affine matrices (b, 2, 3), as torch's affine_grid takes them (from the place in
    the result to the place in the image, in units of half a side). `fill` is the colour of what is uncovered."""
    colour = torch.tensor(fill, device=images.device, dtype=torch.float32).view(1, -1, 1, 1)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    x = F.grid_sample(images.float() - colour, grid, mode=mode, align_corners=False) + colour
    return x.round().clamp(0, 255).byte()


def random_resized_crop(images: Tensor, smallest: float) -> Tensor:
    """A random part of each image (b, c, h, w), `smallest` to 1 of its area, 3:4 to 4:3, resized to the whole.

    Bicubic, and drawn as torchvision and timm draw it: a part that does not fit is drawn anew, up to ten times; if none
    fits it is the whole image.
    """
    b, c, height, width = images.shape
    area = torch.empty(10, b).uniform_(smallest, 1.0) * height * width
    aspect = torch.empty(10, b).uniform_(math.log(3 / 4), math.log(4 / 3)).exp()
    w, h = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (w <= width) & (h <= height)
    first = fits.int().argmax(dim=0, keepdim=True)  # of the ten
    none = ~fits.any(dim=0)
    w = w.gather(0, first)[0].masked_fill(none, width)
    h = h.gather(0, first)[0].masked_fill(none, height)
    x = (torch.rand(b) * (width - w + 1)).floor()
    y = (torch.rand(b) * (height - h + 1)).floor()
    matrix = torch.zeros(b, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 2] = w / width, (2 * x + w) / width - 1
    matrix[:, 1, 1], matrix[:, 1, 2] = h / height, (2 * y + h) / height - 1
    grid = F.affine_grid(matrix.to(images.device), [b, c, height, width], align_corners=False)
    x = F.grid_sample(images.float(), grid, mode="bicubic", padding_mode="border", align_corners=False)
    return x.round().clamp(0, 255).byte()


# ---- Colour: images uint8 (b, c, h, w), strength 0 to 1 and sign -1 or 1, each (b, 1, 1, 1) -------------------------


def _blend(degenerate: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """Pillow's ImageEnhance: factor 0 is the degenerate image, 1 the image, and beyond it further away."""
    return (degenerate + factor * (images.float() - degenerate)).clamp(0, 255).byte()


def _factor(strength: Tensor, sign: Tensor) -> Tensor:
    return (1 + 0.9 * strength * sign).clamp(min=0.1)


def _grey(images: Tensor) -> Tensor:
    return (tv.rgb_to_grayscale(images) if images.shape[1] == 3 else images).float()


def _colour(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    return _blend(_grey(images), images, _factor(strength, sign))


def _contrast(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    mean = _grey(images).mean(dim=(1, 2, 3), keepdim=True).round()
    return _blend(mean, images, _factor(strength, sign))


def _brightness(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    return _blend(torch.zeros((), device=images.device), images, _factor(strength, sign))


def _sharpness(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    channels = images.shape[1]
    kernel = torch.ones(3, 3, device=images.device)
    kernel[1, 1] = 5
    smooth = images.float()
    smooth[..., 1:-1, 1:-1] = F.conv2d(smooth, (kernel / 13).expand(channels, 1, 3, 3), groups=channels).round()
    return _blend(smooth, images, _factor(strength, sign))


def _posterize(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    dropped = 4 + (4 * strength).int()  # the lowest bits
    return (images.int() >> dropped << dropped).byte()


def _solarize(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    return torch.where(images < 256 - (256 * strength).int(), images, 255 - images)


def _solarize_add(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    brighter = (images + (110 * strength).int()).clamp(max=255).byte()
    return torch.where(images < 128, brighter, images)


OPERATIONS = {
    "AutoContrast": lambda images, *_: tv.autocontrast(images),
    "Equalize": lambda images, *_: tv.equalize(images),
    "Invert": lambda images, *_: 255 - images,
    "PosterizeIncreasing": _posterize,
    "SolarizeIncreasing": _solarize,
    "SolarizeAdd": _solarize_add,
    "ColorIncreasing": _colour,
    "ContrastIncreasing": _contrast,
    "BrightnessIncreasing": _brightness,
    "SharpnessIncreasing": _sharpness,
}

# ---- Geometry: strength and sign (b,), height and width -> matrices (b, 2, 3) for `warp` ----------------------------


def _rotate(strength: Tensor, sign: Tensor, height: int, width: int) -> Tensor:
    angle = (30 * strength * sign).deg2rad()
    sin, cos, zero = angle.sin(), angle.cos(), torch.zeros_like(angle)
    across, down = (
        torch.stack([cos, -sin * height / width, zero], -1),
        torch.stack([sin * width / height, cos, zero], -1),
    )
    return torch.stack([across, down], dim=1)


def _shear(axis: int, strength: Tensor, sign: Tensor, height: int, width: int) -> Tensor:
    matrix = torch.eye(2, 3).repeat(len(strength), 1, 1)
    slope = 0.3 * strength * sign * (height / width if axis == 0 else width / height)
    matrix[:, axis, 1 - axis] = matrix[:, axis, 2] = slope  # around the upper left corner, as Pillow does
    return matrix


def _translate(axis: int, strength: Tensor, sign: Tensor, height: int, width: int) -> Tensor:
    matrix = torch.eye(2, 3).repeat(len(strength), 1, 1)
    matrix[:, axis, 2] = 2 * 0.45 * strength * sign
    return matrix


GEOMETRY = {
    "Rotate": _rotate,
    "ShearX": lambda *given: _shear(0, *given),
    "ShearY": lambda *given: _shear(1, *given),
    "TranslateXRel": lambda *given: _translate(0, *given),
    "TranslateYRel": lambda *given: _translate(1, *given),
}
