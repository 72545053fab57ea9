"""All masks of a set are looked at before one of them is read for good: what they hold together decides."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from .errors import BadPair
from .mask_files import BITS, MaskRule, Numbers, pack, read_numbers, read_or_refuse, unpack
from .mask_values import IGNORE, SHOWN, Number, class_values, show_number, value_counts

MANY = 100_000  # different numbers in a set, beyond which these are no masks
QUICK = 20  # seconds; only what takes longer shows a progress bar


@dataclass
class Survey:
    """What the masks of a set hold. counts: pixels of each number. hidden: numbers of pixels that the files call
    missing. first: the file in which a number was first seen. coloured: the first file with colours. together: whether
    a mask has both 1 and 255. palette: the colour that the files give an index, and the first file that does. clash: an
    index, its colour in one file, that file, and its colour in another one, that file."""

    counts: Counter = field(default_factory=Counter)
    hidden: set = field(default_factory=set)
    first: dict[Number, str] = field(default_factory=dict)
    coloured: str = ""
    together: bool = False
    palette: dict[int, tuple[tuple, str]] = field(default_factory=dict)
    clash: tuple = ()

    def add(self, name: str, counts: Mapping[Number, int], hidden: Mapping, coloured: bool, palette: Mapping) -> None:
        """Add what one mask holds. Raises BadPair for what cannot be a set of masks any more."""
        if coloured and not self.coloured:
            self.coloured = name
            self.counts.clear()  # from here on colours are counted
        if coloured == bool(self.coloured):
            self.counts.update(counts)
            self.hidden.update(hidden)
            for value in counts:
                self.first.setdefault(value, name)
        self.together |= 1 in counts and IGNORE in counts
        for index, colour in palette.items():
            before = self.palette.setdefault(index, (colour, name))
            if before[0] != colour and not self.clash:
                self.clash = index, *before, colour, name
        if len(self.counts) > MANY:
            raise BadPair(
                f"The masks up to {name} hold more than {MANY:,} {'colours' if self.coloured else 'numbers'}. A mask "
                "has one for each class; JPEG changes them, so save masks as PNG or TIFF."
            )


def survey(files: Sequence[Path], channels: int, label: str) -> Survey:
    """Look at the masks in `files`. channels: as of MaskRule. Raises BadPair for a file that is no mask."""

    def look(path: Path) -> tuple:
        mask = read_numbers(path, str(path), channels)
        hidden = value_counts(mask.numbers[mask.missing])
        return value_counts(mask.numbers[~mask.missing]), hidden, mask.coloured, _palette(path, mask, channels)

    found = Survey()
    with (
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
        tqdm(pool.map(look, files), label, len(files), leave=False, delay=QUICK) as results,
    ):
        for path, result in zip(files, results, strict=True):
            found.add(str(path), *result)
    return found


def mask_rule(
    files: Sequence[Path],
    class_names: tuple[str, ...],
    values: Mapping[Number, int | str] | None,
    colours: Mapping[tuple[int, ...], int | str] | None,
    where: str,
) -> tuple[MaskRule, tuple[str, ...]]:
    """How the masks in `files` are read, after a look at all of them, and remarks on it; the arguments are those of
    `from_folder`. Raises BadPair where they can mean several things or none."""
    channels = len(next(iter(colours))) if colours else 0
    found = survey(files, channels, f"{where}: looking at")
    if found.coloured and not colours:
        raise BadPair(_name_colours(found, len(class_names)))
    if found.clash and values is None and not colours:
        index, first, first_name, other, other_name = found.clash
        raise BadPair(
            f"{where}: the index {index} is the colour {first} in the palette of {first_name} and {other} in that of "
            f"{other_name}. Give colours={{{first}: class, ...}} if the colours say the class, or values={{{index}: "
            "class, ...}} if the indices do."
        )
    named = {"values": values, "show": show_number, "argument": "values"}
    if colours:
        packed = {int(pack(np.array(colour))): target for colour, target in colours.items()}
        named = {"values": packed, "show": lambda n: str(unpack(n, channels)), "argument": "colours"}
    try:
        taken = class_values(
            found.counts,
            class_names,
            **named,
            hidden=found.hidden,
            never_together=not found.together,
            where=where,
            first=found.first,
        )
    except ValueError as error:
        raise BadPair(str(error)) from error
    return MaskRule(taken.ids, channels, named=bool(values or colours)), taken.remarks


def check_colours(colours: Mapping, class_names: tuple[str, ...]) -> None:
    """Raises ValueError for colours that are none, or that have no class."""
    lengths = {len(colour) if isinstance(colour, tuple) else 0 for colour in colours}
    if lengths not in ({3}, {4}) or not all(
        isinstance(part, (int, np.integer)) and 0 <= part < 1 << BITS for colour in colours for part in colour
    ):
        raise ValueError(
            f"colours must map (red, green, blue), all of them perhaps with alpha, to classes, not {dict(colours)}."
        )
    class_values({}, class_names, dict(colours), show=str, argument="colours")


def _palette(path: Path, mask: Numbers, channels: int) -> dict[int, tuple[int, ...]]:
    """The colours that the file has for the indices in it; {} for a file without a palette."""
    if channels or mask.coloured or mask.numbers.dtype != np.uint8 or not _has_palette(path, mask.kind):
        return {}
    pixels = read_or_refuse(path, str(path)).pixels
    if pixels.shape[2] != 3:  # a BMP of greys
        return {}
    indices, places = np.unique(mask.numbers, return_index=True)
    return dict(zip(indices.tolist(), map(tuple, pixels.reshape(-1, 3)[places].tolist()), strict=True))


def _has_palette(path: Path, kind: str) -> bool:
    """Told by the file's header where that is quick."""
    if kind == "PNG":
        with open(path, "rb") as file:
            return file.read(26)[25:] == b"\3"
    if kind == "TIFF":
        from tifffile import TiffFile

        with TiffFile(path) as file:
            return file.pages.first.photometric == 3
    return kind == "BMP"


def _name_colours(found: Survey, classes: int) -> str:
    """The error for coloured masks about whose colours the user has said nothing."""
    black = int(pack(np.zeros(3, np.uint8)))
    ordered = sorted(found.counts, key=lambda number: (number != black, -found.counts[number]))
    total = found.counts.total() or 1
    shown = [f"{unpack(number, 3)} ({found.counts[number] / total:.1%})" for number in ordered[:SHOWN]]
    more = f", ... ({len(ordered):,} in all)" if len(ordered) > SHOWN else ""
    given = {unpack(number, 3): index for index, number in enumerate(ordered[:classes])}
    lossy = " So many come from JPEG or smoothed edges: save masks as PNG, without smoothing." if more else ""
    return (
        f"{found.coloured} is in colour. Say which colour is which class, such as colours={given}, or 255 to ignore "
        f"it; the masks have {', '.join(shown)}{more}.{lossy}"
    )
