"""The readers of published formats against files written from the format descriptions, and against torchvision's."""

import gzip
import pickle

import numpy as np
import pytest
import torchvision
from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

from compactlib.datasets import formats
from tests.datasets.samples import cifar_records, idx_gz, python2_batch, tar_gz

RANDOM = np.random.default_rng(1)
IMAGES = RANDOM.integers(0, 256, (7, 32, 32, 3), np.uint8)
LABELS = [3, 1, 4, 1, 5, 9, 2]


def test_idx_agrees_with_torchvision(tmp_path):
    array = RANDOM.integers(0, 256, (4, 6, 5), np.uint8)
    (tmp_path / "a.gz").write_bytes(idx_gz(array))
    (tmp_path / "a").write_bytes(gzip.decompress(idx_gz(array)))
    read = formats.read_idx(tmp_path / "a.gz")
    assert (read == read_sn3_pascalvincent_tensor(str(tmp_path / "a")).numpy()).all()
    assert (read == array).all() and read.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"\0\0\x0d\x01" + bytes(8)), "not an idx file of uint8"),  # float32
        (gzip.compress(b"PNG"), "not an idx file"),
        (gzip.compress(gzip.decompress(idx_gz(np.zeros((3, 4)))) + b"x"), "holds 13 values"),
        (gzip.compress(gzip.decompress(idx_gz(np.zeros((3, 4))))[:-1]), "holds 11 values"),
    ],
    ids=["float32", "png", "too long", "too short"],
)
def test_what_is_no_idx_file_is_refused(tmp_path, content, message):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        formats.read_idx(tmp_path / "a.gz")


def test_cifar10_record_is_a_label_and_three_planes():
    images, labels = formats.parse_cifar_binary(cifar_records(IMAGES, LABELS), 1)
    assert (images == IMAGES).all() and labels.tolist() == LABELS
    assert images.dtype == np.uint8 and labels.dtype == np.int64


def test_cifar100_takes_the_fine_label():
    images, labels = formats.parse_cifar_binary(cifar_records(IMAGES, [0] * 7, LABELS), 2)
    assert (images == IMAGES).all() and labels.tolist() == LABELS


def test_a_broken_cifar_record_is_refused():
    with pytest.raises(ValueError, match="no whole number of CIFAR records"):
        formats.parse_cifar_binary(cifar_records(IMAGES, LABELS)[:-1], 1)


class SmallCIFAR10(torchvision.datasets.CIFAR10):
    """torchvision's reader of the Python version, for a batch of our size."""

    train_list = (("data_batch_1", ""),)

    def _check_integrity(self) -> bool:
        return True

    def _load_meta(self) -> None:
        pass


def test_cifar_python_version_agrees_with_torchvision(tmp_path):
    batch = python2_batch(IMAGES, LABELS)
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(batch)
    theirs = SmallCIFAR10(tmp_path)
    images, labels = formats.parse_cifar_pickle(batch, b"labels")
    assert (images == theirs.data).all() and labels.tolist() == theirs.targets
    assert (images == IMAGES).all()


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    with pytest.raises(pickle.UnpicklingError, match=r"io\.open"):
        formats.parse_cifar_pickle(pickle.dumps({b"data": Attack()}), b"labels")
    assert not (tmp_path / "owned").exists()


def test_tar_members_come_in_the_order_asked_and_a_missing_one_is_named(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar_gz({"folder/b": b"2", "folder/a": b"1", "folder/c": b"3"}))
    assert formats.read_tar(path, ["a", "b"]) == [b"1", b"2"]
    with pytest.raises(ValueError, match="no member d, e"):
        formats.read_tar(path, ["a", "d", "e"])
