"""Which image belongs to which mask, by their names."""

import os
import re
from collections.abc import Iterable

from .errors import BadPair

# What people add to the name of a mask: a_mask.png, mask_a.png, a_gt.png, a_labelIds.png
WORDS = r"(?:masks?|label(?:s|ids?|trainids?)?|gt|ground_?truth|seg(?:mentation)?s?|annotations?|targets?|mattes?)"
ADDED = re.compile(rf"(?i)^{WORDS}[_. -]+|[_. -]+{WORDS}$")
OF_IMAGES = re.compile(r"(?i)^(?:images?|img|im|sat)[_. -]+|[_. -]+(?:images?|img|im|sat)$")


def match(images: Iterable[str], masks: Iterable[str], where: object) -> list[tuple[str, str]]:
    """Pair names, in the order of the numbers in them (2 before 10).

    An image and its mask have the same name up to the extension; or all images have one beginning and one end, and all
    masks another one, and what is between is the same: 1.jpg and 1_mask.png, img_1.png and gt_1.png. Where images and
    masks are the same files, those with a word such as _mask are the masks.

    Raises BadPair if a name is left alone or two have one stem; `where` is the folder or archive that they are in.
    """
    images, masks = list(images), list(masks)
    if images and sorted(images) == sorted(masks):
        masks = [name for name in images if ADDED.search(_stem(name))]
        images = [name for name in images if not ADDED.search(_stem(name))]
    images, masks = _by_stem(images, where), _by_stem(masks, where)
    if images.keys() != masks.keys():
        between = _between(list(images), list(masks))
        if between is None:
            raise BadPair(_alone(images, masks, where))
        masks = {image: masks[mask] for image, mask in between.items()}
    return [(images[stem], masks[stem]) for stem in sorted(images, key=_natural)]


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _by_stem(names: Iterable[str], where: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        stem = _stem(name)
        if stem in found:
            raise BadPair(f"{where}: {found[stem]} and {name} have one name up to the extension; keep one of them.")
        found[stem] = name
    return found


def _between(images: list[str], masks: list[str]) -> dict[str, str] | None:
    """The mask of each image, if they agree in all but what all images and what all masks have in common."""
    if len(images) != len(masks):
        return None
    if len(images) == 1:  # of one name everything is in common
        ((image,), (mask,)) = images, masks
        return {image: mask} if ADDED.sub("", mask) in (image, OF_IMAGES.sub("", image)) else None
    # If masks are beginning + core + end of the images' cores, what remains of both is the same.
    images, masks = _cores(images), _cores(masks)
    return {images[core]: masks[core] for core in images} if images.keys() == masks.keys() else None


def _cores(stems: list[str]) -> dict[str, str]:
    """Each stem by what is left of it without the beginning and the end that all have in common. Numbers stay whole:
    of 10 and 20 it is not 1 and 2."""
    start = _common(stems)
    rest = [stem[start:] for stem in stems]
    end = _common([stem[::-1] for stem in rest])
    return {core[: len(core) - end]: stem for core, stem in zip(rest, stems, strict=True)}


def _common(stems: list[str]) -> int:
    return len(os.path.commonprefix(stems).rstrip("0123456789"))  # noqa: RUF071, of characters


def _alone(images: dict[str, str], masks: dict[str, str], where: object) -> str:
    """The error for names that do not pair: the files that are alone, a word such as _mask left aside."""
    plain = {ADDED.sub("", stem) if ADDED.sub("", stem) in images else stem: name for stem, name in masks.items()}
    alone = [f"{images[stem]} has no mask" for stem in images if stem not in plain]
    alone += [f"{plain[stem]} has no image" for stem in plain if stem not in images]
    twice = sorted(set(masks.values()) - set(plain.values()))
    alone += [f"{name} is a second mask of the same image" for name in twice]
    more = f" (and {len(alone) - 5} more)" if len(alone) > 5 else ""
    if not alone:
        alone = [f"{', '.join(sorted(masks.values())[:3])}, ... add different words to the names of the images"]
    return (
        f"{where}: {'; '.join(alone[:5])}{more}. An image and its mask have the same name up to the extension, or up "
        "to a beginning and an end that all masks share, such as _mask."
    )


def _natural(stem: str) -> list:
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", stem)]
