"""What a worker keeps open from one task to the next: to open a scene again, its table of tiles is parsed again."""

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from compactlib.raster import Mosaic, Scene

KEPT = 2  # a scene and its mask; two mosaics


class _Kept:
    """Opens files, and closes the one that was not asked for longest when there are more than KEPT."""

    def __init__(self, opener: Callable[..., Any], written: bool = False):
        self.opener, self.written = opener, written
        self.files: OrderedDict[tuple, Any] = OrderedDict()

    def __call__(self, path: str, *options: Any) -> Any:
        found = os.stat(path)
        # A file that took the other's place under its name is another file; so is one that has changed, but for a
        # mosaic, which changes with every block.
        version = () if self.written else (found.st_mtime_ns, found.st_size)
        key = (path, repr(options), found.st_dev, found.st_ino, *version)  # as text: NaN differs from itself
        if key not in self.files:
            while len(self.files) >= KEPT:
                self.files.popitem(last=False)[1].close()
            self.files[key] = self.opener(path, *options)
        self.files.move_to_end(key)
        return self.files[key]


_scenes, _mosaics = _Kept(Scene), _Kept(Mosaic, written=True)


def kept_scene(path: str, *arguments: Any) -> Scene:
    """The scene that `Scene` makes of these arguments, opened at this worker's first block of it. Not to be closed."""
    return _scenes(path, *arguments)


def kept_mosaic(path: str) -> Mosaic:
    """The mosaic at `path`, opened at this worker's first block of it. Not to be closed."""
    return _mosaics(path)
