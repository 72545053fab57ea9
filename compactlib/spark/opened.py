"""What a worker keeps open from one task to the next: to open a scene again, its table of tiles is parsed again."""

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from compactlib.raster import Mosaic, Scene, open_scene

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
        key = (path, options, found.st_dev, found.st_ino, *version)
        if key not in self.files:
            while len(self.files) >= KEPT:
                self.files.popitem(last=False)[1].close()
            self.files[key] = self.opener(path, *options)
        self.files.move_to_end(key)
        return self.files[key]


_scenes, _mosaics = _Kept(open_scene), _Kept(Mosaic, written=True)


def kept_scene(path: str, page: int = 0, level: int = 0, border: str = "reflect", cache_bytes: int = 0) -> Scene:
    """The scene of `open_scene` with these arguments, opened at this worker's first block of it. Not to be closed."""
    return _scenes(path, page, level, border, cache_bytes)


def kept_mosaic(path: str) -> Mosaic:
    """The mosaic at `path`, opened at this worker's first block of it. Not to be closed."""
    return _mosaics(path)
