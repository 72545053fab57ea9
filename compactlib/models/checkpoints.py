"""The authors' trained weights: where they are, and how they get here."""

import hashlib
import os
import pickle
import urllib.error
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from compactlib.files import atomic_write
from compactlib.paths import cache_dir, data_dir

UNREADABLE = (RuntimeError, EOFError, pickle.UnpicklingError)  # what torch.load raises for a damaged file, or for code
SITE = "https://shi-labs.com/projects/cct/checkpoints/"
SWIN_SITE = "https://github.com/SwinTransformer/storage/releases/download/v1.0.0/"
# name: where its weights are published (the last part of the file's name says data and epochs)
OFFICIAL = {
    "cct_7_3x1_32": SITE + "pretrained/cct_7_3x1_32_cifar10_300epochs.pth",
    "cct_7_3x1_32_sine": SITE + "pretrained/cct_7_3x1_32_sine_cifar10_5000epochs.pth",
    "cct_7_3x1_32_c100": SITE + "pretrained/cct_7_3x1_32_cifar100_300epochs.pth",
    "cct_7_3x1_32_sine_c100": SITE + "pretrained/cct_7_3x1_32_sine_cifar100_5000epochs.pth",
    "cct_7_7x2_224_sine": SITE + "pretrained/cct_7_7x2_224_flowers102.pth",
    "cct_14_7x2_224": SITE + "pretrained/cct_14_7x2_224_imagenet.pth",
    "cct_14_7x2_384": SITE + "finetuned/cct_14_7x2_384_imagenet.pth",
    "cct_14_7x2_384_fl": SITE + "finetuned/cct_14_7x2_384_flowers102.pth",
    # ImageNet-1k, from the authors of Swin Transformer; Swin-Unet starts from them too.
    "swin_scratch_tiny": SWIN_SITE + "swin_tiny_patch4_window7_224.pth",
    "swin_scratch_small": SWIN_SITE + "swin_small_patch4_window7_224.pth",
    "swin_scratch_base": SWIN_SITE + "swin_base_patch4_window7_224.pth",
    "swin_unet_tiny": SWIN_SITE + "swin_tiny_patch4_window7_224.pth",
    "swin_unet_base": SWIN_SITE + "swin_base_patch4_window7_224.pth",
}


def find_checkpoint(name: str) -> Path | None:
    """The file of the authors' weights for `name` if it is on this machine, else None.

    Looked for in `checkpoints/` under the folder that the environment variable COMPACT_DATA names, then under the cache
    (`data/cache/`, or COMPACT_CACHE).
    """
    for folder in _folders():
        path = folder / Path(OFFICIAL.get(name, "unknown")).name
        if path.is_file():
            return path
    return None


def official_state_dict(name: str) -> Mapping[str, torch.Tensor]:
    """The authors' state dict for a named model, downloaded once into the cache.

    Read with `weights_only=True`, so that a file can hold numbers and nothing that runs. A file that somebody put there
    is never touched; one that was downloaded here and is no longer as it came is downloaded again.

    Raises:
        ValueError: the authors published no weights under this name, or the file is damaged or holds more than weights.
        FileNotFoundError: the weights are not here and cannot be downloaded; says what to put where.
    """
    if name not in OFFICIAL:
        raise ValueError(f"no official weights for {name!r}; there are some for: {', '.join(OFFICIAL)}")
    url = OFFICIAL[name]
    path = find_checkpoint(name) or _download(url, _folders()[-1] / Path(url).name)
    try:
        return weights_in(_read(path))
    except UNREADABLE as error:
        if not _spoilt(path):
            raise ValueError(
                f"{path} is damaged or holds more than weights ({error}). The file is left as it is; move it away to "
                f"have {url} downloaded again, or put a whole one there"
            ) from error
    return weights_in(_read(_download(url, path)))


def weights_in(content: Mapping) -> Mapping[str, torch.Tensor]:
    """The state dict in what training scripts save: itself, or its "model" or "state_dict" entry."""
    for key in ("model", "state_dict"):
        if isinstance(content.get(key), Mapping):
            return content[key]
    return content


def imagenet_state_dict(name: str) -> Mapping[str, torch.Tensor]:
    """ImageNet weights for a named Swin model: timm's copy where its cache has one, else as `official_state_dict`."""
    from huggingface_hub import try_to_load_from_cache  # timm's way to its weights

    if name not in OFFICIAL:
        raise ValueError(f"no ImageNet weights for {name!r}; there are some for: {', '.join(OFFICIAL)}")
    timm_name = f"{Path(OFFICIAL[name]).stem}.ms_in1k"
    cached = try_to_load_from_cache(f"timm/{timm_name}", "model.safetensors")
    if isinstance(cached, str) and not find_checkpoint(name):
        return load_file(cached)
    return official_state_dict(name)


def _folders() -> list[Path]:
    return [folder / "checkpoints" for folder in (data_dir(), cache_dir()) if folder]


def _read(path: Path) -> Mapping:
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, Mapping):
        raise EOFError(f"a {type(content).__name__} instead of named weights")
    return content


def _download(url: str, path: Path) -> Path:
    """Fetch `url`, read it once, and only then let it be `path`; its checksum is put beside it. A spoilt download that
    is there already is kept under another name."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(fresh), progress=True)
        _read(fresh)
        checksum = _sha256(fresh)
        if path.exists():
            names = (path.with_name(f"{path.name}.damaged-{number}") for number in count(1))
            os.replace(path, next(name for name in names if not name.exists()))
        os.replace(fresh, path)
        atomic_write(_checksum_file(path), f"{checksum}  {path.name}\n")
    except (urllib.error.URLError, OSError, *UNREADABLE) as error:
        raise FileNotFoundError(
            f"the official weights are not on this machine and the download failed ({error}). "
            f"Download {url} elsewhere and put the file at {path}, or build the model with pretrained=False"
        ) from error
    finally:
        fresh.unlink(missing_ok=True)
    return path


def _spoilt(path: Path) -> bool:
    """Whether this project has downloaded the file, and it is no longer what came."""
    noted = _checksum_file(path)
    return noted.is_file() and noted.read_text(encoding="utf-8").split()[:1] != [_sha256(path)]


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def misfits(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """What keeps `tensors` from being the state dict of `model`, a line each: names on one side only, and shapes."""
    own = model.state_dict()
    problems = [f"missing: {key}" for key in own if key not in tensors]
    problems += [f"not in this model: {key}" for key in tensors if key not in own]
    return problems + [
        f"shape of {key}: {tuple(value.shape)} in the file, {tuple(own[key].shape)} in the model"
        for key, value in tensors.items()
        if key in own and value.shape != own[key].shape
    ]
