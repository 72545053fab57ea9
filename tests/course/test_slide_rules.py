"""The rules of slides, on notebooks of a few cells: what is seen, what is said, what is an error."""

import base64
import io
import re
import zipfile
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from compactlib.__main__ import main
from compactlib.course.slides import SlideError, make_deck
from compactlib.course.slides.formulas import draw
from compactlib.course.slides.pictures import size
from tests.course.test_slides import seen


def marked(cell, slide_type: str, **more):
    cell.metadata.slideshow = {"slide_type": slide_type, **more}
    return cell


def deck(folder: Path, *cells, title: str = "# 77 · A talk") -> BeautifulSoup:
    """The slides of a notebook with a title slide and `cells`."""
    node = new_notebook(cells=[marked(new_markdown_cell(title), "slide"), *cells])
    nbformat.write(node, folder / "77_talk.ipynb")
    page = make_deck(folder / "77_talk.ipynb", folder / "77_talk.html").read_text("utf-8")
    return BeautifulSoup(page, "html.parser")


def picture(width: int = 80, height: int = 40):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return output("image/png", base64.b64encode(file.getvalue()).decode())


def output(kind: str, content: str):
    return new_output("display_data", {kind: content, "text/plain": "<something>"})


def code(source: str = "answer = 42", *outputs):
    return new_code_cell(source, outputs=list(outputs))


def printed(text: str):
    return new_output("stream", name="stdout", text=text)


TEXT = """## 2 · A section with $x$

A long explanation that a speaker gives in words of his own while the audience looks at the equation or at the picture.

$$y = x^2$$

**Predict first.** Which is larger?

- one
- two

| a | b |
|---|---|
| 1 | 2 |

**What you should see.** Nothing that is not said. `$HOME` costs \\$5."""


def test_what_is_seen_and_what_is_said(tmp_path):
    frame = deck(tmp_path, marked(new_markdown_cell(TEXT), "slide")).select("section")[1]
    assert frame.h2.get_text(strip=True) == "2 · A section with" and len(frame.h2.select("svg")) == 1
    assert [svg["aria-label"] for svg in frame.select(".body svg")] == ["y = x^2"]
    assert seen(frame) == "Predict first. Which is larger? one two a b 1 2"
    said = " ".join(frame.select_one("aside.notes").get_text().split())
    assert said.startswith("A long explanation") and said.endswith("`$HOME` costs $5.".replace("`", ""))


def test_a_short_paragraph_above_a_list_is_seen(tmp_path):
    cell = marked(new_markdown_cell("## A\n\nTwo things are missing.\n\n- one\n- two\n\nThe rest is said."), "slide")
    assert seen(deck(tmp_path, cell).select("section")[1]) == "Two things are missing. one two"


def test_the_slide_type_says_where_a_cell_stands(tmp_path):
    soup = deck(
        tmp_path,
        code("not marked", printed("left out")),
        marked(new_markdown_cell("## One\n\nfirst words, said"), "slide"),
        marked(code("a", printed("beneath")), "-"),
        marked(code("b", printed("at a click")), "fragment"),
        new_markdown_cell("- goes on"),
        marked(new_markdown_cell("- all of it is said"), "notes"),
        marked(new_markdown_cell("- nowhere"), "skip"),
        marked(code("c", printed("on its own")), "subslide"),
        marked(code("d", printed("on its own, too")), "subslide", title="A headline"),
    )
    _, one, two, three = soup.select("section")
    assert seen(one) == "beneath at a click goes on"
    assert one.select_one(".fragment").get_text(strip=True) == "at a click"
    assert "all of it is said" in one.select("aside.notes")[1].get_text()
    assert (two.h2.get_text(strip=True), three.h2.get_text(strip=True)) == ("One", "A headline")
    assert "left out" not in soup.get_text() and "nowhere" not in soup.get_text()


def test_code_is_seen_only_where_the_cell_says_so(tmp_path):
    hidden, shown = marked(code("secret = 1", printed("1")), "subslide"), marked(code("plain = 2"), "-", code="show")
    text = deck(tmp_path, hidden, shown).select_one(".slides").get_text()
    assert "secret" not in text and "plain = 2" in text


@pytest.mark.parametrize("tag", ["solution", "check", "parameters"])
def test_solutions_checks_and_parameters_never_appear(tmp_path, tag):
    cell = marked(code("x = 1", printed("told")), "slide")
    cell.metadata.tags = [tag]
    assert "told" not in deck(tmp_path, cell).get_text()


def test_a_picture_comes_before_the_lines_that_are_for_people(tmp_path):
    cell = marked(code("f()", printed("20 objects\nall losses fell: True\n"), picture()), "subslide")
    body = deck(tmp_path, cell).select("section")[1].select_one(".cell.picture")
    assert [child["class"][0] for child in body.find_all("div", recursive=False)] == ["figure", "block"]
    assert body.get_text(strip=True) == "20 objects" and body.img["alt"] == "Figure: 77 · A talk"


def test_a_picture_no_wider_than_high_stands_beside_the_words(tmp_path):
    words = new_markdown_cell("- a list")
    layouts = [
        deck(tmp_path, marked(code("f()", picture(*size)), "subslide"), words).select("section")[1]["class"]
        for size in [(80, 80), (300, 80)]
    ]
    assert layouts == [["beside"], ["figures"]]


