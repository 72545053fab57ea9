"""Named image sets, ready for training: `load("digits")` gives training, validation and test arrays and the set's card;
`load("cells")` the same with a mask to each image.

    names()               the sets there are
    load(name, ...)       -> ImageData, or SegmentationData for a set with masks
    from_folder(path, ...) -> SegmentationData of your own images and masks
    read_card(name)       -> Card: source, licence, citation, files and checksums, caveats

A file is looked for in the folder that the environment variable `COMPACT_DATA` names, then in `data/cache/<name>`
(or `$COMPACT_CACHE/<name>`), and is downloaded only when neither has it. Every file is held against its checksum.
"""

from .cards import Card, File, Source, names, read_card
from .data import ImageData, ImageSet, MaskSet, SegmentationData
from .errors import BadPair, DamagedFile, DatasetNotFound
from .folder import from_folder
from .images import channel_statistics
from .loading import load
from .part import Part

__all__ = [
    "BadPair",
    "Card",
    "DamagedFile",
    "DatasetNotFound",
    "File",
    "ImageData",
    "ImageSet",
    "MaskSet",
    "Part",
    "SegmentationData",
    "Source",
    "channel_statistics",
    "from_folder",
    "load",
    "names",
    "read_card",
]
