"""The chain of pages in a TIFF file, followed with a limit and a memory of what was seen.

Each page of a TIFF says where the next one stands. In a damaged or hostile file the last may point at the first, and
tifffile would follow it for ever.
"""

import struct
from pathlib import Path

PAGES, TAGS = 1 << 16, 4096  # more pages than any real stack has, and more tags than any page

# Number of tags and next page: format and bytes. A tag takes 12 bytes in a classic TIFF, 20 in a BigTIFF.
_CLASSIC, _BIG = ("H", 2, 12, "I", 4), ("Q", 8, 20, "Q", 8)


def check_chain(path: str | Path) -> int:
    """The number of pages in a TIFF file, at most 65,536. Raises ValueError for a chain without an end.

    Where a page lies beyond the end of the file the chain ends; who reads that page says so.
    """
    with open(path, "rb") as file:
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = start[2:4] in (b"+\0", b"\0+")
        count_format, count_bytes, tag_bytes, next_format, next_bytes = _BIG if big else _CLASSIC
        place = 8 if big else 4
        if len(start) < place + next_bytes:
            return 0
        offset = struct.unpack(order + next_format, start[place : place + next_bytes])[0]
        seen: set[int] = set()
        while offset:
            if offset in seen:
                raise ValueError(f"page {len(seen)} is an earlier page again: the chain of pages has no end")
            if len(seen) >= PAGES:
                raise ValueError(f"it has more than {PAGES:,} pages")
            seen.add(offset)
            file.seek(offset)
            data = file.read(count_bytes)
            tags = struct.unpack(order + count_format, data)[0] if len(data) == count_bytes else TAGS + 1
            if tags > TAGS:
                return len(seen) - 1
            file.seek(tags * tag_bytes, 1)
            data = file.read(next_bytes)
            offset = struct.unpack(order + next_format, data)[0] if len(data) == next_bytes else 0
        return len(seen)
