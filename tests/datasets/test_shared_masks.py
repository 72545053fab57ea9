"""The real archives with masks, where they are at hand: facts that their READMEs and authors state."""

import csv
import hashlib
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from compactlib.datasets import load, read_card


def counts(data):
    return len(data.train), len(data.val), len(data.test)


def test_membranes_are_the_thirty_sections_in_order(shared):
    data = load("membranes")
    assert counts(data) == (22, 2, 6) and data.img_size == (512, 512) and data.in_chans == 1
    assert data.class_names == ("membrane", "cell") and not data.comparable
    with zipfile.ZipFile(shared / "em_membrane" / "isbi2012_train.zip") as archive:
        parts = [(data.train, range(22)), (data.val, range(22, 24)), (data.test, range(24, 30))]
        for part, which in parts:
            for image, mask, section in zip(part.images, part.masks, which, strict=True):
                assert (image[..., 0] == np.asarray(Image.open(archive.open(f"image/{section:02d}.png")))).all()
                label = np.asarray(Image.open(archive.open(f"label/{section:02d}.png")))
                assert (mask == (label == 255)).all()
    # Membranes are dark and cover about a fifth.
    dark, bright = (data.train.images[data.train.masks == index].mean() for index in (0, 1))
    assert dark < bright - 30 and 0.15 < (data.train.masks == 0).mean() < 0.3


def test_the_single_files_of_the_membranes_are_those_of_the_zip(shared):
    """Sizes and checksums of the downloadable form, which no test may download."""
    (source,) = (source for source in read_card("membranes").sources if source.downloadable)
    with zipfile.ZipFile(shared / "em_membrane" / "isbi2012_train.zip") as archive:
        for file in source.files:
            kind, number = file.name.removesuffix(".png").split("/")
            content = archive.read(f"{kind}/{int(number):02d}.png")
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.checksum)
    assert {file.name for file in source.files} == {f"{k}/{i}.png" for k in ("image", "label") for i in range(30)}


def test_roads(shared):
    data = load("roads", val_fraction=0)
    assert counts(data) == (38, 0, 11) and data.img_size == (400, 400) and data.in_chans == 3
    with zipfile.ZipFile(shared / "aerial_roads" / "city_b_crops.zip") as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("index.csv").decode())))
    for part, name in ((data.train, "train"), (data.test, "test")):
        stated = sorted(float(row["road_fraction"]) for row in rows if row["split"] == name)
        assert sorted((part.masks == 1).mean((1, 2))) == pytest.approx(stated, abs=1e-4)
    assert not data.comparable and "not comparable" in data.source


def test_roads_at_half_size_keep_their_share(shared):
    data, half = load("roads", val_fraction=0), load("roads", val_fraction=0, img_size=200)
    assert half.img_size == (200, 200)
    assert (half.train.masks == 1).mean() == pytest.approx((data.train.masks == 1).mean(), rel=0.02)


def test_pets_copy(shared):
    data = load("pets")
    assert counts(data) == (420, 90, 90) and data.img_size == (224, 224) and data.in_chans == 3
    assert data.class_names == ("background", "pet") and not data.comparable and "not comparable" in data.source
    for part in (data.train, data.val, data.test):
        assert set(np.unique(part.masks)) == {0, 1, 255}
        # The rim of the square is black and ignored: most pictures are wider than high, or higher than wide.
        corner = part.masks[:, 0, 0] == 255
        assert corner.mean() > 0.5 and part.images[corner, 0, 0].max() == 0


def test_pets_are_in_proportion(shared):
    """The picture fills the square along its longer side."""
    data = load("pets", img_size=64)
    with zipfile.ZipFile(shared / "oxford_pets" / "pets600_256.zip") as archive:
        rows = [r for r in csv.DictReader(io.StringIO(archive.read("index.csv").decode())) if r["split"] == "test"]
    sizes = {row["name"]: (int(row["width"]), int(row["height"])) for row in rows}
    names = sorted(sizes, key=lambda name: [int(p) if p.isdigit() else p for p in name.replace("_", " _ ").split()])
    for name, mask in zip(names, data.test.masks, strict=True):
        width, height = sizes[name]
        rows_used, columns_used = (np.flatnonzero((mask != 255).any(axis)) for axis in (1, 0))
        assert rows_used.size <= round(64 * height / max(width, height)) + 1, name
        assert columns_used.size <= round(64 * width / max(width, height)) + 1, name
