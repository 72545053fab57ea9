"""The lessons' slides: one file that loads nothing, 8 to 15 frames, results instead of code, speaker notes."""

import re

import pytest
from bs4 import BeautifulSoup

from compactlib.course.slides import make_deck
from compactlib.runs.catalogue import notebooks

LESSONS = [notebook for notebook in notebooks() if notebook.number < "90"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("slides")
    return {lesson.stem: make_deck(lesson.path, folder / lesson.stem).read_text("utf-8") for lesson in LESSONS}


@pytest.fixture(params=LESSONS, ids=lambda lesson: lesson.stem)
def lesson(request):
    return request.param


@pytest.fixture
def page(lesson, pages) -> str:
    return pages[lesson.stem]


@pytest.fixture
def frames(page) -> list[BeautifulSoup]:
    return BeautifulSoup(page, "html.parser").select(".slides > section")


def seen(frame: BeautifulSoup) -> str:
    """The text of a frame's body without what is said."""
    strings = frame.select_one(".body").find_all(string=lambda text: text.strip())
    return " ".join(text.strip() for text in strings if not text.find_parent("aside"))


def test_a_deck_names_no_address_outside_itself(page):
    """Looked for as text, not with the package's own parser; the licences are comments and may."""
    page = re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL)
    page = re.sub(r"data:[\w/+.;=-]+,[A-Za-z0-9+/=%]*", "data:", page)
    assert not re.findall(r".{30}(?:https?://|ftp://|wss?://|@import|importScripts|\bfetch\().{30}", page)
    assert set(re.findall(r"\b(?:src|href|srcset|poster|action|data)=[\"']?(\w*:?)", page)) <= {"data:"}
    assert set(re.findall(r"url\([\"']?([^\"')]*)", page)) <= {"data:"}


def test_a_lesson_has_8_to_15_slides_in_one_row(frames):
    assert 8 <= len(frames) <= 15
    assert not any(frame.select("section") for frame in frames)


def test_every_slide_has_a_headline_and_something_to_look_at(frames):
    for frame in frames:
        assert frame.find(["h1", "h2"], recursive=False).get_text(strip=True)
        assert seen(frame) or frame.select("img, .text svg"), frame.find(["h1", "h2"])
    assert frames[0].h1 and not any(frame.h1 for frame in frames[1:])


def test_most_slides_have_speaker_notes_and_a_lesson_has_figures(frames):
    noted = [frame for frame in frames if any(a.get_text(strip=True) for a in frame.select("aside.notes"))]
    assert len(noted) >= 0.6 * len(frames)
    assert sum(bool(frame.select("img")) for frame in frames) >= 3 or len(frames) < 12


def test_code_solutions_and_checks_are_not_on_the_slides(lesson, page):
    text = BeautifulSoup(page, "html.parser").select_one(".slides").get_text()
    for cell in lesson.node.cells:
        if cell.cell_type != "code" or cell.metadata.get("slideshow", {}).get("code") == "show":
            continue
        assert cell.source.strip() not in text
    assert "BEGIN SOLUTION" not in text and "lab.check(" not in text


def test_every_formula_of_a_slide_is_drawn(lesson, page):
    """Counted in the notebook's source by another rule than the renderer's."""
    slides, count, begun = BeautifulSoup(page, "html.parser").select_one(".slides"), 0, False
    for cell in lesson.node.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "")
        begun = begun or kind in ("slide", "subslide")
        if "solution" in cell.metadata.get("tags", []):
            continue
        if begun and cell.cell_type == "markdown" and kind != "skip":
            prose = re.sub(r"`[^`]*`", "", cell.source)
            displays = re.findall(r"\$\$.+?\$\$", prose, re.DOTALL)
            count += len(displays) + len(re.findall(r"\$[^$]+\$", re.sub(r"\$\$.+?\$\$", "", prose, flags=re.DOTALL)))
    drawn = slides.select("svg.formula")
    assert len(drawn) == count and all(svg.select("path, rect") and svg["aria-label"] for svg in drawn)
    for code in slides.select("pre, code, svg"):
        code.decompose()
    assert "$" not in slides.get_text()
