"""The exercises of notebook 09. Each is checked on numbers that the notebook does not show."""

from typing import Any

import numpy as np
import torch

from compactlib.lab.checks.registry import NotYet, as_tensor, call, exercise, same_number, same_tensor


@exercise("09.1")
def gigabytes_of_scores(answer: Any) -> None:
    """24,000 x 24,000 pixels, 5 classes, 4 bytes."""
    same_number(
        answer,
        11.52,
        {
            2.88: "A float32 has four bytes.",
            2.304: "There is a score for each class.",
            0.576: "That is one byte for each pixel: the mask.",
            23.04: "A float32 has four bytes, not eight.",
            11.52e9: "That is in bytes; a gigabyte has a thousand million of them.",
            11_520: "That is in megabytes.",
        },
        "Pixels times classes times the bytes of a float32, in units of a thousand million bytes.",
    )


@exercise("09.2")
def mean_of_probabilities(function: Any) -> None:
    """The class whose mean softmax probability is highest, where votes and mean scores say something else."""
    rng = np.random.default_rng(7)
    scores = rng.normal(size=(3, 40, 30, 4)) * np.array([1.0, 2.0, 6.0])[:, None, None, None]
    raw = torch.from_numpy(scores)
    votes = torch.nn.functional.one_hot(raw.argmax(-1), 4).sum(0).argmax(-1)
    hints = {
        "Those are the means of the raw scores (or the products of the probabilities, which rank alike). Make "
        "probabilities first, then take their mean: one model's scores may be larger.": raw.mean(0).argmax(-1),
        "That is a vote of the models: one that is sure counts as much as one that is not.": votes,
        "That is the class of the first model alone.": raw[0].argmax(-1),
    }
    right = raw.softmax(-1).mean(0)
    answer = as_tensor(call(function, scores.copy()))
    if answer.shape == right.shape:
        raise NotYet("Those are scores for each class. Return the best class of each pixel, (h, w).")
    same_tensor(answer, right.argmax(-1), hints, "Softmax over the classes, mean over the models, then the best class.")


@exercise("09.3")
def iou_by_windows(function: Any) -> None:
    """Pixels of all windows together, the unknown ones left out; one window has no pixel of the class."""
    rng = np.random.default_rng(7)
    pairs = []
    for share, side in ((0.9, 12), (0.2, 30), (0.0, 20)):
        true = np.where(rng.random((side, side)) < share, 2, rng.integers(0, 2, (side, side))).astype(np.uint8)
        found = np.where(rng.random((side, side)) < 0.3, rng.integers(0, 3, (side, side)), true).astype(np.uint8)
        true[: side // 4] = 255
        pairs.append((found, true))

    def counted(label: int, known: bool) -> list[tuple[int, int]]:
        """(both, either) of each window."""
        rows = []
        for found, true in pairs:
            p, t = (found == label) & ((true != 255) if known else True), true == label
            rows.append((int((p & t).sum()), int((p | t).sum())))
        return rows

    rows, loose = counted(2, True), counted(2, False)
    both, either = (sum(column) for column in zip(*rows, strict=True))
    means = np.mean([b / e for b, e in rows if e])
    same_number(
        call(function, iter([(found.copy(), true.copy()) for found, true in pairs]), 2),
        both / either,
        {
            float(means): "That is the mean of the windows' IoU. Sum the pixels of all windows first, divide once.",
            float(np.mean([b / max(1, e) for b, e in rows])): (
                "That is the mean of the windows' IoU. Sum the pixels of all windows first, divide once."
            ),
            both / sum(e for _, e in loose): "Pixels whose truth is 255 do not count, whatever was found there.",
            2 * both / (either + both): "That is Dice. IoU divides by the pixels in at least one of the two.",
            both
            / sum(int((t == 2).sum()) for _, t in pairs): "That is the recall: you divide by the true pixels only.",
        },
        "Over all windows, count the known pixels that are in both and those in at least one; divide at the end. "
        "The windows come once: read them in one loop.",
    )


@exercise("09.4")
def enough_halo(function: Any) -> None:
    """The smallest halo from which on nothing differs: errors that hide in a mean, have a sign, or come back."""
    rng = np.random.default_rng(7)
    whole = rng.normal(size=(24, 24, 3))

    def tiled(errors: dict[int, float]) -> Any:
        def predict(halo: int) -> np.ndarray:
            scores = whole.copy()
            scores[8, 5, 1] += errors[halo]  # one pixel, one class
            return scores

        return predict

    falling = {0: -2.0, 4: 0.9, 8: -0.3, 12: 0.02, 16: -1e-6, 20: 0.0}
    hints = {
        0: "A mean hides a seam, and errors have a sign: take the largest absolute difference.",
        4: "A mean hides a seam, and errors have a sign: take the largest absolute difference.",
        8: "A mean hides a seam: take the largest absolute difference.",
        12: "One score still differs by more than `limit`: take the largest absolute difference.",
        20: "A smaller halo is enough: differences up to `limit` are rounding.",
    }
    right = call(function, tiled(falling), whole, [12, 0, 20, 8, 16, 4])
    same_number(right, 16, hints, "Return the halo itself, the smallest one that is enough.")
    back = {0: 1.0, 4: 1e-9, 8: 0.5, 12: 1e-9, 16: 0.0}
    same_number(
        call(function, tiled(back), whole, [0, 4, 8, 12, 16]),
        12,
        {4: "*From which on*: with 4 nothing differs, but with 8 it does again. That was luck."},
        "All larger candidates must be enough as well.",
    )
    same_number(
        call(function, tiled(falling), whole, [0, 4, 8, 12, 16, 20], 0.5),
        8,
        {16: "`limit` is an argument; do not write 0.001."},
        "`limit` is an argument: here it is 0.5.",
    )
