"""The outputs of a code cell, in the order and the size of a slide."""

import base64
import io
import math
import re

from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image

PICTURES = ("image/png", "image/jpeg")
CHECK = re.compile(r":\s+True$")
# Pixels of a 1280 x 720 slide that a block of printed lines or code may fill, and what one character of size 1 needs.
WIDTH, CHARACTER, LINE = 1130, 0.605, 1.38
LARGEST, READABLE, SMALLEST = 27.0, 20.0, 12.0


def arrange(cell: NotebookNode) -> None:
    """Put a code cell's pictures first and its printed lines, as one output, last.

    Beside a picture, printed lines that end in ": True" are left out: they are there for the notebook's test. Writes
    the sizes of the pictures into `deck.figures`.
    """
    rich = [output for output in cell.outputs if output.output_type not in ("stream", "error")]
    lines = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout").splitlines()
    lines += [f"{o.ename}: {o.evalue}" for o in cell.outputs if o.output_type == "error"]
    cell.metadata.deck.figures = [size for output in rich if (size := _size(output))]
    if cell.metadata.deck.figures:
        lines = [line for line in lines if not CHECK.search(line)]
    printed = "\n".join(lines).strip("\n")
    cell.outputs = [*rich, *([new_output("stream", name="stdout", text=printed)] if printed else [])]


def _size(output: NotebookNode) -> tuple[int, int] | None:
    for kind in PICTURES:
        if kind in output.data:
            with Image.open(io.BytesIO(base64.b64decode(output.data[kind]))) as picture:
                return picture.size
    return None


def fit(block: str, height: float, wrap: bool = False) -> str:
    """The font size, such as "24.5px", at which lines of fixed width fill `height` pixels or the slide's width.

    With `wrap`, lines that would have to be smaller than `READABLE` are set in that size and broken.
    """
    lines = re.sub(r"\A```\w*\n|\n```\s*\Z", "", block).rstrip("\n").splitlines() or [""]
    size = min(LARGEST, height / (LINE * len(lines)), WIDTH / (CHARACTER * max(1, *map(len, lines))))
    while wrap and size < READABLE:
        columns = int(WIDTH / (CHARACTER * (size + 0.5)))
        rows = sum(max(1, math.ceil(len(line) / columns)) for line in lines)
        if rows * LINE * (size + 0.5) > height:
            break
        size += 0.5
    return f"{max(size, SMALLEST):.1f}px"


def is_sentence(printed: str) -> bool:
    """Whether printed lines are a line or two of words and no table, so that they may stand in the text's own font."""
    return printed.count("\n") < 2 and "  " not in printed.strip() and "[" not in printed
