"""Slides: a notebook as a reveal.js deck, one HTML file that needs no network.

`exporter` is nbconvert's slides with our template, `frames` says which cell stands on which slide, `text` what of a
markdown cell is seen and what is said, `formulas` draws the mathematics, `assets` brings what the file carries along,
`standalone` finds what it would still load.
"""

from compactlib.course.slides.errors import SlideError
from compactlib.course.slides.exporter import make_deck

__all__ = ["SlideError", "make_deck"]
