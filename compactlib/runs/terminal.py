"""Text for and from terminals."""

import re
from reprlib import Repr
from typing import Any

ANSI = re.compile(r"\x1b\[[0-9;]*m")


SHORT = Repr()
SHORT.maxlevel, SHORT.maxlist, SHORT.maxdict, SHORT.maxstring, SHORT.maxlong, SHORT.maxother = 3, 6, 6, 100, 80, 100


def plain(text: str) -> str:
    """`text` without the colours of a terminal, stripped."""
    return ANSI.sub("", text).strip()


def short(value: Any) -> str:
    """A value as Python writes it, in at most a line or two: what a file holds may be very long."""
    return SHORT.repr(value)
