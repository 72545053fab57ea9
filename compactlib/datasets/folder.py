"""A folder of one's own images and masks, ready for training."""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from .arguments import check_arguments, is_number
from .cards import Card
from .data import SegmentationData
from .errors import BadPair, DatasetNotFound
from .mask_survey import check_colours, mask_rule
from .mask_values import IGNORE, class_values
from .matching import match
from .pairs import Pair, decode_pair, decode_pairs
from .splitting import data_set

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".npy")
PARTS = {"train": "train", "val": "val", "valid": "val", "test": "test"}  # folder -> part


def from_folder(
    path: str | Path,
    class_names: Sequence[str],
    *,
    images: str = "images",
    masks: str = "masks",
    values: Mapping[int | float, int | str] | None = None,
    colours: Mapping[tuple[int, ...], int | str] | None = None,
    in_chans: int = 3,
    img_size: int | None = None,
    fraction: float = 1.0,
    seed: int = 0,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    consecutive: bool = False,
) -> SegmentationData:
    """The images and masks in a folder of your own as SegmentationData.

    path: a folder with the subfolders `images` and `masks`; or with `train`, `test` and perhaps `val` (or `valid`),
        each with those two. Files are PNG, TIFF, BMP, JPEG or .npy, told by content; an image and its mask have the
        same name up to the extension, or up to what all masks have at the beginning or the end of their names (_mask,
        label_). Other files are passed over.
    class_names: of the classes 0, 1, ...
    images, masks: the names of the two subfolders; "." and "." where both lie side by side.
    values: which value in a mask file is which class, as an index, a name, or 255 to ignore it, such as {0: 0, 255: 1}
        or {0: "background", 255: "cell"}. By default the values are the indices themselves, and 255 is ignored; but
        where there are two classes and all masks together hold nothing but 0 and 255 (or 0 and 65535), that is the
        second class. Floating-point masks with whole numbers are taken; of a palette it is the indices that count.
    colours: the same for coloured masks, such as {(0, 0, 0): 0, (255, 0, 0): "cell"}; of a palette it is then the
        colours that count. Alpha does not, unless the colours have four numbers.
    in_chans: 3 for RGB, 1 for grey; every image is converted to it. More bands, as of satellites, need as many. Images
        have 8 bits a channel or 16, all the same. They are turned as EXIF or TIFF say. Where one has no data (see
        `compactlib.raster.missing`: transparent, nodata) its mask is 255, and its pixels are the mean.
    img_size: side in pixels; images and masks are fitted into a square of it, in proportion (bilinear and
        antialiased; the mask takes the nearest pixel), and the rim is 255 in the mask. None: as they are, all of one
        size.
    fraction, seed, val_fraction: as in `load`. test_fraction: share of all images that becomes the test part where
        there are no folders for the parts; the same images for every seed.
    consecutive: the images are a stack or a film in order of their names: test and validation are its last blocks,
        since a neighbour of a training image would be no test.

    All masks are looked at before one is read for good. A pixel that a mask's file calls missing (nodata, transparent)
    is ignored, unless `values` or `colours` name what it holds.

    Raises ValueError for an argument out of range, DatasetNotFound if there is no such folder or no image in it,
    BadPair (a ValueError) for files that do not fit, with their names, and for masks that can mean several things, with
    the argument to give. Warns of what was taken for granted, and of classes that no mask has.
    """
    path, class_names = Path(path), tuple(class_names)
    _check(class_names, values, colours, in_chans, test_fraction)
    check_arguments(fraction=fraction, seed=seed, val_fraction=val_fraction, img_size=img_size)
    pairs = {part: _pairs(folder, images, masks) for part, folder in _parts(path, images).items()}
    files = [pair.mask for of_part in pairs.values() for pair in of_part]
    rule, remarks = mask_rule(files, class_names, values, colours, f"the masks of {path.resolve().name}")
    for remark in remarks:
        warnings.warn(remark[0].upper() + remark[1:], stacklevel=2)
    decode = partial(decode_pair, rule=rule, in_chans=in_chans, side=img_size)
    raw = {
        part: decode_pairs(enumerate(of_part), len(of_part), decode, f"{path.name}: decoding {part}")
        for part, of_part in pairs.items()
    }
    _check_parts(raw)
    return data_set(
        raw,
        _card(path, class_names, consecutive),
        source=f"the folder {path.name}{rule.note(class_names)}",
        comparable=False,
        fraction=fraction,
        seed=seed,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
    )


def _parts(path: Path, images: str) -> dict[str, Path]:
    """Folder of each part, or of "all"."""
    found = {part: path / name for name, part in PARTS.items() if (path / name / images).is_dir()}
    parts = {"train", "test"} <= set(found)
    if (path / images).is_dir() and not (parts and Path(images) == Path()):
        return {"all": path}
    if parts:
        return found
    raise DatasetNotFound(
        f"{path} has neither a folder {images}/ nor the folders train/{images}/ and test/{images}/. Put the images "
        f"there, or name the folders with images=... and masks=..."
    )


def _pairs(folder: Path, images: str, masks: str) -> list[Pair]:
    pairs = match(_files(folder, images), _files(folder, masks), folder)
    if not pairs:
        raise DatasetNotFound(f"{folder / images} has no image ({', '.join(SUFFIXES)}).")
    return [Pair(str(folder / i), folder / i, str(folder / m), folder / m) for i, m in pairs]


def _files(folder: Path, name: str) -> list[str]:
    """The pictures in the subfolder `name`, as names from `folder`."""
    if not (folder / name).is_dir():
        raise DatasetNotFound(f"There is no folder {folder / name}.")
    files = (file.name for file in (folder / name).iterdir() if file.suffix.lower() in SUFFIXES)
    return [f"{name}/{file}" for file in files if not file.startswith(".")]


def _check(
    class_names: tuple, values: Mapping | None, colours: Mapping | None, in_chans: int, test_fraction: float
) -> None:
    """Raise ValueError for what cannot be used."""
    if not 2 <= len(class_names) <= IGNORE or not all(isinstance(name, str) for name in class_names):
        raise ValueError(f"class_names must be 2 to 255 texts, not {class_names!r}.")
    if isinstance(in_chans, bool) or not isinstance(in_chans, int) or in_chans < 1:
        raise ValueError(f"in_chans must be 1 (grey), 3 (RGB), or the number of bands of the images, not {in_chans!r}.")
    if not (is_number(test_fraction) and 0 < test_fraction < 1):
        raise ValueError(f"test_fraction must be a number above 0 and below 1, not {test_fraction!r}.")
    if values is not None and colours is not None:
        raise ValueError("values and colours are both given; a mask has numbers, or colours: give one of them.")
    if values is not None:
        class_values({}, class_names, values)
    if colours is not None:
        check_colours(colours, class_names)


def _check_parts(raw: dict) -> None:
    sizes = {part: images.shape[1:3] for part, (images, *_) in raw.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{part} {width} x {height}" for part, (height, width) in sizes.items())
        raise BadPair(f"The parts have images of different sizes ({shown}); give img_size to bring them to one.")


def _card(path: Path, class_names: tuple[str, ...], consecutive: bool) -> Card:
    return Card(
        name=path.resolve().name,
        title=f"The folder {path.resolve().name}",
        description="Images and masks from a folder on this machine.",
        source="a folder on this machine",
        licence="not stated",
        citation="not stated",
        layout="One folder of images and one of masks, with equal names.",
        caveats=("Not a published set: numbers on it compare with runs on the same files only.",),
        mean=None,
        std=None,
        folders=(),
        class_names=class_names,
        sources=(),
        task="segmentation",
        consecutive=consecutive,
    )
