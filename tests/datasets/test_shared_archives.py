"""The real archives, where they stand beside the repository: counts, published means, checksums from their README."""

import hashlib
import zipfile

import numpy as np
import pytest
from PIL import Image

from compactlib.datasets import load
from compactlib.datasets.formats import read_idx

# MD5 of the uncompressed MNIST files, as published with the archives.
MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte.gz": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte.gz": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte.gz": "27ae3e4e09519cfbb04c329615203637",
}


def counts(data):
    return len(data.train), len(data.val), len(data.test)


def test_mnist(shared):
    data = load("mnist", val_fraction=0)
    assert counts(data) == (60_000, 0, 10_000) and data.img_size == (28, 28) and data.in_chans == 1
    assert data.mean == pytest.approx([0.1307], abs=5e-5) and data.std == pytest.approx([0.3081], abs=5e-5)
    assert data.train.labels[:5].tolist() == [5, 0, 4, 1, 9] and data.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert "repacked" in data.source and data.comparable
    for name, md5 in MNIST_MD5.items():
        array = read_idx(shared / "mnist" / name)
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
        assert hashlib.md5(header + array.tobytes()).hexdigest() == md5


def test_fashion_mnist(shared):
    data = load("fashion_mnist", val_fraction=0)
    assert counts(data) == (60_000, 0, 10_000)
    assert data.mean == pytest.approx([0.2860], abs=5e-5) and data.std == pytest.approx([0.3530], abs=5e-5)
    assert np.bincount(data.train.labels).tolist() == [6000] * 10
    assert np.bincount(data.test.labels).tolist() == [1000] * 10
    assert data.class_names[data.train.labels[0]] == "Ankle boot"


def test_cifar10_jpeg_copy(shared):
    data = load("cifar10")
    assert counts(data) == (45_000, 5_000, 10_000) and data.img_size == (32, 32) and data.in_chans == 3
    assert data.mean == pytest.approx([0.491, 0.482, 0.447], abs=1e-3)
    assert data.std == pytest.approx([0.247, 0.243, 0.262], abs=3e-3)
    for part, count in ((data.train, 4500), (data.val, 500), (data.test, 1000)):
        assert np.bincount(part.labels).tolist() == [count] * 10
    assert "lossy" in data.source and "not comparable" in data.source and not data.comparable
    assert sorted(set(data.test.labels[:10])) == list(range(10)), "the first images show every class"


def test_cifar10_jpeg_copy_is_close_to_the_exact_images(shared):
    """The k-th exact image of a class is the k-th JPEG of that class: 30.5 dB on average, 23.1 dB at least."""
    data = load("cifar10", val_fraction=0)
    with zipfile.ZipFile(shared / "cifar10" / "lossless_first4000.zip") as archive:
        sprites = [np.asarray(Image.open(archive.open(f"sprite_{i}.png"))) for i in range(4)]
        labels = [int(line.split(b",")[1]) for line in archive.read("labels.csv").splitlines()[1:]]
    exact = np.concatenate([sprite.reshape(-1, 32, 32, 3) for sprite in sprites])
    seen = dict.fromkeys(range(10), 0)
    ratios = []
    for image, label in zip(exact, labels, strict=True):
        ours = data.train.images[10 * seen[label] + label]  # interleaved: image k of class c stands at 10 k + c
        seen[label] += 1
        ratios.append(10 * np.log10(255**2 / np.mean((ours.astype(float) - image) ** 2)))
    assert np.mean(ratios) == pytest.approx(30.5, abs=0.1) and min(ratios) == pytest.approx(23.1, abs=0.1)


def test_flowers_copy(shared):
    data = load("flowers102", img_size=32)
    assert counts(data) == (1068, 267, 445) and data.img_size == (32, 32) and data.num_classes == 102
    present = np.bincount(data.train.labels, minlength=102)
    assert sorted(set(present.tolist())) == [0, 12]
    assert np.flatnonzero(present == 0).tolist() == [i - 1 for i in (1, 8, 24, 30, 44, 62, 73, 75, 81, 84, 89, 99, 101)]
    assert "89-class" in data.source and not data.comparable


def test_a_copy_with_one_flipped_byte_is_refused(shared, tmp_path, monkeypatch):
    content = bytearray((shared / "flowers" / "flowers89_128.zip").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "flowers89_128.zip").write_bytes(content)
    monkeypatch.setenv("COMPACT_DATA", str(tmp_path))
    with pytest.raises(OSError, match=r"flowers89_128\.zip is damaged") as error:
        load("flowers102")
    assert "7f1669f469c943d13d48e62555b6f6d8ede99241faf153c83606e12f5e9a1a97" in str(error.value)
    assert hashlib.sha256(content).hexdigest() in str(error.value)
