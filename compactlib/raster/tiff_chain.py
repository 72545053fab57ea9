"""The chain of pages in a TIFF file, followed with a limit and a memory of what was seen.

Each page of a TIFF says where the next one stands. In a damaged or hostile file the last may point at the first, and
tifffile would follow it for ever.
"""

import os
import struct
from pathlib import Path

PAGES, TAGS = 1 << 16, 4096  # more pages than any real stack has, and more tags than any page
ALL_TAGS = 1 << 21  # of all pages together
SUBFILE_TYPE = 254  # a tag: whether a page is a picture of its own, or an overview or mask of another

# Number of tags and next page: format and bytes. A tag takes 12 bytes in a classic TIFF, 20 in a BigTIFF.
_CLASSIC, _BIG = ("H", 2, 12, "I", 4), ("Q", 8, 20, "Q", 8)


def follow_chain(path: str | Path) -> list[int]:
    """The NewSubfileType of each page in a TIFF file, at most 65,536. Raises ValueError for a chain without an end, and
    for a first page beyond the end of the file.

    Where a later page lies beyond the end of the file the chain ends; who reads that page says so.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = start[2:4] in (b"+\0", b"\0+")
        count_format, count_bytes, tag_bytes, next_format, next_bytes = _BIG if big else _CLASSIC
        place = 8 if big else 4
        if len(start) < place + next_bytes:
            return []
        offset = struct.unpack(order + next_format, start[place : place + next_bytes])[0]
        if offset >= size:
            raise ValueError(f"its first page would begin at byte {offset:,}, the file ends at {size:,}")
        kinds: list[int] = []
        left = ALL_TAGS
        seen: set[int] = set()
        while 0 < offset < size:
            if offset in seen:
                raise ValueError(f"page {len(seen)} is an earlier page again: the chain of pages has no end")
            if len(seen) >= PAGES:
                raise ValueError(f"it has more than {PAGES:,} pages")
            seen.add(offset)
            file.seek(offset)
            data = file.read(count_bytes)
            tags = struct.unpack(order + count_format, data)[0] if len(data) == count_bytes else TAGS + 1
            if tags > TAGS:
                break
            left -= tags
            if left < 0:
                raise ValueError(f"its pages have more than {ALL_TAGS:,} tags")
            data = file.read(tags * tag_bytes + next_bytes)
            kinds.append(_subfile_type(data, order, tags, tag_bytes))
            data = data[tags * tag_bytes :]
            offset = struct.unpack(order + next_format, data)[0] if len(data) == next_bytes else 0
        return kinds


def _subfile_type(data: bytes, order: str, tags: int, tag_bytes: int) -> int:
    """The value of that tag among a page's tags; 0, a picture of its own, without it."""
    for start in range(0, min(len(data), tags * tag_bytes), tag_bytes):
        if data[start : start + 2] == struct.pack(order + "H", SUBFILE_TYPE):
            value = data[start + tag_bytes // 2 + 2 : start + tag_bytes // 2 + 6]  # after code, type and count
            kind = struct.unpack(order + "H", data[start + 2 : start + 4])[0]
            width = {3: ("H", 2), 4: ("I", 4)}.get(kind)
            return struct.unpack(order + width[0], value[: width[1]])[0] if width and len(value) == 4 else 0
    return 0
