"""Which number in a set of masks is which class: one rule for folders, patches and arrays.

The whole set is looked at before anything is decided. What can mean one thing only is taken, and said; for anything
else there is an error that proposes the argument to give. Nothing here reads a file.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

IGNORE = 255  # in a mask: no class is known
WHITE = (255, 65535)  # what image programs write for 1 in masks of 8 and 16 bits
SHOWN = 12  # values that an error lists

Number = int | float


def show_number(value: Number) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


@dataclass(frozen=True)
class ClassValues:
    """ids: which number in the masks is which class id (255: ignored). remarks: sentences on what was taken for granted
    and what is missing, to be passed on as warnings."""

    ids: dict[Number, int]
    remarks: tuple[str, ...] = ()


def value_counts(numbers: np.ndarray) -> dict[Number, int]:
    """How often each number occurs in an array; whole numbers as int. NaN is left out: it is a pixel without data."""
    if numbers.dtype.kind == "b" or numbers.dtype in (np.uint8, np.uint16):
        counts = np.bincount(numbers.ravel())
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    flat = numbers.ravel()
    starts = np.flatnonzero(np.append(True, flat[1:] != flat[:-1])) if flat.size else np.empty(0, np.int64)
    found, runs = np.unique(flat[starts], return_inverse=True)  # of runs: masks have long ones, and sorting is slow
    counts = np.bincount(runs, np.diff(starts, append=flat.size), len(found)).astype(np.int64)
    pairs = zip(found.tolist(), counts.tolist(), strict=True)
    return {int(value) if value == value // 1 else value: count for value, count in pairs if value == value}


def class_values(
    counts: Mapping[Number, int],
    class_names: Sequence[str] | None = None,
    values: Mapping[Number, int | str] | None = None,
    *,
    hidden: Collection[Number] = (),
    never_together: bool = False,
    where: str = "the masks",
    first: Mapping[Number, str] | None = None,
    show: Callable[[Number], str] = show_number,
    argument: str = "values",
) -> ClassValues:
    """Decide from the numbers of all masks of a set which is which class.

    counts: how many pixels of the whole set have each number (see `value_counts`; add those of all masks), without the
        pixels that the files call missing. hidden: the numbers of those pixels.
    class_names: of the classes 0, 1, ...; None where they are not known: then every whole number from 0 to 254 may be
        an id.
    values: what the user says, number -> class id, class name or 255; None: the numbers are the ids and 255 is ignored,
        unless they cannot be.
    never_together: no single mask has both 1 and 255. where, first: how errors call the masks, and the one with a
        number. show, argument: how they write a number, and the name of the argument that they propose.

    Raises ValueError for numbers that have no class, or could have several, with a proposal.
    """
    if values is not None:
        ids = _given(values, class_names, show, argument)
        if unknown := [value for value in counts if value not in ids]:
            raise ValueError(
                f"{_unknown(unknown, show, where, first)}; {argument} has {_known(ids, class_names, show)}. Name each "
                "of them there: a class, or 255 to ignore it."
            )
        named = [value for value in hidden if value in ids]  # a pixel counts where its number has been named
        return ClassValues(ids, _absent([*counts, *named], ids, class_names, where))
    ids, remarks = _numbers(counts, class_names, frozenset(hidden), never_together, where)
    if unknown := [value for value in counts if value not in ids]:
        raise ValueError(
            f"{_unknown(unknown, show, where, first)}; known are {_known(ids, class_names, show)}. "
            f"{_proposal(sorted(counts), class_names and len(class_names))}"
        )
    return ClassValues(ids, remarks + _absent(counts, ids, class_names, where))


def _given(values: Mapping, class_names: Sequence[str] | None, show: Callable, argument: str) -> dict[Number, int]:
    """The user's values with class names turned into ids. Raises ValueError for a class that there is not."""
    highest = IGNORE - 1 if class_names is None else len(class_names) - 1
    names = {} if class_names is None else {name: index for index, name in enumerate(class_names)}
    ids = {value: names.get(given, given) if isinstance(given, str) else given for value, given in values.items()}
    wrong = {
        show(value): given
        for value, given in ids.items()
        if isinstance(given, (str, bool)) or given not in (*range(highest + 1), IGNORE)
    }
    if wrong or not ids:
        found = ", ".join(f"{value}: {given!r}" for value, given in wrong.items())
        raise ValueError(
            f"{argument} must map to class indices from 0 to {highest}, or to 255 (ignore)"
            f"{' or to names of classes' if names else ''}, not {{{found}}}."
        )
    return {value: int(given) for value, given in ids.items()}


