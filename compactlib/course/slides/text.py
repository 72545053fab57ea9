r"""What of a markdown cell is seen on a slide, and what is said.

Seen are headings, display equations, lists, tables, pictures, code, paragraphs that begin with "**Predict first.**",
"**Paper**" or the number of an exercise, and a short paragraph that introduces a list. Every other paragraph is said:
it becomes a speaker note. So a notebook's text is written once.
"""

import re
from itertools import pairwise
from typing import Any

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from compactlib.course.slides.errors import SlideError
from compactlib.course.slides.formulas import draw

SEEN = re.compile(r"\*\*(Predict first\.|Paper|\d+\.)\*\*|\$\$.*\$\$$|!\[[^]]*\]\([^)]*\)$", re.DOTALL)
INTRODUCTION = 20  # words of a paragraph that may stand above a list
NOTES = re.compile(r'<aside class="notes">\n(.*?)</aside>\n', re.DOTALL)
HEADING = re.compile(r"\A#{1,6}[ \t]+(?P<text>.+?)[ \t]*#*[ \t]*(?:\n|\Z)")


def split_heading(source: str) -> tuple[str, str]:
    """The heading that a cell begins with, or "", and the rest of the cell."""
    found = HEADING.match(source.lstrip("\n"))
    return (found["text"], source.lstrip("\n")[found.end() :]) if found else ("", source)


def render(source: str, attachments: dict | None = None, path: str = "") -> str:
    """Markdown as HTML: formulas as SVG, addresses dropped, what is said in `<aside class="notes">`.

    Raises SlideError for a formula that cannot be drawn, or a picture that is neither in the cell nor beside the file.
    """
    renderer = SlideRenderer(
        escape=False, attachments=attachments or {}, embed_images=True, path=path, exclude_anchor_links=True
    )
    markdown = MarkdownWithMath(renderer=renderer)
    markdown.before_render_hooks.append(_tell_apart)
    return markdown.render(re.sub(r"\n(?=\*\*Paper\*\*)", "\n\n", source))


def shown(html: str) -> str:
    """What of the rendered text is seen, or ""."""
    return NOTES.sub("", html).strip()


def letters(html: str) -> int:
    """How many letters of the rendered text are seen, formulas not counted."""
    return len(" ".join(re.sub(r"<svg.*?</svg>|<[^>]*>", "", shown(html), flags=re.DOTALL).split()))


def equation_width(html: str) -> float:
    """The width in em of the longest display equation in the rendered text, or 0."""
    return max(map(float, re.findall(r'class="formula display"[^>]*style="width:([\d.]+)em', html)), default=0.0)


def said(html: str) -> str:
    """What of the rendered text is said."""
    return "".join(NOTES.findall(html))


def _tell_apart(markdown: MarkdownWithMath, state: Any) -> None:
    tokens = [token for token in state.tokens if token["type"] != "blank_line"]
    for token, following in pairwise([*tokens, {"type": "end"}]):
        if token["type"] == "paragraph":
            introduces = following["type"] == "list" and len(token["text"].split()) <= INTRODUCTION
            if not introduces and not SEEN.match(token["text"].strip()):
                token["type"] = "said"


class SlideRenderer(IPythonRenderer):
    """nbconvert's renderer, for a page that must not lead anywhere."""

    def paragraph(self, text: str) -> str:
        kind = ' class="predict"' if text.startswith("<strong>Predict first.</strong>") else ""
        kind = ' class="paper"' if text.startswith("<strong>Paper</strong>") else kind
        return f"<p{kind}>{text}</p>\n"

    def said(self, text: str) -> str:
        return f'<aside class="notes">\n<p>{text}</p>\n</aside>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return text

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if not self._embed_image_or_attachment(url).startswith("data:"):
            raise SlideError(f"the picture {url} is not a file beside the notebook. Attach it to its cell instead")
        return super().image(text, url, title)

    def block_math(self, body: str) -> str:
        return draw(body, inline=False)

    def inline_math(self, body: str) -> str:
        return draw(body, inline=True)

    def latex_environment(self, name: str, body: str) -> str:
        return draw(f"\\begin{{{name}}}{body}\\end{{{name}}}", inline=False)
