"""Which cell stands on which slide: a frame begins at each cell whose slide type is `slide` or `subslide`.

In a notebook's `slideshow` metadata (JupyterLab's property inspector writes the slide type):

    slide_type  slide, subslide: begins a frame; fragment: joins it and comes at a click; "-": joins it; notes: is said;
                skip: is left out. Markdown without a type joins the frame, code without a type is left out.
    title       the frame's headline, where it is not the cell's own heading or the section's
    code        "show": the code is seen, and not only what it put out

Parameters, solutions and checks are left out whatever they say.
"""

from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode

from compactlib.course.slides import layout
from compactlib.course.slides.errors import SlideError

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
            section = layout.dress(frame, section, resources["metadata"].get("path", ""), first=number == 0)
        nb.cells = [cell for frame in frames for cell in frame]
        return nb, resources


def divide(cells: list[NotebookNode]) -> list[list[NotebookNode]]:
    """The cells of each frame. Raises SlideError where no cell begins one, or a slide type is unknown."""
    frames: list[list[NotebookNode]] = []
    for cell in cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "")
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
