"""Official sets as people have them: unpacked folders, and the folders that torchvision makes."""

import gzip
import hashlib
import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from compactlib.datasets import DamagedFile, cards, load
from compactlib.paths import ROOT
from tests.datasets.conftest import SHARED
from tests.datasets.samples import cifar_records, python2_batch, tar_gz, tiny_mnist, write_card

RANDOM = np.random.default_rng(6)
BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def put(folder, files) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture
def mine(monkeypatch, tmp_path):
    """An empty COMPACT_DATA beside cards of the test's own."""
    monkeypatch.setattr(cards, "CARDS", tmp_path / "cards")
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("COMPACT_DATA", str(tmp_path / "mine"))
    return tmp_path / "mine"


def known(mine, files, reader, *, folders, others=()):
    write_card(mine.parent / "cards", "small", files, reader=reader, folders=folders, others=others)


def cifar(version: str, hundred: bool):
    """Pictures of a training and a test part, and their files by name."""
    batches = [RANDOM.integers(0, 256, (10, 32, 32, 3), np.uint8) for _ in range(2 if hundred else 6)]
    names, labels = ["train", "test"] if hundred else BATCHES, list(range(10))
    if version == "binary":
        columns = ([7] * 10, labels) if hundred else (labels,)
        files = {f"{name}.bin": cifar_records(batch, *columns) for name, batch in zip(names, batches, strict=True)}
    else:
        key = b"fine_labels" if hundred else b"labels"
        files = {name: python2_batch(batch, labels, key) for name, batch in zip(names, batches, strict=True)}
    return batches, files


@pytest.mark.parametrize("place", ["small/cifar-batches", "cifar-batches", "small", ""])
@pytest.mark.parametrize("version", ["binary", "python"])
@pytest.mark.parametrize("hundred", [False, True], ids=["cifar10", "cifar100"])
def test_cifar_unpacked(mine, hundred, version, place):
    batches, files = cifar(version, hundred)
    known(mine, files, f"cifar{100 if hundred else 10}_{version}_unpacked", folders=["cifar-batches"])
    put(mine / place, files | {"batches.meta": b"passed over"})
    data = load("small", val_fraction=0)
    assert (data.train.images == np.concatenate(batches[:-1])).all() and (data.test.images == batches[-1]).all()
    assert data.train.labels.tolist() == list(range(10)) * (len(batches) - 1)
    assert data.comparable and not list((mine.parent / "cache").rglob("*")), "read from where it lies, nothing is kept"


def test_the_cache_takes_an_unpacked_folder_too(mine):
    _, files = cifar("binary", False)
    known(mine, files, "cifar10_binary_unpacked", folders=["cifar-10-batches-bin"])
    put(mine.parent / "cache" / "small" / "cifar-10-batches-bin", files)
    assert load("small").comparable


def test_a_wrong_file_is_named_with_both_sums_and_left_alone(mine):
    _, files = cifar("binary", False)
    known(mine, files, "cifar10_binary_unpacked", folders=["cifar-10-batches-bin"])
    wrong = files["data_batch_3.bin"][:-1] + b"?"
    for folder in (mine, mine.parent / "cache" / "small"):
        path = folder / "cifar-10-batches-bin" / "data_batch_3.bin"
        put(path.parent, files | {path.name: wrong})
        with pytest.raises(DamagedFile) as error:
            load("small")
        for part in (str(path), *(hashlib.md5(c).hexdigest() for c in (wrong, files[path.name])), "unpack it again"):
            assert part in str(error.value), part
        assert path.read_bytes() == wrong, "nobody can fetch it anew"
        path.unlink()


def test_files_of_general_names_count_in_folders_of_the_set_only(mine, monkeypatch):
    """`train` and `test` anywhere else are somebody's own."""
    _, files = cifar("python", True)
    known(mine, files, "cifar100_python_unpacked", folders=["cifar-100-python"])
    card = mine.parent / "cards" / "small.yaml"
    card.write_text(card.read_text().replace("reader:", "in_folder_only: true\n  reader:"))
    put(mine, {"train": b"my own", "test": b"as well"})
    put(mine / "cifar-100-python", files)
    assert len(load("small", val_fraction=0).test) == 10
    monkeypatch.setenv("COMPACT_DATA", str(mine / "cifar-100-python"))
    assert len(load("small", val_fraction=0).test) == 10


def test_lossless_files_at_the_top_go_before_a_lossy_copy_in_the_folder_of_the_set(mine):
    batches, files = cifar("binary", False)
    picture = io.BytesIO()
    Image.fromarray(batches[0][0]).save(picture, "JPEG")
    lossy = {
        f"{part}.tar.gz": tar_gz({f"{part}/{i}/0.jpg": picture.getvalue() for i in range(10)})
        for part in ("train", "test")
    }
    copy = {"id": "jpeg", "title": "JPEG copy", "reader": "cifar10_jpeg", "comparable": False, "in_folder_only": True}
    copy["files"] = [{"name": n, "bytes": len(c), "md5": hashlib.md5(c).hexdigest()} for n, c in lossy.items()]
    known(mine, files, "cifar10_binary_unpacked", folders=["cifar-10-batches-bin"], others=[copy])
    put(mine / "small", lossy)
    assert not load("small", val_fraction=0).comparable
    put(mine / "cifar-10-batches-bin", files)
    data = load("small")
    assert data.comparable and (data.test.images == batches[-1]).all()


