"""Every card is complete, and agrees with what torchvision knows about the same files."""

import gzip
import hashlib
import re
import runpy

import pytest
import torchvision

from compactlib.datasets import names, read_card
from compactlib.datasets.readers import READERS
from tests.datasets.conftest import SHARED

MASKED = ("aerial", "cells", "membranes", "pets", "roads")


def test_names_are_the_documented_ones_with_the_default_first():
    assert names()[0] == "digits"
    assert names()[1:] == [
        "aerial",
        "cells",
        "cifar10",
        "cifar100",
        "fashion_mnist",
        "flowers102",
        "membranes",
        "mnist",
        "pets",
        "roads",
    ]


@pytest.mark.parametrize("name", names())
def test_card_is_complete(name):
    card = read_card(name)
    assert card.name == name and card.caveats
    for text in (card.title, card.description, card.source, card.licence, card.citation, card.layout):
        assert len(text) > 3
    assert all(source.reader in READERS for source in card.sources)
    lengths = {"md5": 32, "sha256": 64}
    for file in card.files:
        assert file.checksum.isdecimal() if file.algorithm == "pictures" else re.fullmatch("[0-9a-f]+", file.checksum)
        assert len(file.checksum) == lengths.get(file.algorithm, 4)
        assert file.bytes > 0 or not file.urls
        assert all(url.startswith("http") and url.endswith(f"/{file.name}") for url in file.urls)
    embedded = name in ("digits", "cells", "aerial")
    assert embedded == (not card.files)
    assert embedded or card.by_hand or card.sources[0].downloadable
    assert card.task == ("segmentation" if name in MASKED else "classification")
    assert card.consecutive == (name == "membranes")
    assert card.title in str(card) and card.licence in str(card) and card.caveats[0] in str(card)


@pytest.mark.parametrize(
    ("name", "theirs"), [("mnist", torchvision.datasets.MNIST), ("fashion_mnist", torchvision.datasets.FashionMNIST)]
)
def test_idx_checksums_are_torchvisions(name, theirs):
    files = read_card(name).sources[0].files
    assert {(file.name, file.checksum) for file in files} == set(theirs.resources)
    assert {mirror + file.name for mirror in theirs.mirrors for file in files} <= {u for f in files for u in f.urls}


@pytest.mark.parametrize(
    ("name", "theirs"), [("cifar10", torchvision.datasets.CIFAR10), ("cifar100", torchvision.datasets.CIFAR100)]
)
def test_cifar_python_checksums_are_torchvisions(name, theirs):
    (source,) = (source for source in read_card(name).sources if source.id == "python")
    assert (source.files[0].name, source.files[0].checksum) == (theirs.filename, theirs.tgz_md5)
    assert theirs.url in source.files[0].urls
    (unpacked,) = (source for source in read_card(name).sources if source.id == "python-unpacked")
    assert [[file.name, file.checksum] for file in unpacked.files] == [*theirs.train_list, *theirs.test_list]
    assert unpacked.folders == (theirs.base_folder,)


def test_cifar10_binary_checksums_are_those_of_the_tool_that_makes_the_files():
    tool = SHARED.parent / "tools" / "cifar10_lossless.py"
    if not tool.is_file():
        pytest.skip("The folder shared/tools does not stand beside the repository.")
    (unpacked,) = (source for source in read_card("cifar10").sources if source.id == "binary-unpacked")
    found = {file.name.removesuffix(".bin"): file.checksum for file in unpacked.files}
    assert found == runpy.run_path(str(tool))["SHA256"]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_idx_checksums_of_unpacked_files_are_those_of_the_archives_content(name, shared):
    sources = {source.id: source for source in read_card(name).sources}
    for file, dotted in zip(sources["idx-unpacked"].files, sources["idx-unpacked-dotted"].files, strict=True):
        content = gzip.decompress((shared / name / f"{file.name}.gz").read_bytes())
        assert (file.bytes, file.checksum) == (len(content), hashlib.md5(content).hexdigest())
        assert (dotted.bytes, dotted.checksum) == (file.bytes, file.checksum)
        assert dotted.name.replace(".", "-") == file.name


def test_flowers_checksums_and_class_names_are_torchvisions():
    card, theirs = read_card("flowers102"), torchvision.datasets.Flowers102
    assert [(file.name, file.checksum) for file in card.sources[0].files] == list(theirs._file_dict.values())
    assert card.sources[0].files[0].urls[0] == theirs._download_url_prefix + "102flowers.tgz"
    assert list(card.class_names) == theirs.classes


def test_pets_addresses_and_checksums_are_torchvisions():
    files = read_card("pets").sources[0].files
    assert tuple((file.urls[0], file.checksum) for file in files) == torchvision.datasets.OxfordIIITPet._RESOURCES


def test_only_official_pixels_in_the_official_split_are_comparable():
    """None of the sets with masks has both, but for the official archives of the pets."""
    found = {(name, source.id) for name in MASKED for source in read_card(name).sources if source.comparable}
    assert found == {("pets", "official")}


def test_membranes_come_from_one_commit():
    (source,) = (source for source in read_card("membranes").sources if source.downloadable)
    assert len(source.files) == 60 and all(file.algorithm == "sha256" for file in source.files)
    commits = {re.fullmatch(r".*/([0-9a-f]{40})/.*", url)[1] for file in source.files for url in file.urls}
    assert len(commits) == 1
    assert len({file.checksum for file in source.files}) == 60


def test_fashion_class_names_are_torchvisions():
    assert list(read_card("fashion_mnist").class_names) == torchvision.datasets.FashionMNIST.classes


def test_cifar_class_names_are_in_the_official_alphabetical_order():
    for name, count in (("cifar10", 10), ("cifar100", 100)):
        found = read_card(name).class_names
        assert list(found) == sorted(set(found)) and len(found) == count


@pytest.mark.parametrize(
    ("name", "hint"),
    [("cifar-10", "'cifar10'"), ("MNIST", "'mnist'"), ("fashon_mnist", "'fashion_mnist'"), ("digit", "'digits'")],
)
def test_a_mistyped_name_gets_a_suggestion_and_the_list(name, hint):
    with pytest.raises(ValueError, match=f"Did you mean {hint}") as error:
        read_card(name)
    assert all(known in str(error.value) for known in names())


@pytest.mark.parametrize("name", ["imagenet", "", "../cards/digits", None, 3])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=r"There is no data set .* Known: digits, aerial, cells, cifar10"):
        read_card(name)
