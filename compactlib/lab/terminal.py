"""Text for and from terminals."""

import re

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def plain(text: str) -> str:
    """`text` without the colours of a terminal, stripped."""
    return ANSI.sub("", text).strip()
