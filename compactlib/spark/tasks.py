"""Tasks by number: of a million of them none exists before it is dealt."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compactlib.spark.measure import Task

AT_ONCE = 1 << 14  # names


class Chosen(Sequence[Task]):
    """Some of the tasks of a sequence, in the order of `numbers`; each is made when it is asked for."""

    def __init__(self, tasks: Sequence[Task], numbers: np.ndarray):
        self.tasks, self.numbers = tasks, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Task:
        return self.tasks[int(self.numbers[index])]


def files_in(folder: Path) -> Iterator[list[str]]:
    """Names of the files in a folder, some thousands at a time: one listing, where a question for each name would cost
    as many answers from a disk that may be in another room. Of names in ASCII only, as ours are. None if there is no
    such folder."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        names = (entry.name for entry in entries if entry.name.isascii() and entry.is_file())
        while some := list(islice(names, AT_ONCE)):
            yield some


def padded(name: str, digits: int) -> str:
    """A pattern for a number of this name, as it is written with so many digits at least."""
    return f"(?P<{name}>[0-9]{{{digits}}}|[1-9][0-9]{{{digits},8}})"


def numbers_in(names: list[str], pattern: str) -> list[np.ndarray]:
    """The numbers in those of the names that have this pattern, an array for each of its groups."""
    found = pc.extract_regex(pa.array(names, pa.string()), f"^{pattern}$").drop_null()
    return [pc.cast(values, pa.int64()).to_numpy() for values in found.flatten()]
