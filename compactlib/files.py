"""Writing a file so that a reader sees the old content or the new one, and never a part."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, what this user may have of it, what one file may have


@contextmanager
def atomic_open(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write to, which becomes `path` when the block ends well: flushed to the disk, then renamed.

    A process killed at any moment leaves the old file whole. Parent folders are made. If the block raises (no
    permission, or a disk that is full: see `disk_full_named`), the temporary file is removed and `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Nobody who shares the folder can know the name before and put a link there; "x" would not follow it either.
    # The process is in it for those who look which one is at work.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}.tmp")
    with disk_full_named(path.parent), open(temporary, "xb") as file:
        try:
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


@contextmanager
def disk_full_named(folder: str | Path) -> Iterator[None]:
    """Within it, the system's errors for a full disk become an OSError that names the folder and says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        sentence = OSError(
            f"No room in {folder} ({os.strerror(error.errno)}): make room, or choose a folder on another disk, and "
            "call again; what is there is whole"
        )
        sentence.errno = error.errno
        raise sentence from error


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
