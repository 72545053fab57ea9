"""Writing a file so that a reader sees the old content or the new one, and never a part."""

import os
from pathlib import Path


def atomic_write(path: str | Path, data: bytes | str) -> Path:
    """Write `data` to `path` under a temporary name, flush it to the disk, then rename it.

    A process killed at any moment leaves the old file whole. Text is written as UTF-8. Parent folders are made.
    Returns the path. Raises OSError (disk full, no permission) and removes the temporary file then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
