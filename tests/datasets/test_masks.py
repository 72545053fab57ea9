"""`load` on the drawn sets: contract, splits, fractions, sizes; MaskSet and SegmentationData."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch
from skimage.measure import label
from torch.nn import functional as F

from compactlib.datasets import MaskSet, SegmentationData, load
from compactlib.datasets.cards import Card, read_card
from compactlib.datasets.drawn.aerial import AERIAL_CLASSES, aerial
from compactlib.datasets.drawn.cells import cells
from compactlib.datasets.images import resize_masks
from compactlib.datasets.splitting import data_set

RANDOM = np.random.default_rng(5)


def rows(part: MaskSet) -> list[bytes]:
    """Each image with its mask, to compare sets of images."""
    return [image.tobytes() + mask.tobytes() for image, mask in zip(part.images, part.masks, strict=True)]


@pytest.fixture(scope="module")
def dish():
    return load("cells", img_size=64)


@pytest.fixture(scope="module")
def land():
    return load("aerial", img_size=48)


def test_facts_of_the_drawn_sets(dish, land):
    assert type(dish) is type(land) is SegmentationData
    assert (dish.img_size, dish.in_chans, dish.num_classes) == ((64, 64), 1, 2)
    assert (land.img_size, land.in_chans, land.num_classes) == ((48, 48), 3, 5)
    assert dish.class_names == ("background", "cell") and land.class_names == AERIAL_CLASSES
    assert [len(part) for part in (dish.train, dish.val, dish.test)] == [43, 5, 16]
    assert [len(part) for part in (land.train, land.val, land.test)] == [86, 10, 32]
    assert repr(dish) == (
        "SegmentationData(cells: 43 train / 5 val / 16 test, 64x64x1, 2 classes, from procedural cells, embedded)"
    )
    assert repr(dish.test) == "MaskSet(16 images, 64x64x1)"
    for data in (dish, land):
        assert not data.comparable and data.card == read_card(data.name)
        for part in (data.train, data.val, data.test):
            assert part.masks.max() == data.num_classes - 1 and part.masks.min() == 0


def test_they_are_drawn_at_128_pixels_by_default():
    assert load("cells", 0.1).img_size == (128, 128)


def test_the_pictures_are_those_of_the_generators(dish, land):
    """The test part by its seeds, and training and validation together from the seeds 0 to 47 and 0 to 95."""
    for k in range(16):
        image, labels = cells(64, 64, 1_000_000 + k)
        assert (dish.test.images[k] == image).all() and (dish.test.masks[k] == (labels > 0)).all()
    drawn = [cells(64, 64, seed) for seed in range(48)]
    expected = {image.tobytes() + (labels > 0).astype(np.uint8).tobytes() for image, labels in drawn}
    assert set(rows(dish.train) + rows(dish.val)) == expected
    expected = {image.tobytes() + mask.tobytes() for image, mask in (aerial(48, 48, seed) for seed in range(96))}
    assert set(rows(land.train) + rows(land.val)) == expected


def test_parts_do_not_share_a_picture(dish, land):
    for data in (dish, land):
        union = rows(data.train) + rows(data.val) + rows(data.test)
        assert len(set(union)) == len(union)


def test_the_connected_parts_of_a_mask_are_the_cells(dish):
    for k, mask in enumerate(dish.test.masks):
        assert (label(mask, connectivity=1) == cells(64, 64, 1_000_000 + k)[1]).all()


def test_the_split_is_the_one_of_the_results_on_record(dish):
    """Whoever changes these numbers makes earlier runs incomparable."""
    assert [hashlib.sha256(b"".join(rows(part))).hexdigest()[:16] for part in (dish.train, dish.val, dish.test)] == [
        "42aa545b27894521",
        "7dda4a98f6ad2762",
        "57fd5e299de42352",
    ]


def test_seeds_change_the_validation_part_and_not_the_test(dish):
    again, other = load("cells", img_size=64), load("cells", seed=1, img_size=64)
    assert rows(again.train) == rows(dish.train) and rows(again.val) == rows(dish.val)
    assert set(rows(other.val)) != set(rows(dish.val)) and rows(other.test) == rows(dish.test)


def test_fractions_are_nested_and_leave_the_rest_alone(dish):
    parts = [load("cells", fraction, img_size=64) for fraction in (0.01, 0.2, 0.5)]
    assert [len(part.train) for part in parts] == [1, 9, 22]
    for small, large in zip(parts, [*parts[1:], dish], strict=True):
        assert set(rows(small.train)) < set(rows(large.train))
        assert rows(small.val) == rows(large.val) and rows(small.test) == rows(large.test)
        assert (small.mean, small.std) == (dish.mean, dish.std)


def test_no_validation_part_and_one_that_swallows_everything(dish):
    data = load("cells", val_fraction=0, img_size=64)
    assert len(data.val) == 0 and data.val.masks.shape == (0, 64, 64)
    assert set(rows(data.train)) == set(rows(dish.train) + rows(dish.val))
    with pytest.raises(ValueError, match=r"val_fraction=0\.999 leaves no training image of cells"):
        load("cells", val_fraction=0.999, img_size=16)


def test_mean_and_std_are_those_of_the_training_images(land):
    pixels = land.train.images.astype(np.float64) / 255
    assert land.mean == pytest.approx(pixels.mean((0, 1, 2)), rel=1e-12)
    assert land.std == pytest.approx(pixels.std((0, 1, 2)), rel=1e-12)


@pytest.mark.parametrize("wrong", [{"fraction": 0}, {"seed": -1}, {"val_fraction": 1}, {"img_size": 0}], ids=str)
def test_a_value_out_of_range_is_refused_before_anything_is_drawn(wrong, monkeypatch):
    monkeypatch.setattr("compactlib.datasets.mask_readers.cells", None)
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be"):
        load("cells", **wrong)


def card(consecutive: bool) -> Card:
    fields = dict.fromkeys(("title", "description", "source", "licence", "citation", "layout"), "text")
    lists = {"caveats": (), "mean": None, "std": None, "folders": (), "sources": ()}
    return Card("tiny", **fields, **lists, class_names=("a", "b"), task="segmentation", consecutive=consecutive)


def split(raw, consecutive=True, **arguments):
    arguments = {"fraction": 1.0, "seed": 0, "val_fraction": 0.1, "img_size": None} | arguments
    return data_set(raw, card(consecutive), source="memory", comparable=False, **arguments)


def numbered(first: int, count: int):
    """Images whose pixels are their number."""
    return np.repeat(np.arange(first, first + count, dtype=np.uint8), 4).reshape(count, 2, 2, 1), np.zeros(
        (count, 2, 2), np.uint8
    )


def numbers(part: MaskSet) -> list[int]:
    return part.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("seed", [0, 5])
def test_of_a_stack_the_parts_are_blocks_in_order(seed):
    data = split({"train": numbered(0, 24), "test": numbered(24, 6)}, seed=seed)
    assert numbers(data.train) == list(range(22)) and numbers(data.val) == [22, 23]
    assert numbers(data.test) == list(range(24, 30))
    data = split({"all": numbered(0, 30)}, seed=seed, val_fraction=0.25)
    assert (numbers(data.train), numbers(data.val)) == (list(range(18)), list(range(18, 24)))
    assert numbers(data.test) == list(range(24, 30))


def test_a_set_without_an_order_is_drawn_at_random():
    raw = {"all": numbered(0, 30)}
    data, other = split(raw, consecutive=False), split(raw, consecutive=False, seed=1)
    assert numbers(data.test) == numbers(other.test) != list(range(24, 30))
    assert numbers(data.val) != numbers(other.val)
    assert sorted(numbers(data.train) + numbers(data.val) + numbers(data.test)) == list(range(30))


def test_a_validation_part_of_its_own_is_kept_and_joined_to_training_by_zero():
    raw = {"train": numbered(0, 10), "val": numbered(10, 3), "test": numbered(13, 2)}
    assert numbers(split(raw, consecutive=False, val_fraction=0.5).val) == [10, 11, 12]
    data = split(raw, consecutive=False, val_fraction=0)
    assert numbers(data.train) == list(range(13)) and numbers(data.val) == []


@pytest.mark.parametrize("side", [1, 5, 24, 41, 60])
def test_masks_are_resized_as_pytorch_does_to_the_nearest_centre(side):
    masks = RANDOM.integers(0, 256, (3, 24, 31), np.uint8)
    theirs = F.interpolate(torch.from_numpy(masks)[:, None].double(), (side, side), mode="nearest-exact")[:, 0]
    assert (resize_masks(masks, side) == theirs.numpy().astype(np.uint8)).all()


def test_resizing_makes_no_new_class_and_keeps_image_and_mask_together():
    """A bright square on black, marked 1 amid 255: after resizing the mask still says where the image is bright."""
    images, masks = np.zeros((1, 90, 90, 1), np.uint8), np.full((1, 90, 90), 255, np.uint8)
    images[0, 30:70, 10:50], masks[0, 30:70, 10:50] = 200, 1
    raw = {"train": (images, masks), "test": (images, masks)}
    data = split(raw, val_fraction=0, img_size=45)
    assert data.img_size == (45, 45) and set(np.unique(data.train.masks)) == {1, 255}
    bright = data.train.images[..., 0] > 100
    assert (bright == (data.train.masks == 1)).all()


def test_a_mask_set_is_a_torch_dataset(dish):
    image, mask = dish.train[3]
    assert image.shape == (64, 64, 1) and mask.shape == (64, 64) and image.dtype == mask.dtype == np.uint8
    images, masks = next(iter(torch.utils.data.DataLoader(dish.train, batch_size=4)))
    assert images.shape == (4, 64, 64, 1) and masks.shape == (4, 64, 64) and masks.dtype == torch.uint8
    assert (masks.numpy() == dish.train.masks[:4]).all()
    with pytest.raises(IndexError):
        dish.train[len(dish.train)]


def test_a_mask_set_refuses_other_types():
    images, masks = np.zeros((2, 8, 9, 1), np.uint8), np.zeros((2, 8, 9), np.uint8)
    assert len(MaskSet(images, masks)) == 2
    for wrong in (images.astype(np.float32), images[..., 0]):
        with pytest.raises(ValueError, match="images must be uint8"):
            MaskSet(wrong, masks)
    for wrong, fix in (
        (masks[:1], "2 images and 1 masks"),
        (masks.transpose(0, 2, 1), r"masks.transpose\(0, 2, 1\)"),
        (masks[..., None], r"masks\[\.\.\., 0\]"),
        (masks[:, None], r"masks\[:, 0\]"),
        (np.stack([masks] * 3, axis=-1), r"argmax\(axis=-1\)"),
        (np.stack([masks] * 3, axis=1), r"argmax\(axis=1\)"),
        (masks - 1.5, "-1.5"),
        (masks.astype(np.int64) - 1, r"np.where\(masks < 0, 255, masks\)"),
        (masks + 256.0, "256"),
        (masks * np.nan, "nan_to_num"),
        (masks + 0.3, "masks > 0.5"),
        (masks.astype(str), "<U"),
    ):
        with pytest.raises(ValueError, match=r"masks must be uint8 of shape \(2, 8, 9\).*" + fix):
            MaskSet(images, wrong)
    with pytest.raises(ValueError, match=r"masks must be a NumPy array, not list"):
        MaskSet(images, masks.tolist())
    with pytest.raises(ValueError, match=r"images must be a NumPy array, not Tensor"):
        MaskSet(torch.from_numpy(images), masks)


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint16, np.int64, np.float32, np.float64])
def test_a_mask_set_takes_masks_of_other_types_where_nothing_is_lost(kind):
    masks = RANDOM.integers(0, 2, (300, 4, 5), np.uint8)
    masks[299] = 255 if np.dtype(kind).itemsize > 1 else 1
    part = MaskSet(np.zeros((300, 4, 5, 1), np.uint8), masks.astype(kind))
    assert part.masks.dtype == np.uint8 and (part.masks == masks).all()


def test_masks_are_held_against_the_classes_of_their_set(dish):
    """255 for the second of two classes is said; numbers that are no class are refused with a proposal."""
    white = [MaskSet(part.images, part.masks * 255) for part in (dish.train, dish.val, dish.test)]
    with pytest.warns(UserWarning, match=r"no pixel of 'cell' \(1\).*masks == 255"):
        dataclasses.replace(dish, train=white[0], val=white[1], test=white[2])
    counted = MaskSet(dish.val.images, dish.val.masks + 1)
    with pytest.raises(ValueError, match=r"unknown value 2; known are 0 \(background\), 1 \(cell\), 255"):
        dataclasses.replace(dish, val=counted)
    all_counted = [MaskSet(part.images, part.masks + 1) for part in (dish.train, dish.val, dish.test)]
    with pytest.raises(ValueError, match=r"values=\{1: 0, 2: 1\}"):
        dataclasses.replace(dish, train=all_counted[0], val=all_counted[1], test=all_counted[2])
