"""What a reader is: a function from the files of a source to arrays. Its name stands in the card.

It takes the paths of the files by name, the card and `img_size`, and returns for "train", "test" and, where the set
has one, "val" (or "all" where it has no split): images uint8 (n, h, w, c), and labels int64 (n,) or masks uint8
(n, h, w); with masks perhaps also which pixels have no data, bool (n, h, w).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .cards import Card

Arrays = tuple[np.ndarray, ...]
Paths = dict[str, Path]


@dataclass(frozen=True)
class Reader:
    """slow: worth keeping the decoded arrays. sized: decodes to `img_size` itself, pictures having no common size."""

    read: Callable[[Paths, Card, int | None], dict[str, Arrays]]
    slow: bool = False
    sized: bool = False