@pytest.mark.parametrize("form", ["gz", "unpacked", "dotted"])
@pytest.mark.parametrize("place", ["MNIST/raw", "small/MNIST/raw", "small/raw", "raw", "small", ""])
def test_idx_files_as_torchvision_keeps_them(mine, place, form):
    packed = tiny_mnist()
    files = packed
    if form != "gz":
        files = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in packed.items()}
    if form == "dotted":
        files = {name.replace("-idx", ".idx"): content for name, content in files.items()}
    known(mine, files, "idx", folders=["raw", "MNIST/raw"])
    put(mine / place, files)
    data = load("small", val_fraction=0)
    expected = np.frombuffer(gzip.decompress(packed["train-images-idx3-ubyte.gz"])[16:], np.uint8)
    assert (data.train.images.ravel() == expected).all() and data.comparable


def flowers(side: int = 500):
    """Three classes with eight pictures; the shade tells the number."""
    pictures = {}
    for number in range(1, 25):
        out = io.BytesIO()
        Image.new("RGB", (side + 20, side), (10 * number, 200, 50)).save(out, "JPEG")
        pictures[f"jpg/image_{number:05d}.jpg"] = out.getvalue()
    labels, ids = io.BytesIO(), io.BytesIO()
    savemat(labels, {"labels": np.array([[(i - 1) % 3 + 1 for i in range(1, 25)]], np.uint8)})
    numbers = np.arange(1, 25, dtype=np.uint16)
    savemat(ids, {"trnid": [numbers[16:]], "valid": [numbers[8:16]], "tstid": [numbers[:8]]})
    return pictures, {"imagelabels.mat": labels.getvalue(), "setid.mat": ids.getvalue()}


def know_flowers(mine, tables):
    known(mine, tables, "flowers_unpacked", folders=["flowers-102"])
    card = mine.parent / "cards" / "small.yaml"
    card.write_text(card.read_text().replace("  - bytes:", "  - {name: jpg, pictures: 24}\n  - bytes:", 1))


@pytest.mark.parametrize("place", ["flowers-102", "small/flowers-102", "small"])
def test_flowers_in_a_folder(mine, place):
    pictures, tables = flowers()
    know_flowers(mine, tables)
    put(mine / place, pictures | tables | {"jpg/._image_00001.jpg": b"of a Mac", "jpg/Thumbs.db": b"of Windows"})
    data = load("small", img_size=8)
    for part, first in (("train", 17), ("val", 9), ("test", 1)):
        images = getattr(data, part).images
        assert np.abs(images[:, 4, 4, 0] / 10 - np.arange(first, first + 8)).max() < 0.3
    assert data.comparable and data.test.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    # A changed picture is seen, though it has no checksum and the decoded arrays are kept.
    out = io.BytesIO()
    Image.new("RGB", (640, 500), (0, 0, 0)).save(out, "JPEG")
    put(mine / place, {"jpg/image_00001.jpg": out.getvalue()})
    assert load("small", img_size=8).test.images[0].max() < 5


def test_flowers_of_another_number_or_size_are_refused(mine):
    pictures, tables = flowers(side=128)
    know_flowers(mine, tables)
    put(mine / "flowers-102", pictures | tables)
    with pytest.raises(DamagedFile, match=r"image_000\d\d\.jpg is 148 x 128 pixels.* about 500"):
        load("small", img_size=8)
    (mine / "flowers-102" / "jpg" / "image_00007.jpg").unlink()
    with pytest.raises(DamagedFile, match=r"jpg is damaged .*\n +expected: 24 pictures\n +actual: +23 pictures"):
        load("small", img_size=8)
    (mine / "flowers-102" / "jpg" / "image_00107.jpg").write_bytes(b"")
    for name, content in flowers()[0].items():
        if "00007" not in name:
            put(mine / "flowers-102", {name: content})
    with pytest.raises(DamagedFile, match=r"image_00007\.jpg is missing"):
        load("small", img_size=8)


LOSSLESS = [place / "cifar10" for place in (SHARED, ROOT / "data" / "cache")]


def test_the_real_lossless_cifar10(monkeypatch):
    """The files that shared/tools/cifar10_lossless.py makes, against another lossless copy of the first images."""
    folder = next((place for place in LOSSLESS if (place / "cifar-10-batches-bin").is_dir()), None)
    if folder is None or not SHARED.is_dir():
        pytest.skip("The lossless CIFAR-10 is not on this machine.")
    monkeypatch.setenv("COMPACT_DATA", str(folder))
    data = load("cifar10", val_fraction=0)
    assert data.comparable and (len(data.train), len(data.test)) == (50_000, 10_000)
    assert data.mean == pytest.approx(data.card.mean, abs=1e-4) and data.std == pytest.approx(data.card.std, abs=1e-4)
    for part, archive in ((data.train, "lossless_first4000.zip"), (data.test, "lossless_test1000.zip")):
        with zipfile.ZipFile(SHARED / "cifar10" / archive) as file:
            names = sorted(name for name in file.namelist() if name.endswith(".png"))
            exact = np.concatenate([np.asarray(Image.open(file.open(name))).reshape(-1, 32, 32, 3) for name in names])
            labels = [int(line.split(b",")[1]) for line in file.read("labels.csv").splitlines()[1:]]
        assert (part.images[: len(exact)] == exact).all() and part.labels[: len(labels)].tolist() == labels
