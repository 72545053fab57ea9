"""Decode a source once: arrays that take long to decode are kept in the cache folder."""

import hashlib
import warnings
import zipfile
from pathlib import Path

import numpy as np

from ..files import atomic_open
from ..paths import cache_dir
from .cards import Card
from .locate import Located
from .readers import READERS, Arrays

VERSION = 1  # count up when a reader changes what it returns


def decode(card: Card, located: Located, img_size: int | None) -> dict[str, Arrays]:
    """The arrays of a located source, from the cache where it has them (see readers for the form)."""
    reader = READERS[located.source.reader]
    if not reader.slow:
        return reader.read(located.paths, card, img_size)
    path = cache_dir() / card.name / f"decoded-{located.source.id}-{_key(located, img_size, reader.sized)}.npz"
    if path.is_file():
        try:
            return _read(path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            path.unlink(missing_ok=True)  # a derived file that cannot be read is made again from its source
    parts = reader.read(located.paths, card, img_size)
    try:
        _write(path, parts)
    except OSError as error:
        warnings.warn(
            f"Could not keep the decoded {card.name} in {path.parent} ({error}); it will be decoded again next time. "
            f"Set COMPACT_CACHE to a folder that can be written.",
            stacklevel=3,
        )
    return parts


def _key(located: Located, img_size: int | None, sized: bool) -> str:
    """Names the source's exact bytes and everything that changes the decoded arrays."""
    facts = [VERSION, img_size if sized else None, *(file.checksum for file in located.source.files)]
    for folder in (path for path in located.paths.values() if path.is_dir()):  # its files have no checksums
        facts += sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in folder.iterdir())
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, Arrays]:
    with np.load(path, allow_pickle=False) as arrays:  # np.load checks the CRC of each array
        parts = {key.removesuffix("_images") for key in arrays.files if key.endswith("_images")}
        return {part: (arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in parts}


def _write(path: Path, parts: dict[str, Arrays]) -> None:
    arrays = {f"{part}_images": images for part, (images, _) in parts.items()}
    arrays |= {f"{part}_labels": labels for part, (_, labels) in parts.items()}
    with atomic_open(path) as file:  # straight to the disk: the arrays may fill half of the memory
        np.savez(file, **arrays)
