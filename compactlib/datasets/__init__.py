"""Named image sets, ready for training: `load("digits")` gives training, validation and test arrays and the set's card;
`load("cells")` the same with a mask to each image.

    names()               the sets there are
    load(name, ...)       -> ImageData, or SegmentationData for a set with masks
    from_folder(path, ...) -> SegmentationData of your own images and masks
    read_card(name)       -> Card: source, licence, citation, files and checksums, caveats

A file is looked for in the folder that the environment variable `COMPACT_DATA` names, then in `data/cache/<name>`
(or `$COMPACT_CACHE/<name>`), and is downloaded only when neither has it. Every file is held against its checksum.
"""

from compactlib.lazy import lazy

PLACES = {
    "BadPair": "compactlib.datasets.errors",
    "Card": "compactlib.datasets.cards",
    "DamagedFile": "compactlib.datasets.errors",
    "DatasetNotFound": "compactlib.datasets.errors",
    "File": "compactlib.datasets.cards",
    "ImageData": "compactlib.datasets.data",
    "ImageSet": "compactlib.datasets.data",
    "MaskSet": "compactlib.datasets.data",
    "Part": "compactlib.datasets.part",
    "SegmentationData": "compactlib.datasets.data",
    "Source": "compactlib.datasets.cards",
    "channel_statistics": "compactlib.datasets.images",
    "from_folder": "compactlib.datasets.folder",
    "load": "compactlib.datasets.loading",
    "names": "compactlib.datasets.cards",
    "read_card": "compactlib.datasets.cards",
    "write_scene": "compactlib.datasets.drawn.generate",
}
__all__ = list(PLACES)
__getattr__, __dir__ = lazy(__name__, PLACES)
