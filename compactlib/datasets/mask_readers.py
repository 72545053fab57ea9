"""Readers of the sets for segmentation: images with a mask (see reader for the form)."""

import csv
import io
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from .cards import Card
from .drawn.aerial import aerial
from .drawn.cells import cells
from .errors import BadPair
from .mask_files import MaskRule
from .mask_values import IGNORE
from .matching import match
from .pairs import Pair, decode_pair, decode_pairs
from .reader import Arrays, Paths, Reader

SIDE = 128  # pixels of a procedural picture, where the caller names no size
PETS_SIDE = 224  # pixels: near the copy's own size, and what models pretrained on ImageNet take
HELD_OUT = 6  # sections of the membrane stack for the test
TEST_SCENES = 1_000_000  # the seeds of the test pictures begin here, those of training and validation at 0

MEMBRANE = MaskRule({0: 0, 255: 1})
TRIMAP = MaskRule({1: 1, 2: 0, 3: IGNORE})  # pet, background, the border between them
ROAD = MaskRule({value: int(value > 127) for value in range(256)})


def read_cells(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """48 and 16 pictures of cells, each with a seed of its own. The mask is 1 in a cell."""

    def draw(seed: int, side: int) -> Arrays:
        image, labels = cells(side, side, seed)
        return image, (labels > 0).astype(np.uint8)

    return _draw(draw, 48, 16, img_size, card)


def read_aerial(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """96 and 32 windows, each of a scene of its own."""
    return _draw(lambda seed, side: aerial(side, side, seed), 96, 32, img_size, card)


def _draw(draw, train: int, test: int, img_size: int | None, card: Card) -> dict[str, Arrays]:
    draw = partial(draw, side=img_size or SIDE)
    return {
        part: decode_pairs(enumerate(range(first, first + count)), count, draw, f"{card.name}: drawing {part}")
        for part, first, count in (("train", 0, train), ("test", TEST_SCENES, test))
    }


def read_membranes(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """The 30 sections, as single files or in a zip; the last ones are the test."""
    if len(paths) == 1:
        (path,) = paths.values()
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        where = f"{path}: "
    else:
        files = {name: path.read_bytes() for name, path in paths.items()}
        where = f"{next(iter(paths.values())).parents[1]}/"
    names = match(*([n for n in files if n.startswith(kind)] for kind in ("image/", "label/")), where=where)
    decode = partial(decode_pair, rule=MEMBRANE, in_chans=1)
    parts = {}
    for part, chosen in (("train", names[:-HELD_OUT]), ("test", names[-HELD_OUT:])):
        pairs = [Pair(where + i, files[i], where + m, files[m]) for i, m in chosen]
        parts[part] = decode_pairs(enumerate(pairs), len(pairs), decode, f"{card.name}: decoding {part}")
    return parts


def read_roads(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """The crops: images/ and masks/ with equal names, and index.csv (name, split)."""
    return _indexed_zip(paths, partial(decode_pair, rule=ROAD), "masks", card)


def read_pets_copy(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """The copy of three breeds: images/, trimaps/ and index.csv (name, split) in one zip."""
    return _indexed_zip(paths, _pet(card, img_size), "trimaps", card)


def _pet(card: Card, img_size: int | None):
    return partial(decode_pair, rule=TRIMAP, side=img_size or PETS_SIDE)


def _indexed_zip(paths: Paths, decode, masks: str, card: Card) -> dict[str, Arrays]:
    (path,) = paths.values()
    with zipfile.ZipFile(path) as archive:
        split = {
            Path(r["name"]).stem: r["split"] for r in csv.DictReader(io.StringIO(archive.read("index.csv").decode()))
        }
        files = [name for name in archive.namelist() if not name.endswith("/")]
        names = match(*([n for n in files if n.startswith(f"{kind}/")] for kind in ("images", masks)), where=path)
        parts = {}
        for part in sorted(set(split.values())):
            chosen = [(i, m) for i, m in names if split[Path(i).stem] == part]
            pairs = [Pair(f"{path}: {i}", archive.read(i), f"{path}: {m}", archive.read(m)) for i, m in chosen]
            parts[part] = decode_pairs(enumerate(pairs), len(pairs), decode, f"{card.name}: decoding {part}")
    return parts


def read_pets_official(paths: Paths, card: Card, img_size: int | None) -> dict[str, Arrays]:
    """The two official archives, with the official lists of the training and the test part."""
    with tarfile.open(paths["annotations.tar.gz"], "r:gz") as archive:
        notes = {m.name: archive.extractfile(m).read() for m in archive if m.name.endswith((".txt", ".png"))}
    lists = {
        part: [line.split()[0] for line in notes[f"annotations/{name}.txt"].decode().splitlines() if line.strip()]
        for part, name in (("train", "trainval"), ("test", "test"))
    }
    trimaps = {Path(name).stem: name for name in notes if name.startswith("annotations/trimaps/")}
    wanted = {name: place for part in lists.values() for place, name in enumerate(part)}
    if missing := [name for name in wanted if name not in trimaps]:
        raise BadPair(f"{paths['annotations.tar.gz']}: no trimap of {', '.join(missing[:5])} ({len(missing)} in all).")

    def of(part: str) -> Iterator[tuple[int, Pair]]:
        members, path = set(lists[part]), paths["images.tar.gz"]
        with tarfile.open(path, "r:gz") as archive:  # one after the other: all of them encoded take 0.8 GB
            for member in archive:
                stem = Path(member.name).stem
                if member.name.endswith(".jpg") and stem in members:
                    members.remove(stem)
                    image, mask = archive.extractfile(member).read(), notes[trimaps[stem]]
                    yield wanted[stem], Pair(f"{path}: {member.name}", image, trimaps[stem], mask)
        if members:
            raise BadPair(f"{path}: no image of {', '.join(sorted(members)[:5])} ({len(members)} in all).")

    decode = _pet(card, img_size)
    return {p: decode_pairs(of(p), len(lists[p]), decode, f"{card.name}: decoding {p}") for p in lists}


MASK_READERS = {
    "cells": Reader(read_cells, sized=True),
    "aerial": Reader(read_aerial, sized=True),
    "membranes": Reader(read_membranes),
    "roads": Reader(read_roads),
    "pets_copy": Reader(read_pets_copy, slow=True, sized=True),
    "pets_official": Reader(read_pets_official, slow=True, sized=True),
}
