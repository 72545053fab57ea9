"""Metrics, against torchmetrics, scikit-learn and scikit-image; absent classes as the module says."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score
from torchmetrics.functional.segmentation import hausdorff_distance

from compactlib.segmentation import (
    class_dice,
    class_iou,
    confusion,
    dice,
    hd95,
    iou,
    mean_dice,
    mean_iou,
    pixel_accuracy,
    pixel_error,
    rand_error,
    swin_unet_scores,
)
from tests.golden.cases import CLONE, GoldenCase

MEDPY = GoldenCase(CLONE / "medpy_dice_hd95")


def pair(name):
    return [MEDPY.arrays[f"{name}_{side}"].astype(bool) for side in ("pred", "gt")]


def test_what_an_empty_mask_counts_as():
    for name in ("empty_pred", "empty_gt"):
        assert dice(*pair(name)) == iou(*pair(name)) == 0 and hd95(*pair(name)) == math.inf
    both = pair("both_empty")
    assert math.isnan(dice(*both)) and math.isnan(iou(*both)) and math.isnan(hd95(*both))
    assert dice(*both, absent=1.0) == iou(*both, absent=1.0) == 1  # medpy's jc


def test_distance_scales_with_the_spacing_and_not_with_the_frame():
    pred, target = pair("overlap")
    assert hd95(pred, target, spacing=2.5) == pytest.approx(2.5 * hd95(pred, target))
    frame = [np.pad(mask, 7) for mask in (pred, target)]
    inner = [mask.copy() for mask in (pred, target)]
    for mask in inner:  # away from the border, where a frame makes no difference
        mask[[0, -1]] = mask[:, [0, -1]] = False
    assert hd95(*(np.pad(mask, 7) for mask in inner)) == hd95(*inner)
    assert dice(*frame) == dice(pred, target)


def test_the_farthest_five_percent_do_not_count():
    pred, target = pair("outlier_pixel")
    full = hausdorff_distance(*(torch.from_numpy(m)[None, None].int() for m in (pred, target)), num_classes=1)
    assert hd95(pred, target) == 0 < full.item()


def test_masks_may_be_tensors_or_zeros_and_ones():
    pred, target = pair("overlap")
    as_numbers = torch.from_numpy(pred).to(torch.uint8), target.astype(np.int64)
    assert dice(*as_numbers) == dice(pred, target) and hd95(*as_numbers) == hd95(pred, target)


@pytest.mark.parametrize("metric", [dice, iou, hd95, swin_unet_scores, pixel_error, rand_error])
def test_masks_that_do_not_fit(metric):
    with pytest.raises(ValueError, match="\\(3, 3\\) and truth of shape \\(3, 4\\)"):
        metric(np.ones((3, 3), bool), np.ones((3, 4), bool))
    with pytest.raises(ValueError, match="0 to 2; expected booleans"):
        metric(np.array([[0, 1, 2]]), np.ones((1, 3), bool))


@pytest.mark.parametrize("spacing", [0, (1, -1), (1, 1, 1)])
def test_wrong_spacing(spacing):
    with pytest.raises(ValueError, match="each of 2 axes"):
        hd95(*pair("overlap"), spacing=spacing)


@pytest.fixture
def ids():
    target = torch.randint(4, (3, 20, 30))
    pred = torch.where(torch.rand(target.shape) < 0.6, target, torch.randint(4, target.shape))
    target[0, :5] = 255
    return pred, target


def test_confusion_and_what_follows_from_it_are_scikit_learns(ids):
    pred, target = ids
    counts = confusion(pred, target, 4)
    counted = target != 255
    t, p = target[counted].numpy(), pred[counted].numpy()
    assert counts.dtype == torch.int64
    np.testing.assert_array_equal(counts, confusion_matrix(t, p))
    np.testing.assert_allclose(class_iou(counts), jaccard_score(t, p, average=None))
    np.testing.assert_allclose(class_dice(counts), f1_score(t, p, average=None))
    assert mean_iou(counts) == pytest.approx(jaccard_score(t, p, average="macro"))
    assert mean_dice(counts) == pytest.approx(f1_score(t, p, average="macro"))
    assert pixel_accuracy(counts) == pytest.approx(accuracy_score(t, p))


def test_class_scores_are_those_of_the_masks(ids):
    pred, target = (array[1].numpy() for array in ids)
    counts = confusion(pred.astype(np.uint8), target.astype(np.uint8), 4)
    for k in range(4):
        assert class_dice(counts)[k] == pytest.approx(dice(pred == k, target == k))
        assert class_iou(counts.numpy())[k] == pytest.approx(iou(pred == k, target == k))


def test_counts_add_up_and_ignored_pixels_may_hold_anything(ids):
    pred, target = ids
    parts = sum(confusion(p, t, 4) for p, t in zip(pred, target, strict=True))
    torch.testing.assert_close(parts, confusion(pred, target, 4))
    torch.testing.assert_close(confusion(pred.where(target != 255, 99), target, 4), parts)
    assert confusion(pred, torch.full_like(target, 255), 4).sum() == 0


def test_absent_classes_are_left_out_of_the_means():
    target = torch.tensor([[0, 0, 1, 1]])
    pred = torch.tensor([[0, 0, 1, 3]])  # class 2 is neither there nor predicted, 3 is predicted only
    counts = confusion(pred, target, 4)
    np.testing.assert_allclose(class_iou(counts), [1, 0.5, math.nan, 0])
    np.testing.assert_allclose(class_dice(counts), [1, 2 / 3, math.nan, 0])
    assert mean_iou(counts) == pytest.approx(0.5) and mean_dice(counts) == pytest.approx(5 / 9)
    empty = np.zeros((4, 4), int)
    assert all(math.isnan(score(empty)) for score in (mean_iou, mean_dice, pixel_accuracy))


def test_wrong_class_ids(ids):
    pred, target = ids
    with pytest.raises(ValueError, match="truth has the class ids \\[3\\]; expected 0 to 2"):
        confusion(pred.clamp(max=2), target, 3)
    with pytest.raises(ValueError, match="prediction has the class ids \\[9\\]"):
        confusion(torch.full_like(pred, 9), target, 4)
    with pytest.raises(ValueError, match="differ"):
        confusion(pred[0], target, 4)
    with pytest.raises(ValueError, match="expected \\(classes, classes\\)"):
        class_iou(np.zeros(4))


def halves(width=12, wall=6):
    """Two cells with a membrane of one pixel between them."""
    mask = np.ones((6, width), bool)
    mask[:, wall] = False
    return mask


def pair_f(pred, truth):
    """1 - F counted pair by pair, for pixels in cells of the truth."""
    inside = truth > 0
    p, t = pred[inside], truth[inside]
    same_t = (t[:, None] == t) & ~np.eye(len(t), dtype=bool)
    # A pixel of the predicted membrane is a segment of its own kind: number 0.
    same_p = (p[:, None] == p) & ~np.eye(len(p), dtype=bool)
    both = (same_t & same_p).sum()
    return 1 - 2 * both / (same_t.sum() + same_p.sum())


def test_rand_error_counts_pairs():
    truth, merged, split = halves(), halves(), halves()
    merged[3, 6] = True  # one hole in the membrane makes one cell of two
    split[:, 2] = False
    from scipy.ndimage import label

    assert rand_error(truth, truth) == 0
    for pred in (merged, split):
        assert rand_error(pred, truth) == pytest.approx(pair_f(label(pred)[0], label(truth)[0]), abs=1e-12)
    assert rand_error(merged, truth) > 0.3 > pixel_error(merged, truth) == pytest.approx(1 / 72)
    assert math.isnan(rand_error(truth, np.zeros_like(truth)))
