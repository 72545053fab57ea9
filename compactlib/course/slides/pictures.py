"""The outputs of a code cell, in the order and the size of a slide."""

import base64
import io
import math
import re
from html import escape

from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image

PICTURES = ("image/png", "image/jpeg")
CHECK = re.compile(r":\s+True$")
# Pixels that a block of printed lines or code may fill on a slide of 1280 x 720, and what a character of size 1 needs.
WIDE, NARROW, CAPTION, GAP = 1100, 520, 92, 12
CHARACTER, LINE = 0.605, 1.38
LARGEST, READABLE, SMALLEST = 31.0, 20.0, 12.0
SENTENCE = 26  # pixels; the style sheet says the same


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


def caption(cell: NotebookNode) -> None:
    """Leave room for the printed lines below a picture: writes their height into `deck.caption`.

    Lines that would be too small to read go to `deck.said`.
    """
    deck = cell.metadata.deck
    deck.caption = 0
    if not deck.figures or cell.outputs[-1].output_type != "stream":
        return
    printed = cell.outputs[-1].text
    font = SENTENCE if is_sentence(printed) else size(printed, CAPTION, deck.width)
    if font < READABLE:
        deck.said, cell.outputs = f"<pre>{escape(printed)}</pre>", cell.outputs[:-1]
    else:
        deck.caption = math.ceil(len(printed.splitlines()) * LINE * font) + GAP


def html_size(plain: str) -> float:
    """The font size of an HTML output, judged by its plain text: letters of words take less room than fixed ones."""
    return min(SENTENCE, 1.4 * size(plain, 10_000, WIDE))


def ratio(output: NotebookNode) -> float:
    """How many times a picture is wider than high."""
    width, height = _size(output)
    return width / height


def _size(output: NotebookNode) -> tuple[int, int] | None:
    for kind in PICTURES:
        if kind in output.data:
            with Image.open(io.BytesIO(base64.b64decode(output.data[kind]))) as picture:
                return picture.size
    return None


def size(block: str, height: float, width: float = WIDE, wrap: bool = False) -> float:
    """The font size in pixels at which lines of fixed pitch fill `height` or `width`.

    With `wrap`, lines that would have to be smaller than `READABLE` are set larger and broken, as far as there is room.
    """
    lines = re.sub(r"\A```\w*\n|\n```\s*\Z", "", block).rstrip("\n").splitlines() or [""]
    fitting = min(LARGEST, height / (LINE * len(lines)), width / (CHARACTER * max(1, *map(len, lines))))
    while wrap and fitting < READABLE:
        columns = int(width / (CHARACTER * (fitting + 0.5)))
        rows = sum(max(1, math.ceil(len(line) / columns)) for line in lines)
        if rows * LINE * (fitting + 0.5) > height:
            break
        fitting += 0.5
    return max(fitting, SMALLEST)


def is_sentence(printed: str) -> bool:
    """Whether printed lines are a line or two of words and no table, so that they may stand in the text's own font."""
    lines = printed.splitlines()
    return len(lines) <= 2 and max(map(len, lines), default=0) <= 90 and not re.search(r"\S  |\[", printed)
