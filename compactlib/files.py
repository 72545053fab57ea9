"""Writing a file so that a reader sees the old content or the new one, and never a part."""

import os
import secrets
import shutil
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