def test_addresses_in_the_text_are_dropped(tmp_path):
    cell = marked(new_markdown_cell("## A\n\n- [a paper](https://arxiv.org/abs/1) of 1999"), "slide")
    assert seen(deck(tmp_path, cell).select("section")[1]) == "a paper of 1999"


@pytest.mark.parametrize(
    ("latex", "names"),
    [
        (r"\frobnicate{x}", r"\frobnicate is no known command"),
        (r"\frac{a", "cannot be drawn"),
        ("x^", "cannot be drawn"),
        ("a_b_c", "Double"),
    ],
)
def test_a_formula_that_cannot_be_drawn_is_an_error_that_names_it(tmp_path, latex, names):
    with pytest.raises(SlideError, match=re.escape(names)) as caught:
        deck(tmp_path, marked(new_markdown_cell(f"## A\n\n- here ${latex}$"), "slide"))
    assert "77_talk.ipynb" in str(caught.value) and latex in str(caught.value)
    assert not (tmp_path / "77_talk.html").exists()


def test_a_formula_stands_on_its_line_and_has_no_id(tmp_path):
    below, above = (re.search(r"vertical-align:(-?[\d.]+)em", draw(t, inline=True))[1] for t in ("p_q", "b"))
    assert float(below) < -0.2 < float(above) <= 0
    assert " id=" not in draw(r"\sqrt{x}", inline=False) and "xmlns" not in draw("x", inline=True)


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        (new_markdown_cell("## A\n\n![a cat](https://example.org/cat.png)"), "cat.png"),
        (new_markdown_cell("## A\n\n![a cat](nowhere/cat.png)"), "nowhere/cat.png"),
        (
            code("x", output("text/html", "<img src='//example.org/x.png'>")),
            "//example.org/x.png",
        ),
        (code("x", output("text/html", "<style>@import 'x.css'</style>")), "x.css"),
        (code("x", output("text/html", "<p style='background: url(x.png)'>a")), "x.png"),
    ],
)
def test_what_would_be_loaded_from_elsewhere_is_an_error(tmp_path, cell, named):
    with pytest.raises(SlideError, match=re.escape(named)):
        deck(tmp_path, marked(cell, "slide"))


def test_a_notebook_without_slides_and_an_unknown_slide_type_are_errors(tmp_path):
    nbformat.write(new_notebook(cells=[new_markdown_cell("# 1")]), tmp_path / "a.ipynb")
    with pytest.raises(SlideError, match="a.ipynb cannot become slides: no cell begins a slide"):
        make_deck(tmp_path / "a.ipynb", tmp_path / "a.html")
    with pytest.raises(SlideError, match="'slied', expected one of -, fragment"):
        deck(tmp_path, marked(new_markdown_cell("a"), "slied"))


def test_licences_and_scripts_come_along(tmp_path):
    soup = deck(tmp_path)
    comment = str(soup.find(string=re.compile("Hakim El Hattab")))
    for words in ("Permission is hereby granted", "SIL OPEN FONT LICENSE", "Christopher Jeffrey"):
        assert words in comment
    scripts = [s["src"] for s in soup.select("script[src]")]
    assert [len(base64.b64decode(s.split(",")[1])) > 50_000 for s in scripts] == [True, True]


def test_lines_are_as_large_as_they_fit():
    assert size("a line", 500) == 31
    assert size("\n".join("a" * 20 for _ in range(25)), height=500) == pytest.approx(500 / 1.38 / 25)
    long = "a" * 120
    assert size(long, 500) < 16 and size(long, 500, wrap=True) == pytest.approx(20, abs=0.5)


def test_the_command_writes_decks_and_goes_on_after_one_that_fails(tmp_path, capsys):
    bad = tmp_path / "88_bad.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# 1")]), bad)
    assert main(["slides", str(bad), "00", "--out", str(tmp_path / "out")]) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00_start_here.html"]
    assert "88_bad.ipynb cannot become slides" in capsys.readouterr().err


def test_the_wheel_holds_template_and_style(tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    from compactlib.paths import ROOT

    wheel = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"compactlib/course/slides/deck/{name}" for name in ("index.html.j2", "deck.css", "conf.json")} <= names


def test_a_finished_run_lends_its_sharper_pictures(tmp_path):
    """Papermill's own cell is passed over; a run of another version of the lesson lends nothing."""
    stored = [marked(code("draw()", picture(80, 40)), "slide"), marked(code("print(1)", printed("1")), "slide")]
    lesson = new_notebook(cells=[marked(new_markdown_cell("# 77 · A talk"), "slide"), *stored])
    nbformat.write(lesson, tmp_path / "77_talk.ipynb")
    injected = new_code_cell("seed = 0", metadata={"tags": ["injected-parameters"]})
    warning = new_output("stream", name="stderr", text="a progress bar")
    ran = [injected, code("draw()", warning, picture(160, 80)), code("print(1)", printed("one"))]
    for source, pixels, words in (("print(1)", (160, 80), "one"), ("print(2)", (80, 40), "1")):
        ran[2].source = source
        nbformat.write(new_notebook(cells=ran), tmp_path / "run.ipynb")
        deck = make_deck(tmp_path / "77_talk.ipynb", tmp_path / "77.html", executed=tmp_path / "run.ipynb")
        page = BeautifulSoup(deck.read_text("utf-8"), "html.parser")
        image = base64.b64decode(page.find("img")["src"].split(",")[1])
        assert Image.open(io.BytesIO(image)).size == pixels
        assert words in page.text and "a progress bar" not in page.text
