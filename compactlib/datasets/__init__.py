"""Named image sets, ready for training: `load("digits")` gives training, validation and test arrays and the set's card.

    names()               the sets there are
    load(name, ...)       -> ImageData
    read_card(name)       -> Card: source, licence, citation, files and checksums, caveats

A file is looked for in the folder that the environment variable `COMPACT_DATA` names, then in `data/cache/<name>`
(or `$COMPACT_CACHE/<name>`), and is downloaded only when neither has it. Every file is held against its checksum.
"""

from .cards import Card, File, Source, names, read_card
from .data import ImageData, ImageSet
from .errors import DamagedFile, DatasetNotFound
from .loading import load

__all__ = [
    "Card",
    "DamagedFile",
    "DatasetNotFound",
    "File",
    "ImageData",
    "ImageSet",
    "Source",
    "load",
    "names",
    "read_card",
]
