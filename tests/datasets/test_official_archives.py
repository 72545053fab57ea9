"""Whole archives in the official layouts, with few images, through `load`."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from compactlib.datasets import cards, load
from tests.datasets.samples import cifar_records, python2_batch, tar_gz, write_card

RANDOM = np.random.default_rng(2)


@pytest.fixture
def project(monkeypatch, tmp_path):
    monkeypatch.setattr(cards, "CARDS", tmp_path / "cards")

    def make(files, reader):
        write_card(tmp_path / "cards", "small", files, reader=reader)
        folder = tmp_path / "cache" / "small"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)

    return make


def cifar_parts():
    """Five training batches and a test batch of ten images each, labels 0 to 9."""
    return [RANDOM.integers(0, 256, (10, 32, 32, 3), np.uint8) for _ in range(6)]


def check_cifar(batches):
    data = load("small", val_fraction=0)
    assert (data.train.images == np.concatenate(batches[:-1])).all(), "order of the batches"
    assert (data.test.images == batches[-1]).all()
    assert data.train.labels.tolist() == list(range(10)) * (len(batches) - 1)


@pytest.mark.parametrize("version", ["binary", "python"])
def test_cifar10(project, version):
    batches, labels = cifar_parts(), list(range(10))
    suffix = ".bin" if version == "binary" else ""
    names = [*(f"data_batch_{i}{suffix}" for i in range(1, 6)), f"test_batch{suffix}"]
    encode = cifar_records if version == "binary" else python2_batch
    members = {f"cifar/{name}": encode(batch, labels) for name, batch in zip(names, batches, strict=True)}
    members = dict(reversed(members.items()))  # the order inside the archive must not matter
    project({"cifar.tar.gz": tar_gz({"cifar/readme.html": b"hello"} | members)}, f"cifar10_{version}")
    check_cifar(batches)


@pytest.mark.parametrize("version", ["binary", "python"])
def test_cifar100(project, version):
    train, test = cifar_parts()[:2]
    if version == "binary":
        members = {f"c/{n}.bin": cifar_records(p, [7] * 10, range(10)) for n, p in (("train", train), ("test", test))}
    else:
        members = {
            f"c/{n}": python2_batch(p, list(range(10)), b"fine_labels") for n, p in (("train", train), ("test", test))
        }
    project({"cifar.tar.gz": tar_gz(members)}, f"cifar100_{version}")
    check_cifar([train, test])


def flower(number: int, size: tuple[int, int]) -> bytes:
    """A JPEG picture whose colour tells its number, with a black frame that a centre crop must cut off."""
    image = Image.new("RGB", size, (0, 0, 0))
    side = min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    image.paste((10 * number, 200, 50), (left, top, left + side, top + side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.fixture
def flowers(project):
    """24 pictures of 4 classes, landscape and portrait; 8 for training, 8 for validation, 8 for the test."""
    sizes = [(60, 40), (40, 70)]
    pictures = {f"jpg/image_{i:05d}.jpg": flower(i, sizes[i % 2]) for i in range(1, 25)}
    labels, ids = io.BytesIO(), io.BytesIO()
    savemat(labels, {"labels": np.array([[(i - 1) % 4 + 1 for i in range(1, 25)]], np.uint8)})
    numbers = np.arange(1, 25, dtype=np.uint16)
    savemat(ids, {"trnid": [numbers[16:]], "valid": [numbers[8:16]], "tstid": [numbers[:8]]})
    files = {"102flowers.tgz": tar_gz(pictures), "imagelabels.mat": labels.getvalue(), "setid.mat": ids.getvalue()}
    project(files, "flowers_official")


def test_flowers_keep_the_official_split_and_are_cropped_at_the_centre(flowers):
    data = load("small", img_size=20)
    numbers = {part: getattr(data, part).images[:, 10, 10, 0] / 10 for part in ("train", "val", "test")}
    for part, first in (("train", 17), ("val", 9), ("test", 1)):
        assert np.abs(numbers[part] - np.arange(first, first + 8)).max() < 0.3
        assert getattr(data, part).labels.tolist() == [0, 1, 2, 3] * 2
    assert data.img_size == (20, 20)
    # The green of the picture everywhere but at the very edge: nothing of the frame is left.
    assert np.abs(data.test.images[:, 2:-2, 2:-2, 1].astype(int) - 200).max() < 12


def test_flowers_are_224_pixels_by_default_and_val_fraction_zero_joins_validation_to_training(flowers):
    data = load("small", val_fraction=0)
    assert data.img_size == (224, 224)
    assert (len(data.train), len(data.val), len(data.test)) == (16, 0, 8)
    assert len(load("small", val_fraction=0.5, img_size=20).val) == 8, "the official part, whatever the value"
