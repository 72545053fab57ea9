import base64
import io

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from compactlib.figures import basic as figures
from compactlib.runs import refresh
from compactlib.runs.refresh import RefreshError, normalise, shrink
from tests.runs.samples import notebook


def test_a_notebook_is_rewritten_without_what_changes_by_itself(tmp_path):
    path = notebook(tmp_path / "notebooks" / "03_toy.ipynb", "## Text", "print('a'); print('b')", "epochs * 2")
    refresh.refresh(path)
    first = path.read_text()
    node = nbformat.read(path, as_version=4)
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3]
    assert [cell["id"] for cell in node.cells] == [f"cell-{n:02d}" for n in range(5)]
    assert code[1].outputs[0].text == "a\nb\n" and code[2].outputs[0].data["text/plain"] == "6"
    assert code[0].metadata == {"tags": ["parameters"]} and code[1].metadata == {}
    assert node.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    refresh.refresh(path)
    assert path.read_text() == first


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1/0", "ZeroDivisionError"),
        ("import sys; print('oh', file=sys.stderr)", r"Cell 2 .* wrote to stderr: oh"),
        ("import os; print(os.getcwd())", r"Cell 2 .* printed the path .* relative to the repository"),
    ],
)
def test_a_notebook_that_must_not_be_committed_stays_as_it_was(tmp_path, cell, message):
    path = notebook(tmp_path / "notebooks" / "03_toy.ipynb", cell)
    before = path.read_bytes()
    with pytest.raises(RefreshError, match=message):
        refresh.refresh(path)
    assert path.read_bytes() == before


def test_widgets_timings_and_frames_of_a_traceback_go():
    output = nbformat.v4.new_output
    cell = nbformat.v4.new_code_cell(
        "f()", metadata={"execution": {"shell.execute_reply": "2025-01-01"}, "papermill": {}, "tags": ["check"]}
    )
    cell.outputs = [
        output(
            "display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "0%"}
        ),
        output("error", ename="ValueError", evalue="no", traceback=["File /somewhere/x.py", "ValueError: no"]),
        output("execute_result", data={"text/plain": "1"}, execution_count=77),
    ]
    node = normalise(nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {}, "papermill": {}}))
    assert node.cells[0].metadata == {"tags": ["check"]}
    assert [o.output_type for o in node.cells[0].outputs] == ["error", "execute_result"]
    assert node.cells[0].outputs[0].traceback == ["ValueError: no"]
    assert node.cells[0].outputs[1].execution_count == node.cells[0].execution_count == 1
    assert not {"widgets", "papermill"} & set(node.metadata)
    nbformat.validate(node)


def test_lines_are_one_output_where_a_bar_came_between_them_or_the_kernel_sent_them_in_parts():
    output = nbformat.v4.new_output
    bar = output("display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "1"}})
    figure = output("display_data", data={"text/plain": "figure"})
    cell = nbformat.v4.new_code_cell("f()")
    cell.outputs = [output("stream", text=text) for text in ("families:", " CVT\n")] + [bar]
    cell.outputs += [output("stream", text="CCT\n"), figure, output("stream", text="end\n")]
    node = normalise(nbformat.v4.new_notebook(cells=[cell]))
    assert [o.get("text", "figure") for o in node.cells[0].outputs] == ["families: CVT\nCCT\n", "figure", "end\n"]
    nbformat.validate(node)


def test_colours_of_few_pixels_survive_a_small_palette(monkeypatch):
    """A dot's colour is what a legend speaks of; the black and grey of letters, far more pixels, must not eat it."""
    monkeypatch.setattr(refresh, "QUALITIES", ((24, 15),))
    figure, axis = plt.subplots(figsize=(9, 5), dpi=72)
    dots = {colour: axis.plot(k, k, "o", color=colour, markersize=12)[0] for k, colour in enumerate(figures.COLOURS)}
    axis.set(xlabel="seconds of training", ylabel="test accuracy (%)", title="two lines of letters\nin the title")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    centres = [axis.transData.transform((k, k)) for k in range(len(dots))]
    plt.close(figure)
    stored = nbformat.v4.new_output("display_data", data={"image/png": base64.b64encode(file.getvalue()).decode()})
    cell = nbformat.v4.new_code_cell("f()", outputs=[stored])
    (output,) = shrink(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs
    picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
    assert len(picture.getcolors()) <= 24
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    for colour, (x, y) in zip(dots, centres, strict=True):
        seen = pixels[pixels.shape[0] - 1 - int(y), int(x)]
        assert np.abs(seen - 255 * np.array(to_rgb(colour))).max() < 20, colour
