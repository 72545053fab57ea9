"""A segmentation model asked about windows of an image: what it takes, what it gets, what it answers."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from compactlib.models import device_and_type, eval_mode, runnable, scaling, unwrap
from compactlib.raster import Window, look_at_window

WHITE = {"uint8": 255, "uint16": 65535}  # floats are taken as they are


class WindowModel:
    """`model` in eval mode on its device, as a function of windows of `image`; within `with`, which puts the mode back.

    Raises ValueError if the model cannot take the image's channels or numbers, or has weights of several number types.
    """

    def __init__(
        self, model: nn.Module, image, mean: float | Sequence[float] | None, std: float | Sequence[float] | None
    ):
        check_image(model, image)
        self.model, self.image = model, image
        self.device, self.dtype = device_and_type(model)
        self.run = runnable(model)
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
        scores = self.run(x.to(self.dtype))
        if isinstance(scores, Tensor) and tuple(scores.shape) == (len(x), attribute(self.model, "num_classes")):
            scores = scores[:, :, None, None].expand(-1, -1, *x.shape[2:])  # a classifier: one class for all of it
        return check_answer(scores, len(x)).float().cpu()

    def _per_channel(self, mean, std, channels: int) -> tuple[Tensor, Tensor] | tuple[None, None]:
        if (mean is None) != (std is None):
            raise ValueError("mean and std belong together; give both or none")
        if mean is None:
            return None, None
        counts = [torch.as_tensor(value).numel() for value in (mean, std)]
        if set(counts) - {1, channels}:
            raise ValueError(
                f"mean and std have {counts[0]} and {counts[1]} numbers; expected {channels}, one per channel"
            )
        return scaling(mean, std, self.device)


def check_answer(scores: Tensor, batch: int, size: Sequence[int] | None = None) -> Tensor:
    """`scores` themselves; ValueError unless they are (batch, classes, h, w), of `size` (h, w) if it is given."""
    if not isinstance(scores, Tensor) or scores.ndim != 4 or len(scores) != batch:
        what = f"shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(f"the model answered with {what}; expected class scores ({batch}, classes, h, w)")
    if size is not None and tuple(scores.shape[2:]) != tuple(size):
        (height, width), (h, w) = scores.shape[2:], size
        raise ValueError(
            f"for {h} x {w} pixels the model gave scores of {height} x {width}; expected as many as pixels: enlarge "
            "them in the model (torch.nn.functional.interpolate); or, if it has no padding, let its attribute `margin` "
            "say how many pixels it loses on each side"
        )
    return scores


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
    grey = shape[2] == 1 and getattr(unwrap(model), "repeats_grey", False)
    if channels and shape[2] != channels and not grey:
        raise ValueError(f"an image of {shape[2]} channels; the model has in_chans={channels}")


def _type_name(image) -> str:
    """The name of an array's or a tensor's number type, without its byte order."""
    dtype = image.dtype if hasattr(image, "dtype") else image[:1, :1].dtype  # a file need not read for it
    return dtype.name if isinstance(dtype, np.dtype) else str(dtype).removeprefix("torch.")


def attribute(model: nn.Module, name: str) -> int | None:
    """A number that our models say about themselves (margin, stride, in_chans, num_classes), also through wrappers;
    None from other models."""
    value = getattr(unwrap(model), name, None)  # an nn.Conv2d has a stride, too: a tuple
    return value if isinstance(value, int) else None
