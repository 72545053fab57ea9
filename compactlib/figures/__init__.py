"""The course's pictures: the common ones here; `masks`, `scenes`, `overviews`, `ablations` have those of a subject."""

from compactlib.figures.basic import (
    COLOURS,
    MARKERS,
    SMALL,
    STYLE,
    bars,
    confusion,
    curves,
    evidence,
    heat_over,
    images,
    matrix,
    patches,
    plt,
    predictions,
    style,
    words,
)

__all__ = [
    "COLOURS",
    "MARKERS",
    "SMALL",
    "STYLE",
    "bars",
    "confusion",
    "curves",
    "evidence",
    "heat_over",
    "images",
    "matrix",
    "patches",
    "plt",
    "predictions",
    "style",
    "words",
]
