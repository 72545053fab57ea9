"""Where files are looked for, what is refused, and what is said when nothing is found."""

import hashlib
import os

import numpy as np
import pytest

from compactlib.datasets import DamagedFile, DatasetNotFound, cards, decoded, load, readers
from compactlib.paths import ROOT
from tests.datasets.samples import tiny_mnist, write_card
from tests.datasets.server import serving

TRAIN = "train-images-idx3-ubyte.gz"
FILES = tiny_mnist()


def put(folder, files) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A project that knows one small set, `tiny`, in the format of MNIST, without addresses."""
    monkeypatch.setattr(cards, "CARDS", tmp_path / "cards")
    write_card(tmp_path / "cards", "tiny", FILES, reader="idx")
    return tmp_path


@pytest.mark.parametrize("inside", ["", "mnist", "MNIST/raw"])
def test_real_card_refuses_a_damaged_file_names_it_and_leaves_it(tmp_path, monkeypatch, inside):
    monkeypatch.setenv("COMPACT_DATA", str(tmp_path))
    put(tmp_path / inside, FILES)  # not the real MNIST
    with pytest.raises(DamagedFile) as error:
        load("mnist")
    text = str(error.value)
    assert str(tmp_path / inside / TRAIN) in text and "left untouched" in text
    assert "md5 f68b3c2dcbeaaa9fbdd348bbdeb94873" in text, "torchvision's checksum of the official file"
    assert f"({len(FILES[TRAIN]):,} bytes)" in text
    assert (tmp_path / inside / TRAIN).read_bytes() == FILES[TRAIN]


@pytest.mark.parametrize("inside", ["", "tiny"])
def test_compact_data_is_read_at_its_top_and_in_a_folder_of_the_name(tiny, monkeypatch, inside):
    put(tiny / "mine" / inside, FILES)
    monkeypatch.setenv("COMPACT_DATA", str(tiny / "mine"))
    data = load("tiny")
    assert (len(data.train), len(data.val), len(data.test)) == (180, 20, 50)
    assert data.img_size == (6, 5) and data.source == "the first source" and data.comparable


def test_the_cache_is_read_when_compact_data_lacks_the_set(tiny, monkeypatch):
    (tiny / "mine").mkdir()
    monkeypatch.setenv("COMPACT_DATA", str(tiny / "mine"))
    put(tiny / "cache" / "tiny", FILES)
    assert len(load("tiny").test) == 50


def test_compact_data_goes_before_the_cache(tiny, monkeypatch):
    other = tiny_mnist(1)
    second = {"id": "second", "title": "the second source", "reader": "idx", "comparable": False}
    second["files"] = [{"name": n, "bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in other.items()]
    write_card(tiny / "cards", "tiny", FILES, reader="idx", others=[second])
    put(tiny / "cache" / "tiny", FILES)
    put(tiny / "mine" / "tiny", other)
    assert load("tiny").source == "the first source"
    monkeypatch.setenv("COMPACT_DATA", str(tiny / "mine"))
    data = load("tiny")
    assert data.source == "the second source" and not data.comparable
    # Files of two copies side by side: each is known, together they are not a set.
    put(tiny / "mine" / "tiny", {TRAIN: FILES[TRAIN]})
    with pytest.raises(DamagedFile, match=r"mixes files of different copies .* Take all of them from one copy"):
        load("tiny")


def test_files_of_another_set_at_the_top_are_passed_over(tiny, monkeypatch):
    """Fashion-MNIST's files have the names of MNIST's."""
    write_card(tiny / "cards", "twin", tiny_mnist(1), reader="idx")
    put(tiny / "mine", tiny_mnist(1))
    put(tiny / "cache" / "tiny", FILES)
    monkeypatch.setenv("COMPACT_DATA", str(tiny / "mine"))
    assert load("twin").train.images.sum() != load("tiny").train.images.sum()


def test_a_damaged_file_of_the_cache_is_removed_and_fetched_anew(tiny):
    with serving(FILES[TRAIN]) as server:
        write_card(tiny / "cards", "tiny", FILES, reader="idx", mirrors=[server.url])
        put(tiny / "cache" / "tiny", FILES | {TRAIN: FILES[TRAIN][:-1] + b"?"})
        with pytest.raises(DamagedFile, match="It was removed; load again"):
            load("tiny")
        assert not (tiny / "cache" / "tiny" / TRAIN).exists()
        assert len(load("tiny").train) == 180
        assert len(server.requests) == 1, "the intact files need no download"


def test_an_incomplete_set_in_compact_data_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPACT_DATA", str(tmp_path))
    put(tmp_path / "mnist", {TRAIN: b"x"})
    with pytest.raises(DatasetNotFound, match=f"mnist has {TRAIN}, but not train-labels-idx1-ubyte.gz, t10k"):
        load("mnist")


@pytest.mark.parametrize(
    ("name", "address", "size"),
    [
        ("cifar10", "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "170 MB"),
        ("cifar100", "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "169 MB"),
        ("mnist", "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz", "11.6 MB"),
        ("fashion_mnist", "amazonaws.com/train-images-idx3-ubyte.gz", "30.9 MB"),
        ("flowers102", "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/setid.mat", "345 MB"),
        ("pets", "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz", "811 MB"),
        ("membranes", "b45af4d458437d8281cc218a07fd4380818ece4a/data/membrane/train/image/0.png", "6.49 MB"),
    ],
)
def test_offline_says_address_size_folder_and_the_embedded_alternative(name, address, size, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        load(name)
    assert type(error.value) is DatasetNotFound
    text = str(error.value)
    embedded = 'load("cells")' if name in ("pets", "membranes") else 'load("digits")'
    for part in (address, size, str(tmp_path / "cache" / name), "COMPACT_DATA", embedded, "no connection"):
        assert part in text


def test_offline_a_set_of_many_files_names_the_first_ones_and_where_the_others_are_listed():
    with pytest.raises(DatasetNotFound) as error:
        load("membranes")
    text = str(error.value)
    assert text.count("raw.githubusercontent.com") < 15
    assert "and 52 more, which data/cards/membranes.yaml lists" in text and "train-volume" not in text
    assert 'from_folder(folder, ["membrane", "cell"]' in text


def test_what_cannot_be_downloaded_says_where_it_is_and_where_to_put_it(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("COMPACT_DATA", str(tmp_path / "mine"))
    with pytest.raises(DatasetNotFound) as error:
        load("roads")
    text = str(error.value)
    for part in (
        str(tmp_path / "mine"),
        str(tmp_path / "cache" / "roads"),
        "city_b_crops.zip (18,572,210 bytes, sha256 3932230fb8361b8b053d4ecc0697be67b0bc679aca90689f46e96c6dd5c5ce5f)",
        "a folder roads/ inside the folder that COMPACT_DATA names",
        "https://www.cs.toronto.edu/~vmnih/data/",
        'from_folder("mass_roads"',
        'load("cells") works everywhere',
    ):
        assert part in text, part


def test_many_small_files_are_fetched_into_their_folders(tiny, monkeypatch):
    """The membranes' form: names with a folder in them, more than get a progress bar each."""
    files = {f"image/{i}.gz": FILES[TRAIN] for i in range(9)}
    monkeypatch.setitem(
        readers.READERS, "many", readers.Reader(lambda paths, *_: _read_one({"all.gz": paths["image/8.gz"]}, *_))
    )
    with serving(FILES[TRAIN]) as server:
        write_card(tiny / "cards", "tiny", files, reader="many", mirrors=[server.url])
        assert len(load("tiny").test) == 40
        assert len(server.requests) == 9
    assert sorted(path.name for path in (tiny / "cache" / "tiny" / "image").glob("*.gz")) == [
        f"{i}.gz" for i in range(9)
    ]
    assert len(load("tiny").test) == 40, "now without a server"


