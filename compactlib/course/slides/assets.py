"""What every deck carries along: reveal.js, its speaker view, a font and our style sheet, with their licences."""

import base64
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from pygments.formatters import HtmlFormatter

from compactlib.course.slides.errors import SlideError

REVEAL = "dist/reveal.js"
SPEAKER_VIEW = "dist/plugin/notes.js"
STYLES = ("dist/reset.css", "dist/reveal.css")
FONT = "css/theme/fonts/source-sans-pro"
FACES = (("regular", 400, "normal"), ("italic", 400, "italic"), ("semibold", 600, "normal"))
NOTICES = (("reveal.js", "LICENSE"), ("Source Sans Pro", f"{FONT}/LICENSE"))
MARKED = """reveal.js's speaker view contains marked.
Copyright (c) 2018+, MarkedJS (https://github.com/markedjs/)
Copyright (c) 2011-2018, Christopher Jeffrey (https://github.com/chjj/)
Under the terms of the MIT licence, as reveal.js above."""
STIX = "The formulas are drawn with outlines of STIX Two Math, Copyright 2001-2021 The STIX Fonts Project Authors."


def _bundle(path: str) -> Traversable:
    file = files("pyreveal") / "revealjs" / path
    if not file.is_file():
        raise SlideError(f"the package pyreveal has no revealjs/{path}: install the version of requirements.lock")
    return file


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@cache
def scripts() -> tuple[str, ...]:
    """reveal.js and its speaker view as data addresses: in clear, the `<!--` and `<script` in them would need care."""
    return tuple(_data("text/javascript", _bundle(path).read_bytes()) for path in (REVEAL, SPEAKER_VIEW))


@cache
def style() -> str:
    """One style sheet: reveal.js's, the font, colours for code, ours."""
    faces = [_face(*face) for face in FACES]
    ours = (files(__package__) / "deck" / "deck.css").read_text(encoding="utf-8")
    code = HtmlFormatter(style="default").get_style_defs(".reveal .highlight")
    return "\n".join([*(_bundle(path).read_text(encoding="utf-8") for path in STYLES), *faces, code, ours])


def _face(name: str, weight: int, slant: str) -> str:
    font = _data("font/woff", _bundle(f"{FONT}/source-sans-pro-{name}.woff").read_bytes())
    family = f"font-family: 'Source Sans Pro'; font-weight: {weight}; font-style: {slant}"
    return f"@font-face {{ {family}; src: url({font}) format('woff'); }}"


@cache
def notices() -> str:
    """The licences of what the deck contains, as text."""
    texts = [f"{name}\n\n{_bundle(path).read_text(encoding='utf-8').strip()}" for name, path in NOTICES]
    return "\n\n\n".join([texts[0], MARKED, *texts[1:], STIX])
