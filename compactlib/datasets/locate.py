"""Find a complete, undamaged form of a data set: in COMPACT_DATA, in the cache, or by download into the cache."""

from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from typing import NoReturn

from tqdm.auto import tqdm

from ..paths import cache_dir, data_dir
from .cards import Card, File, Source, names, read_card
from .download import fetch
from .errors import DamagedFile, DatasetNotFound, DownloadFailed

MANY = 8  # files of a source, beyond which messages and progress bars take them together


@dataclass(frozen=True)
class Located:
    """A source and where its files are, by name; their checksums have been verified."""

    source: Source
    paths: dict[str, Path]


def locate(card: Card) -> Located:
    """Find the files of `card`, download them if need be. The order of the card's sources is the order of preference,
    and COMPACT_DATA goes before the cache.

    Raises DamagedFile if a file is there with a wrong checksum: in COMPACT_DATA it is left alone and refused, in the
    cache it is removed where it can be fetched anew. Raises DatasetNotFound if nothing was found and no address
    delivered.
    """
    if not card.files:  # embedded in a library
        return Located(card.sources[0], {})
    cache, data, notes = cache_dir() / card.name, data_dir(), []
    if data is not None and (found := _find(card, [*(data / name for name in card.folders), data], notes)):
        return found
    if found := _find(card, [cache], notes, own=True):
        return found
    return _download(card, cache, data, notes)


def _find(card: Card, roots: list[Path], notes: list[str], *, own: bool = False) -> Located | None:
    """The preferred source whose files lie below a root with the right checksums, None if no source is complete."""
    # Sources with the same file names stand side by side in the card: the checksums decide between them.
    for _, group in groupby(card.sources, lambda source: [file.name for file in source.files]):
        sources = list(group)
        places = {root / folder: root for root, folder in product(roots, (*sources[0].folders, ""))}
        for place, root in places.items():
            top = not own and root == roots[-1]
            if top and place == root and sources[0].in_folder_only and root.name not in _folders(card):
                continue
            if found := _look(card, sources, place, notes, top=top, own=own):
                return found
    return None


def _folders(card: Card) -> set[str]:
    """The names of folders in which files are surely this set's."""
    return {*card.folders, *(name for source in card.sources for name in source.folders)}


def _look(card: Card, sources: list[Source], folder: Path, notes: list[str], *, top: bool, own: bool) -> Located | None:
    """That of the `sources`, all of the same file names, whose files lie in `folder`."""
    files = sources[0].files
    paths = {file.name: folder / file.name for file in files}
    present = [file.name for file in files if file.there(paths[file.name])]
    if len(present) < len(paths):
        # Several files of the cache missing are just an interrupted download; elsewhere the user should know.
        if present and not own:
            missing = ", ".join(name for name in paths if name not in present)
            notes.append(f"{folder} has {', '.join(present)}, but not {missing}")
        return None
    actual = {(f.algorithm, f.name): f.digest(paths[f.name]) for s in sources for f in s.files}
    for source in sources:
        if all(actual[f.algorithm, f.name] == f.checksum for f in source.files):
            return Located(source, paths)
    if top and _belongs_elsewhere(card, paths):
        return None
    return _refuse(card, sources, paths, actual, own)


def _belongs_elsewhere(card: Card, paths: dict[str, Path]) -> bool:
    """Whether the files are those of another set: Fashion-MNIST's have the names of MNIST's."""
    others = [file for name in names() if name != card.name for file in read_card(name).files]
    return any(file.name in paths and file.matches(paths[file.name]) for file in others)


def _refuse(card: Card, sources: list[Source], paths: dict[str, Path], actual: dict, own: bool) -> NoReturn:
    """Raise DamagedFile for the first file that has none of its known checksums."""
    for name, path in paths.items():
        known: list[File] = [file for source in sources for file in source.files if file.name == name]
        if any(actual[file.algorithm, name] == file.checksum for file in known):
            continue
        expected = " or ".join(_sum(file.algorithm, file.checksum, file.bytes) for file in known)
        found = " / ".join(
            _sum(algorithm, actual[algorithm, name], path.stat().st_size) for algorithm in {f.algorithm for f in known}
        )
        if own and known[0].urls:
            path.unlink()
            advice = "It was removed; load again to fetch it anew."
        else:
            advice = "It was left untouched and is not used. Download or unpack it again, or remove it."
        raise DamagedFile(
            f"{path} is damaged or another file than {card.title} needs.\n"
            f"  expected: {expected}\n  actual:   {found}\n{advice}"
        )
    # Each file is a known one, but they come from different copies, whose images may be ordered differently.
    raise DamagedFile(
        f"{next(iter(paths.values())).parent} mixes files of different copies of {card.title} "
        f"({' / '.join(source.title for source in sources)}). Take all of them from one copy."
    )


def _sum(algorithm: str, checksum: str, size: int) -> str:
    """A checksum as an error shows it; the size in bytes where it is known."""
    if algorithm == "pictures":
        return f"{int(checksum):,} pictures"
    return f"{algorithm} {checksum}" + (f" ({size:,} bytes)" if size else "")


def _download(card: Card, cache: Path, data: Path | None, notes: list[str]) -> Located:
    damaged: DamagedFile | None = None
    for source in card.sources:
        if not source.downloadable:
            continue
        try:
            return Located(source, _fetch_all(card, source, cache))
        except DamagedFile as error:
            damaged = error
            notes.append(str(error))
        except DownloadFailed as error:
            notes.append(str(error))
    if damaged is not None:
        raise damaged
    raise DatasetNotFound(_how_to_get(card, cache, data, notes))


def _fetch_all(card: Card, source: Source, cache: Path) -> dict[str, Path]:
    """Download the files of a source: a progress bar for each, or one for all where they are many and small."""
    many = len(source.files) > MANY
    with tqdm(source.files, f"{card.name}: files", disable=not many, leave=False) as files:
        return {file.name: fetch(file, cache / file.name, progress=not many) for file in files}


def _how_to_get(card: Card, cache: Path, data: Path | None, notes: list[str]) -> str:
    """What to do without a connection."""
    looked = f"{data} (COMPACT_DATA) and {cache}" if data else f"{cache} (COMPACT_DATA is not set)"
    lines = [f"{card.title} is not on this machine and could not be downloaded.", f"Looked in {looked}."]
    lines += [f"  {line}" for note in notes for line in note.splitlines()]
    source = next((source for source in card.sources if source.downloadable), card.sources[0])
    size = sum(file.bytes for file in source.files) / 1e6
    if source.downloadable:
        lines += [f"To get it, download {size:,.3g} MB on a machine with a connection:"]
    else:
        lines += [f"It cannot be downloaded from here. What `load` reads is {source.title}, {size:,.3g} MB:"]
    lines += [
        f"  {file.urls[0] if file.urls else file.name} ({file.bytes:,} bytes, {file.algorithm} {file.checksum})"
        for file in source.files[:MANY]
    ]
    if len(source.files) > MANY:
        lines += [f"  and {len(source.files) - MANY} more, which data/cards/{card.name}.yaml lists"]
    lines += [
        f"and put it into {cache}, or into a folder {card.folders[0]}/ inside the folder that COMPACT_DATA names."
    ]
    lines += [card.by_hand] if card.by_hand else []
    embedded = "cells" if card.task == "segmentation" else "digits"
    lines += [f'Without it, load("{embedded}") works everywhere: that set is embedded.']
    return "\n".join(lines)
