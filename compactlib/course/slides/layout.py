"""How the cells of one frame stand on a slide: headline, words, pictures, and what is said with them."""

from nbformat import NotebookNode

from compactlib.course.slides import pictures, text

WIDER = 1.7  # a picture this many times wider than high takes the slide's whole width
LONGEST = 19  # em of an equation in half a slide
DENSITY = {"denser": 1000, "dense": 560}  # from how many letters on the text is set smaller
DENSITY_OF_TITLE = {"dense": 440}


def dress(frame: list[NotebookNode], section: str, path: str, first: bool) -> str:
    """Write into `metadata.deck` of each cell of a frame what the template needs.

    `section` is the headline of the section so far; returns the one that the next frame stands in. Raises SlideError as
    `text.render` does.
    """
    own, headline = "", ""
    for cell in frame:
        cell.metadata.deck = NotebookNode(
            begins=cell is frame[0], ends=cell is frame[-1], shown="", said="", figures=[]
        )
        show = cell.metadata.get("slideshow", {})
        headline = headline or show.get("title", "")
        if cell.cell_type == "code":
            pictures.arrange(cell)
            continue
        said_only = show.get("slide_type") == "notes"
        if not own and not said_only:
            own, cell.source = text.split_heading(cell.source)
        _write(cell, path, said_only)
    section = own or section
    layout = "title" if first else _columns(frame)
    density = _density(frame, DENSITY_OF_TITLE if first else DENSITY)
    for cell in frame:
        cell.metadata.deck.headline = headline or section
        cell.metadata.deck.level = 1 if first else 2
        cell.metadata.deck.layout = f"{layout} {density}".strip()
        cell.metadata.deck.width = pictures.NARROW if layout == "beside" else pictures.WIDE
        if cell.cell_type == "code":
            pictures.caption(cell)
    return section


def _write(cell: NotebookNode, path: str, said_only: bool) -> None:
    html = text.render(cell.source, cell.get("attachments"), path)
    deck = cell.metadata.deck
    deck.shown, deck.said = text.shown(html), text.said(html)
    if said_only:
        deck.shown, deck.said = "", deck.shown + deck.said


def _columns(frame: list[NotebookNode]) -> str:
    """Two columns ("beside") where two things are shown that are narrow: no wide picture, no long equation."""
    figures = [figure for cell in frame for figure in cell.metadata.deck.figures]
    if not figures:
        return "words"
    words = "".join(cell.metadata.deck.shown for cell in frame)
    outputs = sum(bool(cell.get("outputs")) for cell in frame)
    wide = max(width / height for width, height in figures) >= WIDER or text.equation_width(words) > LONGEST
    return "beside" if (outputs > 1 and not words) or (words and outputs == 1 and not wide) else "figures"


def _density(frame: list[NotebookNode], classes: dict[str, int]) -> str:
    letters = sum(text.letters(cell.metadata.deck.shown) for cell in frame)
    return next((name for name, count in classes.items() if letters > count), "")