@pytest.mark.parametrize("name", ["cells", "aerial"])
def test_drawn_sets_need_no_folder_and_keep_nothing(name, monkeypatch, tmp_path, recwarn):
    monkeypatch.setenv("COMPACT_CACHE", "/nonexistent/cache")
    monkeypatch.setenv("COMPACT_DATA", "/nonexistent/data")
    assert len(load(name, img_size=16).test) in (16, 32) and not recwarn.list


def test_digits_need_no_folder(monkeypatch):
    monkeypatch.setenv("COMPACT_CACHE", "/nonexistent/cache")
    monkeypatch.setenv("COMPACT_DATA", "/nonexistent/data")
    assert len(load("digits").test) == 359


def test_compact_data_that_is_no_folder_is_an_error_not_a_silence(monkeypatch):
    monkeypatch.setenv("COMPACT_DATA", "no/such/folder")
    with pytest.raises(NotADirectoryError, match="COMPACT_DATA is 'no/such/folder', which is not a folder"):
        load("mnist")


def test_a_relative_compact_data_also_counts_from_the_clone(tiny, monkeypatch):
    put(tiny / "mine" / "tiny", FILES)
    monkeypatch.setenv("COMPACT_DATA", os.path.relpath(tiny / "mine", ROOT))
    monkeypatch.chdir(tiny / "mine")  # from here the relative path leads nowhere
    assert len(load("tiny").test) == 50


