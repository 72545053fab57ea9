import base64
import re
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from compactlib.runs import report
from compactlib.runs.folders import write_params
from tests.runs.test_results import good, run

PNG = base64.b64encode(b"\x89PNG picture").decode()


class Page(HTMLParser):
    """Collects tags with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def picture(**metadata):
    return new_output("display_data", data={"image/png": PNG, "text/plain": "<Figure>"}, metadata=metadata)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    ok, failed, cut, mine = (runs / "03_cct" / name for name in ("gpu", "cpu", "smoke", "interactive"))
    for folder in (ok, failed, cut, mine):
        folder.mkdir(parents=True)
        write_params(folder, {"epochs": 3, "title": "<script>alert(1)</script>"})
    cells = [new_markdown_cell("# Compact & small"), new_markdown_cell("## Curves"), new_code_cell("plot()")]
    cells[2].outputs = [picture(), picture(alt="Loss falls")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), ok / "notebook.ipynb")
    source = {"name": "cifar10", "source": "https://example.org/cifar"}
    run(ok).record([good(), good(model="ViT", dataset="digits")], data=source)
    error = new_output("error", ename="KeyError", evalue="'x'", traceback=["\x1b[31mKeyError\x1b[0m: 'x' in f"])
    cell = new_code_cell("f()")
    cell.outputs = [error]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), failed / "notebook.failed.ipynb")
    return Page(report.write(runs).read_text())


def test_the_page_needs_no_other_file_and_no_network(page):
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert re.match(r"data:image/png;base64,|#", attributes.get(name, "#")), (tag, attributes)
        assert tag not in ("script", "link", "iframe", "object")
        assert "url(" not in attributes.get("style", "")
    assert "@import" not in page.text and "url(" not in page.text


def test_every_figure_is_there_with_words_for_it(page):
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["alt"] for image in images] == ["Curves (1)", "Loss falls"]
    assert all(image["src"] == f"data:image/png;base64,{PNG}" for image in images)


def test_results_states_and_the_traceback_are_shown(page):
    states = [a["class"] for tag, a in page.tags if tag == "span" and a.get("class", "").startswith("state")]
    assert states[:3] == ["state failed", "state ok", "state interrupted"]  # cpu, gpu, smoke; not the interactive one
    for text in ("89.75 %", "+0.25", "not comparable: the paper's number is for cifar10", "KeyError: 'x' in f"):
        assert text in page.text
    assert "<script>alert(1)</script>" in page.text  # as text: it was escaped
    assert "python -m compactlib run 03 --profile gpu" in page.text


def test_links_in_the_page_lead_somewhere(page):
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {a["href"][1:] for tag, a in page.tags if tag == "a"} <= ids and len(ids) == 3


def test_an_empty_folder_makes_a_page_that_says_what_to_do(tmp_path):
    assert "No runs yet" in Page(report.write(tmp_path).read_text()).text
