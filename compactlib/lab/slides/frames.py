"""Which cell stands on which slide: a frame begins at each cell whose slide type is `slide` or `subslide`.

In a notebook's `slideshow` metadata (JupyterLab's property inspector writes the slide type):

    slide_type  slide, subslide: begins a frame; fragment: joins it and comes at a click; "-": joins it; notes: is said;
                skip: is left out. Markdown without a type joins the frame, code without a type is left out.
    title       the frame's headline, where it is not the cell's own heading or the section's
    code        "show": the code is seen, and not only what it put out

Parameters, solutions and checks are left out whatever they say.
"""

from typing import Any

from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode

from compactlib.lab.slides import pictures, text
from compactlib.lab.slides.errors import SlideError

BEGINS = ("slide", "subslide")
NEVER = {"parameters", "solution", "check"}
TYPES = {*BEGINS, "fragment", "-", "notes", "skip", ""}


class Frames(Preprocessor):
    """Keeps what a deck shows and writes into `cell.metadata.deck` where a frame begins and ends, and how it looks."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Change `nb`, which is a copy. Raises SlideError where no cell begins a frame, or a slide type is unknown."""
        frames = divide(nb.cells)
        section = ""
        for number, frame in enumerate(frames):
            section = _dress(frame, section, first=number == 0)
        nb.cells = [cell for frame in frames for cell in frame]
        return nb, resources


def slideshow(cell: NotebookNode) -> dict[str, Any]:
    """The cell's slideshow metadata."""
    return cell.metadata.get("slideshow", {})


def divide(cells: list[NotebookNode]) -> list[list[NotebookNode]]:
    """The cells of each frame. Raises SlideError where no cell begins one, or a slide type is unknown."""
    frames: list[list[NotebookNode]] = []
    for cell in cells:
        kind = slideshow(cell).get("slide_type", "")
        if kind not in TYPES:
            raise SlideError(f"a cell has the slide type {kind!r}, expected one of {', '.join(sorted(TYPES - {''}))}")
        if _left_out(cell, kind):
            continue
        if kind in BEGINS:
            frames.append([])
        if frames:
            frames[-1].append(cell)
    if not frames:
        raise SlideError("no cell begins a slide. Give some cells the slide type 'slide' in the property inspector")
    return frames


def _left_out(cell: NotebookNode, kind: str) -> bool:
    if NEVER & set(cell.metadata.get("tags", [])) or kind == "skip" or cell.cell_type == "raw":
        return True
    return cell.cell_type == "code" and kind in ("", "notes")


def _dress(frame: list[NotebookNode], section: str, first: bool) -> str:
    """Write `deck` for the cells of a frame; returns the section that the next frame stands in."""
    own, headline = "", ""
    for cell in frame:
        cell.metadata.deck = NotebookNode(begins=cell is frame[0], ends=cell is frame[-1], figures=[])
        headline = headline or slideshow(cell).get("title", "")
        if cell.cell_type == "markdown" and not own and slideshow(cell).get("slide_type") != "notes":
            own, cell.source = text.split_heading(cell.source)
        if cell.cell_type == "code":
            pictures.arrange(cell)
    section = own or section
    deck = frame[0].metadata.deck
    deck.level, deck.headline = 1 if first else 2, headline or section
    for cell in frame:
        cell.metadata.deck.alt = f"Figure: {deck.headline}"
    deck.layout = "title" if first else _layout(frame)
    return section


def _layout(frame: list[NotebookNode]) -> str:
    """Pictures stand beside the text where they are no wider than high, or there is more than one cell of them."""
    figures = [figure for cell in frame for figure in cell.metadata.deck.figures]
    texts = any(cell.cell_type == "markdown" and text.shown(text.render(cell.source)) for cell in frame)
    if not figures:
        return "words"
    if texts and max(width / height for width, height in figures) < 1.7:
        return "figures beside"
    return "figures beside" if sum(bool(cell.metadata.deck.figures) for cell in frame) > 1 and not texts else "figures"
