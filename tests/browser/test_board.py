"""The board as people see it: one cell that shows its page, served by Voila, opened in Chromium."""

import json
import sys
import time
import urllib.error
import urllib.request

import nbformat
import pytest
from playwright.sync_api import expect

from compactlib.app import serve
from compactlib.lab import Paper, Result
from compactlib.runs import results
from tests.browser.serving import free_port, served, visitors
from tests.runs.samples import record_of

CELL = "from compactlib.runs.board import BoardPage\nBoardPage()"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs; one has a learning curve."""
    folder = tmp_path_factory.mktemp("runs")
    cell = Paper("cct_table_11", "CCT-7/3x1", "C-10")
    found = {
        "03_cct": Result("CCT-7/3x1", "cifar10", 0.95, params_count=3_760_000, seconds=900.0, paper=cell,
                         comparable=True),
        "02_cvt": Result("CVT-2/2", "digits", 0.7, params_count=70_000, seconds=10.0),
    }  # fmt: skip
    for notebook, result in found.items():
        results.write(record_of(notebook=notebook, run="mine", results=[result]), folder / notebook / "mine")
    rows = [dict(epoch=e, seconds=3.0, train_loss=2 / e, val_accuracy=0.2 * e) for e in (1, 2, 3)]
    (folder / "02_cvt" / "mine" / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


@pytest.fixture(scope="module")
def address(runs, tmp_path_factory):
    notebook = tmp_path_factory.mktemp("page") / "board.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)]), notebook)
    url = f"http://127.0.0.1:{(port := free_port())}/"
    command = [
        sys.executable, "-m", "voila", str(notebook), "--no-browser", f"--port={port}",
        "--template=segmentation", "--VoilaConfiguration.resources={'upload_limit': 0}",
        f"--VoilaConfiguration.extension_allowlist={serve.WIDGETS}",
    ]  # fmt: skip
    with served(command, COMPACT_RUNS=str(runs), JUPYTER_PATH=str(serve.SHARE)) as process:  # the app's own template
        for _ in range(180):
            assert process.poll() is None, "Voila ended"
            try:
                urllib.request.urlopen(url + "api/status", timeout=5).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.5)
        yield url


def picture(page) -> tuple[int, int]:
    """Width of the visible picture on the page and in its file, pixels."""
    image = page.locator("img.widget-image:visible")
    expect(image).to_have_count(1)
    return image.evaluate("(i) => i.decode().then(() => [i.clientWidth, i.naturalWidth])")


def test_the_board_is_chosen_from_looked_at_and_exported(chromium, address, runs):
    with visitors(chromium, address) as open_page:
        page = open_page()
        table = page.locator(".board table:visible").first
        expect(table).to_contain_text("CVT-2/2")
        page.get_by_label("Notebook").select_option("03_cct")
        expect(table).to_contain_text("CCT-7/3x1")
        expect(table).not_to_contain_text("CVT-2/2")

        page.get_by_role("tab", name="Accuracy").click()
        shown, drawn = picture(page)
        assert 600 < shown <= min(drawn, 1280)
        page.get_by_role("tab", name="The paper's tables").click()
        expect(page.get_by_text("(ours 95.00, ")).to_be_visible()
        page.get_by_label("Table").select_option("unet_table_1")
        expect(page.get_by_text("No run here has a number of this table.")).to_be_visible()

        page.get_by_label("Notebook").select_option("02_cvt")
        page.get_by_role("tab", name="Learning curves").click()
        shown, drawn = picture(page)
        assert 600 < shown <= min(drawn, 1280)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

        page.get_by_role("button", name="Export").click()
        expect(page.get_by_text("Written to")).to_be_visible()
    assert "CVT-2/2" in (runs / "board" / "board.md").read_text()