def test_download_into_the_cache_with_a_damaged_mirror_first(tiny, monkeypatch):
    images = {"all.gz": FILES[TRAIN]}
    monkeypatch.setitem(readers.READERS, "one", readers.Reader(_read_one))
    with serving(FILES[TRAIN][:-9]) as bad, serving(FILES[TRAIN]) as good:
        write_card(tiny / "cards", "tiny", images, reader="one", mirrors=[bad.url, good.url])
        assert len(load("tiny").test) == 40
    assert (tiny / "cache" / "tiny" / "all.gz").read_bytes() == FILES[TRAIN]
    assert len(load("tiny").test) == 40, "now without a server"


def test_damaged_at_every_mirror(tiny, monkeypatch):
    monkeypatch.setitem(readers.READERS, "one", readers.Reader(_read_one))
    with serving(b"<html>") as bad:
        write_card(tiny / "cards", "tiny", {"all.gz": FILES[TRAIN]}, reader="one", mirrors=[bad.url])
        with pytest.raises(DamagedFile, match=r"all\.gz arrived damaged and was removed"):
            load("tiny")


def _read_one(paths, card, img_size):
    images = readers.formats.read_idx(paths["all.gz"])[..., None]
    return {"all": (images, np.arange(len(images)) % 10)}


def test_decoded_arrays_are_kept_and_made_anew_when_damaged(tiny, monkeypatch):
    calls = []

    def slow(paths, card, img_size):
        calls.append(img_size)
        return _read_one(paths, card, img_size)

    monkeypatch.setitem(readers.READERS, "one", readers.Reader(slow, slow=True))
    write_card(tiny / "cards", "tiny", {"all.gz": FILES[TRAIN]}, reader="one")
    put(tiny / "cache" / "tiny", {"all.gz": FILES[TRAIN]})
    first, second = load("tiny"), load("tiny")
    assert len(calls) == 1 and (first.train.images == second.train.images).all()
    (kept,) = (tiny / "cache" / "tiny").glob("decoded-*.npz")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 0xFF  # one flipped bit must not become a wrong pixel
    kept.write_bytes(content)
    assert (load("tiny").train.images == first.train.images).all() and len(calls) == 2
    kept.write_bytes(content[:100])
    assert (load("tiny").train.images == first.train.images).all() and len(calls) == 3
    load("tiny")
    assert len(calls) == 3
    monkeypatch.setattr(decoded, "VERSION", 99)
    load("tiny")
    assert len(calls) == 4, "another version of the readers must not see the old arrays"


def test_a_cache_that_cannot_be_written_is_said_and_the_set_is_loaded(tiny, monkeypatch):
    monkeypatch.setitem(readers.READERS, "one", readers.Reader(_read_one, slow=True))
    write_card(tiny / "cards", "tiny", {"all.gz": FILES[TRAIN]}, reader="one")
    put(tiny / "mine" / "tiny", {"all.gz": FILES[TRAIN]})
    monkeypatch.setenv("COMPACT_DATA", str(tiny / "mine"))
    (tiny / "cache").write_bytes(b"a file where the folder should be")
    with pytest.warns(UserWarning, match=r"Could not keep the decoded tiny .* Set COMPACT_CACHE"):
        assert len(load("tiny").test) == 40
