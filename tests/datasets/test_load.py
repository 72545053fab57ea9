"""`load` on the embedded digits: splits, fractions, sizes, arguments. scikit-learn and Pillow are the references."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from compactlib.datasets import ImageSet, channel_statistics, load
from compactlib.datasets.splits import interleaved, stratified


def rows(part: ImageSet) -> list[bytes]:
    """Each image with its label, to compare sets of images."""
    return [image.tobytes() + bytes([label]) for image, label in zip(part.images, part.labels, strict=True)]


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_digits_are_scikit_learns_scaled_to_255(digits):
    reference = load_digits()
    expected = np.rint(reference.images * 255 / 16).astype(np.uint8)[..., None]
    images = np.concatenate([digits.train.images, digits.val.images, digits.test.images])
    labels = np.concatenate([digits.train.labels, digits.val.labels, digits.test.labels])
    assert sorted(rows(ImageSet(images, labels))) == sorted(rows(ImageSet(expected, reference.target.astype(np.int64))))
    assert (images.min(), images.max()) == (0, 255)


def test_facts_of_the_default(digits):
    assert (digits.name, digits.img_size, digits.in_chans, digits.num_classes) == ("digits", (8, 8), 1, 10)
    assert digits.class_names == tuple("0123456789")
    assert "embedded" in digits.source and not digits.comparable
    assert len(digits.train) + len(digits.val) + len(digits.test) == 1797
    assert repr(digits).startswith("ImageData(digits: 1,293 train / 145 val / 359 test, 8x8x1, 10 classes, from ")


def test_parts_do_not_share_an_image(digits):
    # 1,797 different images: a repeated one would be seen twice in the union.
    union = rows(digits.train) + rows(digits.val) + rows(digits.test)
    assert len(set(union)) == len(union) == 1797


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_parts_are_stratified(digits, part):
    labels = getattr(digits, part).labels
    shares = np.bincount(labels, minlength=10) / len(labels)
    whole = np.bincount(load_digits().target) / 1797
    # scikit-learn's own stratified split is off by as much: one image of a class.
    assert np.abs(shares - whole).max() <= 1 / len(labels)


def test_same_seed_same_split_other_seed_other_split(digits):
    again, other = load("digits", seed=0), load("digits", seed=1)
    assert (again.train.images == digits.train.images).all() and (again.val.labels == digits.val.labels).all()
    assert set(rows(other.val)) != set(rows(digits.val))


def test_the_split_is_the_one_of_the_results_on_record(digits):
    """Whoever changes these numbers makes earlier runs incomparable; NumPy promises not to (see splits)."""
    assert digits.test.labels[:12].tolist() == [6, 8, 2, 5, 7, 1, 2, 8, 5, 9, 8, 5]
    assert digits.test.images.astype(int).sum() == 1_792_236
    assert digits.val.images.astype(int).sum() == 721_734


def test_the_test_part_is_the_same_for_every_seed_and_fraction(digits):
    other = load("digits", 0.3, 7, val_fraction=0.25)
    assert (other.test.images == digits.test.images).all() and (other.test.labels == digits.test.labels).all()
    assert not set(rows(digits.test)) & set(rows(other.train) + rows(other.val))


def test_fractions_are_nested_stratified_and_leave_the_rest_alone(digits):
    parts = [load("digits", fraction) for fraction in (0.01, 0.1, 0.35, 0.5, 0.9)]
    for small, large in zip(parts, [*parts[1:], digits], strict=True):
        assert set(rows(small.train)) < set(rows(large.train))
    for data, fraction in zip(parts, (0.01, 0.1, 0.35, 0.5, 0.9), strict=True):
        expected = np.bincount(digits.train.labels) * fraction
        assert np.abs(np.bincount(data.train.labels, minlength=10) - expected).max() <= 0.5
        assert rows(data.val) == rows(digits.val)
        assert (data.mean, data.std) == (digits.mean, digits.std)
    assert set(rows(load("digits", 0.5, seed=1).train)) != set(rows(parts[3].train))


def test_a_tiny_fraction_keeps_one_image_of_each_class():
    assert np.bincount(load("digits", 1e-6).train.labels).tolist() == [1] * 10


def test_no_validation_part(digits):
    data = load("digits", val_fraction=0)
    assert len(data.val) == 0 and data.val.images.shape == (0, 8, 8, 1)
    assert set(rows(data.train)) == set(rows(digits.train) + rows(digits.val))


def test_mean_and_std_are_those_of_the_training_images(digits):
    pixels = digits.train.images.astype(np.float64) / 255
    assert digits.mean == pytest.approx([pixels.mean()], rel=1e-12)
    assert digits.std == pytest.approx([pixels.std()], rel=1e-12)


def test_channel_statistics_over_several_chunks_and_channels():
    images = np.random.default_rng(0).integers(0, 256, (5000, 3, 4, 3), np.uint8)
    mean, std = channel_statistics(images)
    assert mean == pytest.approx((images / 255).mean((0, 1, 2)), rel=1e-12)
    assert std == pytest.approx((images / 255).std((0, 1, 2)), rel=1e-12)


def test_resizing_is_pillows_bilinear(digits):
    for side in (5, 32):
        data = load("digits", img_size=side)
        assert data.img_size == (side, side) and data.train.images.dtype == np.uint8
        for ours, native in zip(data.test.images[:50], digits.test.images, strict=False):
            theirs = np.asarray(Image.fromarray(native[..., 0]).resize((side, side), Image.Resampling.BILINEAR))
            assert np.abs(ours[..., 0].astype(int) - theirs).max() <= 1
    assert (load("digits", img_size=8).train.images == digits.train.images).all()


def test_an_image_set_is_a_torch_dataset(digits):
    image, label = digits.train[3]
    assert image.shape == (8, 8, 1) and image.dtype == np.uint8 and type(label) is int
    images, labels = next(iter(torch.utils.data.DataLoader(digits.train, batch_size=4)))
    assert images.shape == (4, 8, 8, 1) and images.dtype == torch.uint8
    assert labels.tolist() == digits.train.labels[:4].tolist()
    with pytest.raises(IndexError):
        digits.train[len(digits.train)]


def test_an_image_set_refuses_other_types():
    labels = np.zeros(2, np.int64)
    with pytest.raises(ValueError, match="images must be uint8"):
        ImageSet(np.zeros((2, 8, 8, 1), np.float32), labels)
    with pytest.raises(ValueError, match="images must be uint8"):
        ImageSet(np.zeros((2, 8, 8), np.uint8), labels)
    for wrong in (np.zeros(3, np.int64), np.zeros(2, np.int32)):
        with pytest.raises(ValueError, match="labels must be int64"):
            ImageSet(np.zeros((2, 8, 8, 1), np.uint8), wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"fraction": value} for value in (0, -0.1, 1.5, float("nan"), True, "0.5", None)),
        *({"val_fraction": value} for value in (1, -0.1, float("nan"), False, "0.1", None)),
        *({"seed": value} for value in (-1, 2**32, 1.0, True, "0", None)),
        *({"img_size": value} for value in (0, -8, 8.0, True, (8, 8), 5000)),
    ],
    ids=str,
)
def test_a_value_out_of_range_is_named_with_what_is_expected(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"^{name} must be") as error:
        load("digits", **wrong)
    assert repr(value) in str(error.value)


def test_a_validation_part_that_swallows_a_class_is_refused():
    with pytest.raises(ValueError, match=r"val_fraction=0\.999 leaves no training image of some class of digits"):
        load("digits", val_fraction=0.999)


def test_an_unknown_argument_is_an_error():
    with pytest.raises(TypeError, match="fractoin"):
        load("digits", fractoin=0.5)


def test_stratified_matches_the_shares_of_scikit_learn():
    labels = np.repeat([0, 1, 2, 7], [40, 100, 10, 1000])
    ours = stratified(labels, 0.1, seed=3, stream=1)
    theirs = train_test_split(labels, test_size=0.1, stratify=labels, random_state=0)[1]
    assert np.bincount(labels[ours]).tolist() == np.bincount(theirs).tolist()
    assert (ours != stratified(labels, 0.1, seed=3, stream=2)).any(), "streams must not follow each other"
    assert not stratified(labels, 0, seed=0, stream=0).any()


def test_interleaving_takes_turns_and_keeps_the_order_of_a_class():
    assert interleaved(np.array([0, 0, 0, 2, 2, 1])).tolist() == [0, 5, 3, 1, 4, 2]
