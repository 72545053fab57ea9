"""Figures show the data they are given: what is drawn is read back from matplotlib."""

import matplotlib

matplotlib.use("Agg")

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from compactlib.figures import basic as figures
from compactlib.runs import kernel


@pytest.fixture(autouse=True)
def _close():
    yield
    figures.plt.close("all")


def test_patches_come_in_reading_order():
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    right = figures.patches(picture, 2).axes[1].images[0].get_array()
    cells = [right[0:2, 3 * k : 3 * k + 2] for k in range(4)]
    expected = [picture[y : y + 2, x : x + 2] for y in (0, 2) for x in (0, 2)]
    assert all(np.array_equal(a, b) for a, b in zip(cells, expected, strict=True))


def test_wrong_predictions_stand_out():
    axes = figures.predictions([np.zeros((4, 4))] * 2, ["cat", "dog"], ["cat", "cat"]).axes
    assert [a.get_title() for a in axes[:2]] == ["cat", "cat (is dog)"]
    assert axes[0].title.get_color() != axes[1].title.get_color()


def test_confusion_writes_the_counts_where_they_belong():
    axis = figures.confusion(np.array([[5, 2], [0, 7]]), ["a", "b"]).axes[0]
    written = {t.get_position(): t.get_text() for t in axis.texts}
    assert written == {(0, 0): "5", (1, 0): "2", (1, 1): "7"}
    assert axis.images[0].get_array().diagonal().tolist() == [0, 0]


def test_curves_without_a_validation_set():
    figure = figures.curves({"m": [{"epoch": 1, "train_loss": 2.0}, {"epoch": 2, "train_loss": 1.0}]})
    assert figure.axes[0].lines[0].get_ydata().tolist() == [2.0, 1.0] and not figure.axes[1].lines


def test_heat_maps_share_one_scale_from_zero():
    figure = figures.heat_over([np.zeros((4, 4))] * 2, [np.full((2, 2), 0.25), np.full((2, 2), 0.5)])
    assert {a.images[0].get_clim() for a in figure.axes[2:4]} == {(0.0, 0.5)}


def test_every_axis_with_numbers_is_named():
    history = [{"epoch": 1, "train_loss": 2.0, "val_accuracy": 0.5}]
    for figure in (figures.curves({"m": history}), figures.matrix(np.eye(3), "t", "x", "y")):
        for axis in figure.axes[:2] if len(figure.axes) > 2 else figure.axes[:1]:
            assert axis.get_xlabel() and axis.get_ylabel()


@pytest.mark.parametrize("backend", ["Agg", "pdf"])
def test_a_backend_of_the_environment_costs_a_notebook_no_picture(backend):
    """As in JupyterLab or under plain papermill, which pass the environment on as it is."""
    cells = ["from compactlib.figures import basic as figures\nfigures.style()", "figures.plt.plot([1, 2]);"]
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    manager = kernel.manager_class({"MPLBACKEND": backend})
    NotebookClient(node, kernel_name="python3", kernel_manager_class=manager, timeout=120).execute()
    [output] = [output for cell in node.cells for output in cell.outputs]
    assert "image/png" in output.data and output.metadata["image/png"]["alt"] == "A chart"


def test_a_picture_says_in_words_what_it_shows():
    history = [{"epoch": n, "train_loss": 1 / n, "val_accuracy": 0.5} for n in (1, 2)]
    said = figures.words(figures.curves({"CCT": history, "CVT": history}))
    assert said == "2 charts: training loss against epoch; with CCT, CVT; validation accuracy (%) against epoch"
    assert figures.words(figures.images([np.zeros((4, 4))] * 3, ["a", "b", "a"])) == "3 pictures: a; b"
