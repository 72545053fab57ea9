"""From the files of a source to arrays. A reader's name stands in the card.

The readers of images with a class; mask_readers has those of images with a mask, reader what they have in common.
"""

import csv
import io
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from . import formats
from .cards import Card
from .errors import DamagedFile
from .images import decode_all, decode_image, decode_square
from .mask_readers import MASK_READERS
from .reader import Arrays, Paths, Reader
from .splits import interleaved

FLOWERS_SIZE = 224  # pixels, where the caller names no size
FLOWERS_OFFICIAL = 400  # pixels of the short side, about 500 in the official pictures


def read_digits(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """scikit-learn's digits, 0 to 16 scaled to 0 to 255."""
    from sklearn.datasets import load_digits  # here, because it takes a second that the other sets need not wait

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]  # (1797, 8, 8, 1)
    return {"all": (images, digits.target.astype(np.int64))}


def read_idx(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """The four files of MNIST or Fashion-MNIST. Unpacked ones also have the name train-images.idx3-ubyte."""
    paths = {name.removesuffix(".gz").replace(".", "-"): path for name, path in paths.items()}
    parts = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = formats.read_idx(paths[f"{prefix}-images-idx3-ubyte"])
        labels = formats.read_idx(paths[f"{prefix}-labels-idx1-ubyte"])
        parts[part] = images[..., None], labels.astype(np.int64)
    return parts


def read_cifar(
    paths: Paths,
    card: Card,
    img_size: int | None,
    *,
    members: dict[str, list[str]],
    parse: Callable[[bytes], Arrays],
) -> dict[str, Arrays]:
    """CIFAR-10 or -100 from its official archive, or unpacked; `members`: the names of the files of each part."""
    names = [name for batch in members.values() for name in batch]
    if len(paths) == 1:
        (path,) = paths.values()
        contents = formats.read_tar(path, names)
    else:
        contents = (paths[name].read_bytes() for name in names)
    batches = (parse(content) for content in contents)
    parts = {part: [next(batches) for _ in batch] for part, batch in members.items()}
    return {part: tuple(map(np.concatenate, zip(*batch, strict=True))) for part, batch in parts.items()}


def read_cifar10_jpeg(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """The JPEG copy: <class>/NNNN.jpg in one archive for each part."""
    parts = {}
    for part in ("train", "test"):
        with tarfile.open(paths[f"{part}.tar.gz"], "r:gz") as archive:
            pictures = {m.name: archive.extractfile(m).read() for m in archive if m.name.endswith(".jpg")}
        names = sorted(pictures)
        labels = np.array([card.class_names.index(name.split("/")[-2]) for name in names])
        order = interleaved(labels)
        pictures = [pictures[names[i]] for i in order]
        images = decode_all(pictures, decode_image, (32, 32, 3), f"{card.name}: decoding {part}")
        parts[part] = images, labels[order]
    return parts


def read_flowers_official(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """The three official files. setid.mat: trnid (1,020), valid (1,020), tstid (6,149)."""
    with tarfile.open(paths["102flowers.tgz"], "r:gz") as archive:
        pictures = {Path(m.name).name: archive.extractfile(m).read() for m in archive if m.name.endswith(".jpg")}
    return _flowers(pictures.__getitem__, paths, card, img_size)


def read_flowers_unpacked(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """The pictures in a folder. They have no checksums; those of a smaller copy are told by their size."""

    def picture(name: str) -> bytes:
        path, again = paths["jpg"] / name, f"Unpack 102flowers.tgz of {card.title} there again."
        if not path.is_file():
            raise DamagedFile(f"{path} is missing. {again}")
        data = path.read_bytes()
        try:
            width, height = Image.open(io.BytesIO(data)).size
        except UnidentifiedImageError as error:
            raise DamagedFile(f"{path} is no picture. {again}") from error
        if min(width, height) < FLOWERS_OFFICIAL:
            raise DamagedFile(
                f"{path} is {width} x {height} pixels; the official pictures have about 500 along their short side, so "
                f"this is a smaller copy. {again}"
            )
        return data

    return _flowers(picture, paths, card, img_size)


def _flowers(picture: Callable[[str], bytes], paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    from scipy.io import loadmat

    labels = loadmat(paths["imagelabels.mat"])["labels"].ravel().astype(np.int64) - 1
    ids = loadmat(paths["setid.mat"])
    parts = {}
    for part, key in (("train", "trnid"), ("val", "valid"), ("test", "tstid")):
        numbers = ids[key].ravel().astype(int)
        chosen = [picture(f"image_{number:05d}.jpg") for number in numbers]
        parts[part] = _squares(chosen, img_size, f"{card.name}: decoding {part}"), labels[numbers - 1]
    return parts


def read_flowers_copy(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """The 89-class copy: pictures and index.csv (file, class_id 1 to 102, split) in one zip."""
    parts = {}
    with zipfile.ZipFile(paths["flowers89_128.zip"]) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("index.csv").decode())))
        for part in ("train", "val", "test"):
            chosen = [row for row in rows if row["split"] == part]
            labels = np.array([int(row["class_id"]) - 1 for row in chosen])
            order = interleaved(labels)
            pictures = [archive.read(chosen[i]["file"]) for i in order]
            parts[part] = _squares(pictures, img_size, f"{card.name}: decoding {part}"), labels[order]
    return parts


def _squares(pictures: list[bytes], img_size: int | None, label: str) -> np.ndarray:
    side = img_size or FLOWERS_SIZE
    return decode_all(pictures, partial(decode_square, side=side), (side, side, 3), label)


CIFAR10_BINARY = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
CIFAR10_PYTHON = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
CIFAR100_BINARY = {"train": ["train.bin"], "test": ["test.bin"]}
CIFAR100_PYTHON = {"train": ["train"], "test": ["test"]}


def _cifar(
    name: str, members: dict[str, list[str]], parse: Callable[..., Arrays], argument: int | bytes
) -> dict[str, Reader]:
    """The readers of an archive, which takes seconds to unpack, and of its files unpacked, which need no cache."""
    read = partial(read_cifar, members=members, parse=lambda data: parse(data, argument))
    return {name: Reader(read, slow=True), f"{name}_unpacked": Reader(read)}


READERS = {
    "digits": Reader(read_digits),
    "idx": Reader(read_idx),
    **_cifar("cifar10_binary", CIFAR10_BINARY, formats.parse_cifar_binary, 1),
    **_cifar("cifar10_python", CIFAR10_PYTHON, formats.parse_cifar_pickle, b"labels"),
    "cifar10_jpeg": Reader(read_cifar10_jpeg, slow=True),
    **_cifar("cifar100_binary", CIFAR100_BINARY, formats.parse_cifar_binary, 2),
    **_cifar("cifar100_python", CIFAR100_PYTHON, formats.parse_cifar_pickle, b"fine_labels"),
    "flowers_official": Reader(read_flowers_official, slow=True, sized=True),
    "flowers_unpacked": Reader(read_flowers_unpacked, slow=True, sized=True),
    "flowers_copy": Reader(read_flowers_copy, slow=True, sized=True),
} | MASK_READERS
