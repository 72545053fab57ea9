"""The card of a data set, read from data/cards/<name>.yaml: where it comes from, under what terms, in which files."""

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..documents import read_yaml
from ..paths import DATA

CARDS = DATA / "cards"


@dataclass(frozen=True)
class File:
    """One file of a source. `urls` are its addresses in the order to try, empty if it cannot be downloaded.

    algorithm: "md5" or "sha256"; or "pictures" for a folder of JPEG files of which nobody publishes checksums: it is
    counted, and `checksum` is the number.
    """

    name: str
    bytes: int
    algorithm: str
    checksum: str
    urls: tuple[str, ...] = ()

    def there(self, path: Path) -> bool:
        """Whether `path` is a file, or the folder that this entry is."""
        return path.is_dir() if self.algorithm == "pictures" else path.is_file()

    def digest(self, path: Path) -> str:
        """The checksum of the file at `path`, hexadecimal, by this entry's algorithm."""
        if self.algorithm == "pictures":
            return str(sum(not picture.name.startswith(".") for picture in path.glob("*.jpg")))
        with open(path, "rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest()

    def matches(self, path: Path) -> bool:
        """Whether the file at `path` is the one this entry describes."""
        return self.digest(path) == self.checksum


@dataclass(frozen=True)
class Source:
    """One form in which the set can be had: its files, the reader that understands them, and whether its pixels and
    split are the official ones (`comparable`). `folders`: where the files lie once an archive is unpacked or
    torchvision has fetched them, such as cifar-10-batches-py. `in_folder_only`: the file names are too general to be
    this set's unless they lie in a folder of its name."""

    id: str
    title: str
    reader: str
    comparable: bool
    files: tuple[File, ...]
    folders: tuple[str, ...] = ()
    in_folder_only: bool = False

    @property
    def downloadable(self) -> bool:
        return bool(self.files) and all(file.urls for file in self.files)


@dataclass(frozen=True)
class Card:
    """What one must know to use and to cite a data set. `mean` and `std` are the usually published ones, for reference
    (None where there are none); `folders` are the names under which its files may lie in `COMPACT_DATA`.
    task: "classification" or "segmentation". consecutive: the images are a stack in order, so its parts are blocks.
    by_hand: for a set, or for its official form, that cannot be fetched and checked: where it is and how to use it."""

    name: str
    title: str
    description: str
    source: str
    licence: str
    citation: str
    layout: str
    caveats: tuple[str, ...]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    folders: tuple[str, ...]
    class_names: tuple[str, ...]
    sources: tuple[Source, ...]
    task: str = "classification"
    consecutive: bool = False
    by_hand: str = ""

    @property
    def files(self) -> tuple[File, ...]:
        """The files of every source."""
        return tuple(file for source in self.sources for file in source.files)

    def __str__(self) -> str:
        lines = [self.title, self.description, f"Source: {self.source}", f"Licence: {self.licence}"]
        lines += [f"Cite: {self.citation}", *(f"Mind: {caveat}" for caveat in self.caveats)]
        return "\n".join(lines)


def names(task: str | None = None) -> list[str]:
    """The names that `load` knows, of one `task` ("classification" or "segmentation") or all; "digits" first."""
    found = sorted((path.stem for path in CARDS.glob("*.yaml")), key=lambda name: (name != "digits", name))
    return [name for name in found if task is None or read_card(name).task == task]


def read_card(name: str) -> Card:
    """The card of the set `name`. Raises ValueError, with the nearest known name, for a name without a card."""
    if name not in names():
        near = difflib.get_close_matches(str(name).lower().replace("-", "_"), names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"There is no data set {name!r}.{hint} Known: {', '.join(names())}.")
    fields = read_yaml(CARDS / f"{name}.yaml")
    fields["sources"] = tuple(_source(**source) for source in fields["sources"])
    return Card(**{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})


def _source(files: list[dict], mirrors: tuple[str, ...] = (), folders: tuple[str, ...] = (), **fields) -> Source:
    """A source from its YAML form, in which an address is a mirror's folder followed by the file's name."""
    return Source(files=tuple(_file(mirrors, **file) for file in files), folders=tuple(folders), **fields)


def _file(mirrors: tuple[str, ...], *, name: str, bytes: int = 0, **checksum: str | int) -> File:
    ((algorithm, value),) = checksum.items()
    return File(name, bytes, algorithm, str(value), tuple(mirror + name for mirror in mirrors))
