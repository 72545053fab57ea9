"""Writing a file so that a reader sees the old content or the new one, and never a part."""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_open(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write to, which becomes `path` when the block ends well: flushed to the disk, then renamed.

    A process killed at any moment leaves the old file whole. Parent folders are made. If the block raises (disk full,
    no permission), the temporary file is removed and `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two machines that share the folder may have processes of the same number.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def atomic_write(path: str | Path, data: bytes | str) -> Path:
    """Write `data` (text as UTF-8) to `path`, whole or not at all; see `atomic_open`. Returns the path."""
    with atomic_open(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return Path(path)


def read_regular(path: str | Path, most: int | None = None) -> bytes:
    """The content of a regular file, or its first `most` bytes. Raises ValueError for a folder, a pipe or a device,
    from which one could read for ever, and OSError as usual."""
    path = Path(path)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{path.name} is a folder, a pipe or a device; expected a regular file")
    with open(path, "rb") as file:
        return file.read() if most is None else file.read(most)


def check_room(folder: str | Path, nbytes: int) -> None:
    """Raises OSError where the disk of `folder`, which need not be there yet, has less than `nbytes` bytes free."""
    there = Path(folder).absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if nbytes > free:
        raise OSError(
            f"No room in {folder}: {nbytes / 1e9:,.1f} GB are needed and {free / 1e9:,.1f} GB are free; "
            "make room or choose a folder on another disk"
        )
