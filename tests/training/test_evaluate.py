"""What a result of `evaluate` and `fit` looks like at the end of a cell."""

import numpy as np
import pytest

from compactlib.training import Evaluation, FitResult, MaskEvaluation


def test_a_result_is_a_line_with_its_numbers():
    probabilities = np.tile(np.float32([0.9, 0.1]), (50_000, 1))
    found = Evaluation(0.105, 0.98761, np.zeros(50_000, np.int64), probabilities)
    assert repr(found) == "Evaluation(loss=0.105, accuracy=0.9876; 50,000 images, 2 classes)"
    masks = MaskEvaluation(0.3, np.array([[6, 2], [1, 3]]), np.zeros((4, 640, 480), np.uint8))
    assert masks.mean_iou == pytest.approx((6 / 9 + 3 / 6) / 2)
    numbers = "loss=0.3, mean_iou=0.5833, mean_dice=0.7333, accuracy=0.7500"
    assert repr(masks) == f"MaskEvaluation({numbers}; 4 images of 640 x 480 pixels, 2 classes)"
    rows = [dict(epoch=e, train_loss=1 / e) for e in range(1, 301)]
    assert repr(FitResult(rows, 250, 1234.56, 2.0)) == "FitResult(300 epochs, best_epoch=250, seconds=1234.6)"


def test_a_result_of_nothing_is_a_line_as_well():
    empty = MaskEvaluation(float("nan"), np.zeros((3, 3), np.int64), np.zeros((0, 8, 8), np.uint8))
    assert repr(empty).startswith("MaskEvaluation(loss=nan, mean_iou=nan") and "0 images" in repr(empty)
