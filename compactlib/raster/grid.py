"""The grid of patches over a scene: where each patch stands, what is read for it, and which pixels it owns."""

import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from .windows import Window

BORDERS = ("reflect", "constant", "drop")
LARGEST_ALIGNED = 32  # patches a side; a block above that is not worth its alignment, and is UNALIGNED patches a side
UNALIGNED = 16


@dataclass(frozen=True)
class Block:
    """A rectangle of patches that one task cuts: its first row and column in the grid, and its sides in patches."""

    row: int
    column: int
    rows: int
    columns: int

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(row, column) of its patches in the grid, row by row."""
        for row in range(self.row, self.row + self.rows):
            for column in range(self.column, self.column + self.columns):
                yield row, column


@dataclass(frozen=True, eq=False)
class Blocks(Sequence[Block]):
    """The blocks of a grid of `shape` (rows, columns of patches), row by row, each made when it is asked for.

    A block has `rows` x `columns` patches, those at the end of a row or a column what is left. down, across: how many
    blocks there are. Equal to any sequence of the same blocks.
    """

    shape: tuple[int, int]
    rows: int
    columns: int

    @property
    def down(self) -> int:
        """Rows of blocks."""
        return -(-self.shape[0] // self.rows)

    @property
    def across(self) -> int:
        """Columns of blocks."""
        return -(-self.shape[1] // self.columns)

    def __len__(self) -> int:
        return self.down * self.across

    def __getitem__(self, index: int) -> Block:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        row, column = divmod(range(len(self))[index], self.across)
        row, column = row * self.rows, column * self.columns
        return Block(row, column, min(self.rows, self.shape[0] - row), min(self.columns, self.shape[1] - column))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(operator.eq, self, other))


@dataclass(frozen=True)
class Grid:
    """Patches of `size` x `size` pixels, `step` apart, over a scene of `height` x `width` pixels.

    halo: pixels around each patch that are read and stored with it, as context for a model.
    border: what happens where the scene ends. "reflect" and "constant": the last row and column of patches reach
    beyond the scene, and a reader mirrors it there or gives zeros. "drop": only patches that lie inside the scene;
    what they leave at the right and the bottom belongs to no patch.

    Iterating gives (row, column) of each patch, row by row; len() is their number. Raises ValueError for numbers that
    are not whole, a step above the size (pixels would be left out), an unknown border, a halo that mirrors more than
    the scene has, and a dropped border around a scene smaller than a patch.
    """

    height: int
    width: int
    size: int
    step: int
    halo: int = 0
    border: str = "reflect"

    def __post_init__(self) -> None:
        for name, least in {"height": 1, "width": 1, "size": 1, "step": 1, "halo": 0}.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ValueError(f"{name}={value!r}: expected a whole number of pixels, {least} or more")
            object.__setattr__(self, name, int(value))  # NumPy's integers do not go into JSON
        if self.step > self.size:
            raise ValueError(
                f"step={self.step} is above size={self.size}: pixels would be left out; expected step <= size"
            )
        if self.border not in BORDERS:
            raise ValueError(f"border={self.border!r} is not known; expected one of {', '.join(BORDERS)}")
        shorter = min(self.height, self.width)
        most = shorter if self.border == "constant" else shorter - 1  # the border pixel itself is not mirrored
        if self.halo > most:
            raise ValueError(
                f"halo={self.halo} is larger than the scene of {self.height} x {self.width} pixels gives at its "
                f"border; expected {most} or less"
            )
        if self.border == "drop" and shorter < self.size:
            raise ValueError(
                f"The scene of {self.height} x {self.width} pixels is smaller than a patch of {self.size} x "
                f'{self.size}, and border="drop" keeps whole patches only; choose a smaller size or border="reflect"'
            )

    @property
    def rows(self) -> int:
        """Rows of patches."""
        return self._count(self.height)

    @property
    def columns(self) -> int:
        """Columns of patches."""
        return self._count(self.width)

    def __len__(self) -> int:
        return self.rows * self.columns

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(Block(0, 0, self.rows, self.columns))

    def patch(self, row: int, column: int) -> Window:
        """The pixels of a patch: size x size, from row * step and column * step; the last may reach beyond the scene.

        Raises IndexError for a patch that the grid does not have.
        """
        if not (0 <= row < self.rows and 0 <= column < self.columns):
            raise IndexError(f"no patch ({row}, {column}) in a grid of {self.rows} x {self.columns} patches")
        return Window(row * self.step, column * self.step, self.size, self.size)

    def source(self, row: int, column: int) -> Window:
        """The pixels that are read and stored for a patch: the patch with its halo, size + 2 * halo a side."""
        return self.patch(row, column).grown(self.halo)

    def core(self, row: int, column: int) -> Window:
        """The pixels that a patch owns: it shares the overlap with its neighbours in the middle (the odd pixel of an
        overlap goes to the later one); the first and the last reach to the scene's edge.

        Cores cover each pixel of the scene exactly once; with border="drop", of the part that patches cover.
        """
        self.patch(row, column)  # is it there?
        top, bottom = self._core(row, self.rows, self.height)
        left, right = self._core(column, self.columns, self.width)
        return Window(top, left, bottom - top, right - left)

    def block_side(self, tile: int, at_least: int = 8) -> int:
        """Patches a side of a block for one task, so that blocks start at multiples of the TIFF's tile of `tile` pixels
        and no tile is decoded by more tasks than its overlap asks.

        One patch per read costs many times the decoding; hence `at_least`. Where step and tile share so few factors
        that an aligned block would be above 32 patches a side, blocks are not aligned.
        """
        factor = tile // math.gcd(self.step, tile)
        side = -(-at_least // factor) * factor
        return side if side <= max(LARGEST_ALIGNED, at_least) else max(UNALIGNED, at_least)

    def blocks(self, rows: int, columns: int) -> Blocks:
        """The grid cut into blocks of `rows` x `columns` patches, row by row; those at the end are smaller."""
        for name, value in {"rows": rows, "columns": columns}.items():
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name}={value!r}: expected a whole number of patches, 1 or more")
        return Blocks((self.rows, self.columns), int(rows), int(columns))

    def block_source(self, block: Block) -> Window:
        """The pixels that the patches of a block need, with their halo."""
        first = self.source(block.row, block.column)
        last = self.source(block.row + block.rows - 1, block.column + block.columns - 1)
        return Window(first.y, first.x, last.y + last.height - first.y, last.x + last.width - first.x)

    def _count(self, length: int) -> int:
        beyond_first = length - self.size
        if self.border == "drop":
            return beyond_first // self.step + 1
        return max(0, -(-beyond_first // self.step)) + 1  # rounded up

    def _core(self, index: int, count: int, length: int) -> tuple[int, int]:
        """Start and stop of a core on an axis of `count` patches and `length` pixels."""
        shared = (self.size - self.step) // 2
        end = (count - 1) * self.step + self.size if self.border == "drop" else length
        start = index * self.step + shared if index else 0
        return start, (index + 1) * self.step + shared if index < count - 1 else end


def stitch(grid: Grid, patches: Iterable[tuple[int, int, np.ndarray]], out: Any) -> Any:
    """Put patches together: the core of each goes into `out`, so the result does not depend on their order.

    patches: (row, column, pixels) with pixels (size, size, ...), without halo. out: (height, width, ...), an array or
    anything that is assigned by slices. Returns `out`. Values are copied as they are: class maps stay exact. Raises
    ValueError for a shape that does not fit the grid.
    """
    if tuple(out.shape[:2]) != (grid.height, grid.width):
        raise ValueError(f"out has the shape {tuple(out.shape)}; the grid is over {grid.height} x {grid.width} pixels")
    for row, column, pixels in patches:
        if pixels.shape[:2] != (grid.size, grid.size):
            raise ValueError(
                f"patch ({row}, {column}) has the shape {pixels.shape}; expected {grid.size} x {grid.size} pixels, "
                "without the halo"
            )
        patch, core = grid.patch(row, column), grid.core(row, column)
        top, left = core.y - patch.y, core.x - patch.x
        out[core.slices] = pixels[top : top + core.height, left : left + core.width]
    return out
