"""The rule for what the numbers of a set of masks mean, without files."""

import numpy as np
import pytest

from compactlib.datasets.mask_values import class_values, value_counts

TWO, THREE = ("background", "cell"), ("sky", "tree", "road")
SAME = {0: 0, 1: 1, 255: 255}


@pytest.mark.parametrize(
    ("found", "names", "ids"),
    [
        ([0, 1], TWO, SAME),
        ([0, 1, 255], TWO, SAME),
        ([0, 255], TWO, {0: 0, 255: 1}),
        ([0, 65535], TWO, {0: 0, 65535: 1}),
        ([0, 1, 2], THREE, SAME | {2: 2}),
        ([0, 1, 2, 255], THREE, SAME | {2: 2}),
        ([0, 1.0], TWO, SAME),
        ([0, 7, 254, 255], None, {index: index for index in range(256)}),
    ],
)
def test_what_can_mean_one_thing_only_is_taken(found, names, ids):
    assert class_values(dict.fromkeys(found, 9), names).ids == ids


def test_what_was_taken_for_granted_is_said():
    (remark,) = class_values({0: 5, 255: 6}, TWO, where="my masks").remarks
    assert all(part in remark for part in ("my masks", "255", "'cell'", "values={0: 0, 255: 1}"))
    assert class_values({0: 5, 1: 6}, TWO).remarks == class_values({0: 5, 255: 6}, TWO, {0: 0, 255: 1}).remarks == ()


@pytest.mark.parametrize(
    ("found", "names", "proposal"),
    [
        ([0, 255], THREE, "values={0: 0, 255: 1} if 255 is a class, or values={0: 0, 255: 255}"),
        ([0, 255], None, "values={0: 0, 255: 1} if 255 is a class, or values={0: 0, 255: 255}"),
        ([255], TWO, "values={255: 1}"),
        ([1, 2], TWO, "values={1: 0, 2: 1}"),
        ([1, 2, 3], THREE, "values={1: 0, 2: 1, 3: 2}"),
        ([2, 3, 255], THREE, "values={1: 0, 2: 1, 3: 2, 255: 255}"),
        ([0, 1, 2, 3], THREE, "values={0: 255, 1: 0, 2: 1, 3: 2}"),
        ([0, 128], TWO, "values={0: 0, 128: 1}"),
        ([0, 128, 255], THREE, "values={0: 0, 128: 1, 255: 2}"),
        ([0, 85, 170, 255], THREE, "values={0: 0, 85: 1, 170: 2, 255: 255}"),
        ([-1, 0, 1], TWO, "values={-1: 255, 0: 0, 1: 1}"),
        ([0, 1, 9], TWO, "values={0: 0, 1: 1, 9: 255}"),
        (range(301), TWO, "values={0: 0} | dict.fromkeys(range(1, 301), 1)"),
        ([0, 1, 3, 250, 252, 255], TWO, "values={v: int(v > 127) for v in range(256)}"),
        ([0.0, 0.25, 0.5], TWO, "mask > 0.5"),
        (range(0, 250, 3), THREE, "JPEG"),
        ([300, 4], None, "values={number in the file: class id"),
    ],
    ids=str,
)
def test_anything_else_is_an_error_that_proposes_the_argument(found, names, proposal):
    with pytest.raises(ValueError, match="my masks") as error:
        class_values(dict.fromkeys(found, 1), names, where="my masks")
    assert proposal in str(error.value), str(error.value)


@pytest.mark.parametrize(
    "found", [[1, 2], [0, 128], [0, 128, 255], [-1, 0, 1], [0, 1, 2], [1, 2, 255], [0, 255]], ids=str
)
def test_a_proposal_is_an_argument_that_is_taken(found):
    names = TWO if found != [0, 255] else THREE
    with pytest.raises(ValueError, match="values=") as error:
        class_values(dict.fromkeys(found, 1), names)
    proposed = eval(str(error.value).split("values=")[1].split("}")[0] + "}")
    assert class_values(dict.fromkeys(found, 1), names, proposed).ids == proposed


def test_masks_of_0_and_1_among_masks_of_0_and_255():
    counts = {0: 90, 1: 5, 255: 5}
    assert class_values(counts, TWO).ids == SAME
    with pytest.raises(ValueError, match="values={0: 0, 1: 1, 255: 1}"):
        class_values(counts, TWO, never_together=True)


@pytest.mark.parametrize("given", [{0: 0, 1: 255}, {0: 255, 1: 1}])
def test_a_class_that_the_files_call_missing_is_not_ignored_without_a_word(given):
    """nodata=0 in a mask whose 0 is the background."""
    with pytest.raises(ValueError, match=r"value 0 .*missing.*values=\{0: 0, 1: 1\}.*values=\{0: 255, 1: 1\}"):
        class_values({1: 50}, TWO, hidden={0})
    assert class_values({1: 50}, TWO, given, hidden={0}).ids == given
    for harmless in ({255}, {-9999}, {1}):
        assert class_values({0: 3, 1: 50}, TWO, hidden=harmless).ids == SAME


def test_a_class_without_a_pixel_is_named():
    (remark,) = class_values({0: 5, 2: 6}, THREE).remarks
    assert "'tree' (1)" in remark and "'sky'" not in remark and "'road'" not in remark
    (remark,) = class_values({0: 5}, THREE, {0: 2, 9: 1}).remarks
    assert "'sky' (0), 'tree' (1)" in remark
    (remark,) = class_values({0: 5}, [str(k) for k in range(100)]).remarks
    assert "and 87 more" in remark


def test_values_take_names_of_classes():
    assert class_values({0: 1, 9: 1}, TWO, {0: "background", 9: "cell", 7: 255}).ids == {0: 0, 9: 1, 7: 255}


def test_values_that_are_not_named_are_listed_with_their_file():
    with pytest.raises(ValueError) as error:
        class_values({0: 1, 3: 1, 7: 1}, TWO, {0: 0, 9: 1}, first={0: "a.png", 3: "b.png", 7: "c.png"})
    assert all(part in str(error.value) for part in ("3, 7", "b.png", "0 (background), 9 (cell)"))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16, np.uint16, np.int64, np.float32])
def test_counts_are_numpys(kind):
    numbers = np.random.default_rng(0).integers(0, 2 if kind is bool else 90, (30, 40)).astype(kind)
    expected = dict(zip(*(array.tolist() for array in np.unique(numbers.astype(int), return_counts=True)), strict=True))
    counts = value_counts(numbers)
    assert counts == expected and all(type(value) is int for value in counts)


def test_counts_of_fractions_and_of_nothing():
    assert value_counts(np.array([0.5, 1, np.nan, 1])) == {0.5: 1, 1: 2}
    assert value_counts(np.array([], np.uint8)) == {} == value_counts(np.array([], np.float32))
