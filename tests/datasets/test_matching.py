"""Which image belongs to which mask, by their names."""

import pytest

from compactlib.datasets import BadPair
from compactlib.datasets.matching import match


def pairs(images: str, masks: str) -> list[tuple[str, str]]:
    return match([f"i/{name}" for name in images.split()], [f"m/{name}" for name in masks.split()], "mine")


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("a.jpg b.jpg", "a.png b.png"),
        ("a.jpg b.jpg", "a_mask.png b_mask.png"),
        ("a.jpg b.jpg", "mask_a.tif mask_b.tif"),
        ("1.jpg 2.jpg 10.jpg", "1_gt.png 2_gt.png 10_gt.png"),
        ("img_1.png img_2.png img_10.png", "label_1.png label_2.png label_10.png"),
        ("0001TP_006690.png 0001TP_006720.png", "0001TP_006690_L.png 0001TP_006720_L.png"),
        ("855_sat.jpg 908_sat.jpg", "855_mask.png 908_mask.png"),
        ("a_0_leftImg8bit.png b_1_leftImg8bit.png", "a_0_gtFine_labelIds.png b_1_gtFine_labelIds.png"),
        ("a.jpg b.jpg", "a.jpg.png b.jpg.png"),
        ("10.png 20.png", "10_mask.png 20_mask.png"),
        ("a.png", "a_mask.png"),
        ("a.png", "Mask-a.png"),
        ("a_image.png", "a_label.png"),
        ("img_7.png", "mask_7.png"),
    ],
)
def test_names_that_agree_between_a_common_beginning_and_end_are_pairs(images, masks):
    expected = [(f"i/{i}", f"m/{m}") for i, m in zip(images.split(), masks.split(), strict=True)]
    assert pairs(images, masks) == expected
    assert pairs(" ".join(images.split()[::-1]), masks) == expected, "the order is that of the numbers"


@pytest.mark.parametrize(
    ("images", "masks", "named"),
    [
        ("a.png b.png", "a_mask.png", ["i/b.png has no mask"]),
        ("a.png", "a_mask.png b_mask.png", ["m/b_mask.png has no image"]),
        ("a.png b.png", "a_mask.png c_mask.png", ["i/b.png has no mask", "m/c_mask.png has no image"]),
        ("a.png b.png", "a_mask.png a_label.png b_mask.png", ["second mask", "m/a_"]),
        ("a.png b.png", "a_mask.png mask_b.png", ["m/a_mask.png", "m/mask_b.png"]),
        ("frame_10.png frame_20.png", "mask_1.png mask_2.png", ["i/frame_10.png has no mask"]),
        ("1.png 2.png", "0_mask.png 1_mask.png", ["i/2.png has no mask", "m/0_mask.png has no image"]),
        ("a.png", "b.png", ["i/a.png has no mask", "m/b.png has no image"]),
        ("a.png a.jpg", "a.png", ["i/a.png and i/a.jpg have one name"]),
    ],
)
def test_names_that_can_be_paired_in_no_way_or_several_are_named(images, masks, named):
    with pytest.raises(BadPair, match=r"^mine: ") as error:
        pairs(images, masks)
    assert all(part in str(error.value) for part in named), str(error.value)


def test_of_one_folder_the_masks_are_those_with_a_word():
    names = ["./b (1).png", "./b (1)_mask.png", "./b (2)_mask.png", "./b (2).png"]
    assert match(names, names, "mine") == [("./b (1).png", "./b (1)_mask.png"), ("./b (2).png", "./b (2)_mask.png")]
    with pytest.raises(BadPair, match=r"a.png has no mask"):
        match(["./a.png", "./b.png"], ["./a.png", "./b.png"], "mine")
