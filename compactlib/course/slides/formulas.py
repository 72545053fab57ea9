"""LaTeX to inline SVG at build time, so that a deck needs neither a script nor a font for its formulas."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from html import escape
from xml.etree import ElementTree

import ziamath
from ziamath.tex import tex2mml

from compactlib.course.slides.errors import SlideError

SIZE = 100.0  # ziamath draws at this many units to an em; the SVG is then measured in em


@lru_cache(maxsize=1024)
def draw(latex: str, inline: bool) -> str:
    """The formula as an `<svg>` that stands on the baseline of its line, as large as the text around it.

    Its glyphs are outlines of STIX Two Math in the colour of the text; a screen reader gets the LaTeX. Raises
    SlideError for a formula that ziamath cannot draw, and for unknown commands, whose names it would print as letters.
    """
    try:
        unknown = _unknown_commands(latex, inline)
        with _plain_paths():
            svg = ziamath.Latex(latex.strip(), size=SIZE, inline=inline).svgxml()
    except Exception as error:  # of latex2mathml and ziamath, which have no class of their own in common
        raise SlideError(f"the formula ${latex.strip()}$ cannot be drawn ({type(error).__name__}: {error})") from error
    if unknown:
        raise SlideError(f"the formula ${latex.strip()}$ cannot be drawn: {', '.join(unknown)} is no known command")
    return _inline(svg, latex, inline)


def _unknown_commands(latex: str, inline: bool) -> list[str]:
    tree = ElementTree.fromstring(re.sub(r"&(?!#?\w+;)", "&amp;", tex2mml(latex.strip(), inline=inline)))
    return [text for node in tree.iter() if re.match(r"\\[A-Za-z]", text := (node.text or "").strip())]


@contextmanager
def _plain_paths() -> Iterator[None]:
    """ziamath's default repeats `<symbol id=...>` in every formula, and an id may stand only once in a page."""
    before, ziamath.config.svg2 = ziamath.config.svg2, False
    try:
        yield
    finally:
        ziamath.config.svg2 = before


def _inline(svg: ElementTree.Element, latex: str, inline: bool) -> str:
    left, top, width, height = (float(number) for number in svg.attrib["viewBox"].split())
    body = "".join(ElementTree.tostring(child, encoding="unicode") for child in svg)
    body = body.replace('"black"', '"currentColor"')
    size = f"width:{width / SIZE:.3f}em;height:{height / SIZE:.3f}em;vertical-align:{-(top + height) / SIZE:.3f}em"
    label = escape(" ".join(latex.split()), quote=True)
    return (
        f'<svg class="formula {"inline" if inline else "display"}" role="img" aria-label="{label}" style="{size}" '
        f'viewBox="{left:g} {top:g} {width:g} {height:g}">{body}</svg>'
    )