def _numbers(
    counts: Mapping[Number, int], class_names: Sequence[str] | None, hidden: frozenset, never_together: bool, where: str
) -> tuple[dict[Number, int], tuple[str, ...]]:
    """The ids of masks about which the user has said nothing."""
    found, classes = sorted(counts), None if class_names is None else len(class_names)
    ids = {index: index for index in range(IGNORE if classes is None else classes)} | {IGNORE: IGNORE}
    if lost := sorted(value for value in hidden - counts.keys() if value in ids and value != IGNORE):
        both = ", ".join(map(str, lost))
        named = dict.fromkeys(found, None) | dict.fromkeys(lost, None)
        taken = {value: ids.get(value, IGNORE) for value in sorted(named)}
        raise ValueError(
            f"{where} mark every pixel of the value {both} as missing (nodata or transparent), which would be ignored. "
            f"Give values={taken} if it is a class, or values={taken | dict.fromkeys(lost, IGNORE)} to ignore it."
        )
    if not found or found == [IGNORE]:
        raise ValueError(
            f"{where} have no pixel of a known class: all {'is 255, which means ignored' if found else 'is missing'}. "
            "Give values={255: 1} if it is a class."
        )
    if classes == 2 and len(found) == 2 and found[0] == 0 and found[1] in WHITE:
        one = f"{where}: 0 was taken as {class_names[0]!r} and {found[1]} as {class_names[1]!r}"
        return {0: 0, found[1]: 1}, (f"{one}. Give values={{0: 0, {found[1]}: 1}} to say so yourself.",)
    if found == [0, IGNORE]:
        raise ValueError(
            f"{where} hold 0 and 255, and 255 means that no class is known. Give values={{0: 0, 255: 1}} if 255 is a "
            "class, or values={0: 0, 255: 255} to ignore it."
        )
    if classes == 2 and found == [0, 1, IGNORE] and never_together:
        raise ValueError(
            f"{where}: some hold 0 and 1, others 0 and 255, none 1 and 255. Give values={{0: 0, 1: 1, 255: 1}} if both "
            "are the same class, or values={0: 0, 1: 1, 255: 255} to ignore 255."
        )
    return ids, ()


def _proposal(found: list[Number], classes: int | None) -> str:
    """What to do about numbers that are no ids: the argument to give, where one is likely."""
    labels = [value for value in found if value != IGNORE]
    ignored = {IGNORE: IGNORE} if IGNORE in found else {}
    if any(value != value // 1 for value in found):
        return "A mask holds whole numbers: probabilities have to be cut at a threshold first (mask > 0.5)."
    if classes is None:
        return "Give values={number in the file: class id, ...}."
    if labels[0] >= 1 and labels[-1] == classes:
        return f"If they count from 1, give values={ {i + 1: i for i in range(classes)} | ignored }."
    if labels == list(range(classes + 1)):
        counted = {0: IGNORE} | {i + 1: i for i in range(classes)} | ignored
        return f"If 0 is what has no label, give values={counted}; or name one more class."
    if classes == 2 and found == list(range(len(found))):
        return f"If they number the objects, give values={{0: 0}} | dict.fromkeys(range(1, {len(found)}), 1)."
    if classes == 2 and len(found) > 3 and found[0] >= 0 and 200 < found[-1] <= 255:
        return (
            "If they are a blurred 0 and 255 (JPEG, resized), give values={v: int(v > 127) for v in range(256)}; "
            "masks want PNG or TIFF and the nearest pixel."
        )
    if len(found) > max(SHOWN, classes):
        return "Are these masks? Masks have a number for each class; JPEG changes numbers, so save them as PNG or TIFF."
    if set(range(classes)) < set(found):
        ids = {value: value if value in range(classes) else IGNORE for value in found}
        return f"To ignore what is no class, give values={ids}; or name more classes."
    exact = found if len(found) == classes else labels
    ids = {value: index if index < classes else IGNORE for index, value in enumerate(exact)}
    return f"If this is their order, give values={ids if exact is found else ids | ignored}."


def _absent(
    found: Collection[Number], ids: Mapping[Number, int], class_names: Sequence[str] | None, where: str
) -> tuple[str, ...]:
    """A sentence that names the classes of which there is no pixel."""
    present = {ids[value] for value in found}
    absent = [f"{name!r} ({index})" for index, name in enumerate(class_names or ()) if index not in present]
    if not absent:
        return ()
    more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
    kind = "class" if len(absent) == 1 else "classes"
    return (f"{where} have no pixel of the {kind} {', '.join(absent[:SHOWN])}{more}: no model can learn it from them.",)


def _unknown(unknown: list[Number], show: Callable, where: str, first: Mapping[Number, str] | None) -> str:
    lowest = min(unknown)
    place = f" ({show(lowest)} first in {first[lowest]})" if first else ""
    return f"{where}: unknown {'value' if len(unknown) == 1 else 'values'} {_list(unknown, show)}{place}"


def _list(values: Collection[Number], show: Callable[[Number], str]) -> str:
    shown = [show(value) for value in sorted(values)[:SHOWN]]
    return ", ".join(shown) + (f", ... ({len(values):,} in all)" if len(values) > SHOWN else "")


def _known(ids: Mapping[Number, int], class_names: Sequence[str] | None, show: Callable[[Number], str]) -> str:
    if class_names is None:
        return "0 to 254, and 255 (ignored)" if len(ids) > IGNORE else _list(ids, show)
    known = [f"{show(v)} ({'ignored' if i == IGNORE else class_names[i]})" for v, i in sorted(ids.items())]
    return ", ".join(known[:SHOWN]) + (", ..." if len(known) > SHOWN else "")
