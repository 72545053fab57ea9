"""A segmentation model asked about windows of an image: what it takes, what it gets, what it answers."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from compactlib.models import eval_mode
from compactlib.raster import Window, look_at_window

WHITE = {"uint8": 255, "uint16": 65535}  # floats are taken as they are


class WindowModel:
    """`model` in eval mode on its device, as a function of windows of `image`; within `with`, which puts the mode back.

    Raises ValueError if the model cannot take the image's channels or numbers.
    """

    def __init__(
        self, model: nn.Module, image, mean: float | Sequence[float] | None, std: float | Sequence[float] | None
    ):
        check_image(model, image)
        self.model, self.image = model, image
        first = next((p for p in chain(model.parameters(), model.buffers()) if p.is_floating_point()), torch.empty(0))
        self.device, self.dtype = first.device, first.dtype
        self.white = WHITE.get(_type_name(image), 1)
        self.mean, self.std = self._per_channel(mean, std, image.shape[2])

    def __enter__(self) -> "WindowModel":
        self.mode = eval_mode(self.model)
        self.mode.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self.mode.__exit__(*error)

    @torch.inference_mode()
    def __call__(self, sources: Sequence[Window]) -> Tensor:
        """Class scores float32 (b, k, h, w), on the CPU, of windows of one size."""
        looked = [look_at_window(self.image, source) for source in sources]
        pixels = np.stack([pixels for pixels, _ in looked])  # (b, h, w, c)
        if pixels.dtype == np.uint16 or not pixels.dtype.isnative:
            pixels = pixels.astype(np.float32)  # PyTorch can do little with uint16, and nothing with foreign bytes
        pixels = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)
        # Not .contiguous(): with one channel that keeps strides for which convolutions take other kernels, and the last
        # digits would depend on how an image came here.
        x = torch.empty(pixels.shape, device=self.device).copy_(pixels)  # (b, c, h, w)
        if self.white != 1:
            x /= self.white
        if self.mean is not None:
            x = x.sub_(self.mean).div_(self.std)
        for picture, (values, missing) in zip(x, looked, strict=True):  # what has no data is the mean: 0
            if missing is not None:
                unknown = torch.from_numpy(missing).to(self.device)[None]
                unknown = unknown | ~picture.isfinite() if values.dtype.kind == "f" else unknown
                picture.masked_fill_(unknown, 0)
        scores = self.model(x.to(self.dtype))
        if not isinstance(scores, Tensor) or scores.ndim != 4 or len(scores) != len(x):
            what = f"shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
            raise ValueError(f"the model answered with {what}; expected class scores ({len(x)}, classes, h, w)")
        return scores.float().cpu()

    def _per_channel(self, mean, std, channels: int) -> tuple[Tensor, Tensor] | tuple[None, None]:
        if (mean is None) != (std is None):
            raise ValueError("mean and std belong together; give both or none")
        if mean is None:
            return None, None
        mean, std = (torch.as_tensor(v, dtype=torch.float32, device=self.device).reshape(-1, 1, 1) for v in (mean, std))
        if {len(mean), len(std)} - {1, channels}:
            raise ValueError(
                f"mean and std have {len(mean)} and {len(std)} numbers; expected {channels}, one per channel"
            )
        return mean, std


def check_image(model: nn.Module, image) -> None:
    """ValueError unless `image` is (H, W, C) with the model's channels, of a type that `WindowModel` understands."""
    shape = tuple(getattr(image, "shape", ()))
    if len(shape) != 3 or 0 in shape:
        hint = "; add the channel axis: image[..., None]" if len(shape) == 2 else ""
        raise ValueError(f"an image of shape {shape}; expected (H, W, C) with pixels in it{hint}")
    dtype = _type_name(image)
    if dtype not in WHITE and not dtype.startswith("float"):
        raise ValueError(f"an image of type {dtype}; expected uint8, uint16, or floats as the model takes them")
    channels = attribute(model, "in_chans")
    grey = shape[2] == 1 and getattr(model, "repeats_grey", False)
    if channels and shape[2] != channels and not grey:
        raise ValueError(f"an image of {shape[2]} channels; the model has in_chans={channels}")


def _type_name(image) -> str:
    """The name of an array's or a tensor's number type, without its byte order."""
    dtype = image.dtype if hasattr(image, "dtype") else image[:1, :1].dtype  # a file need not read for it
    return dtype.name if isinstance(dtype, np.dtype) else str(dtype).removeprefix("torch.")


def attribute(model: nn.Module, name: str) -> int | None:
    """A number that our models say about themselves (margin, stride, in_chans, num_classes), also through the wrapper
    of DataParallel; None from other models."""
    value = getattr(getattr(model, "module", model), name, None)  # an nn.Conv2d has a stride, too: a tuple
    return value if isinstance(value, int) else None
