"""The board: choosing, the papers' tables, pictures, export, and the page with its menus."""

import json
import shutil
import subprocess
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import mistune
import numpy as np
import pytest
import timm
from PIL import Image

from compactlib import datasets, training
from compactlib.lab import Paper, Result
from compactlib.runs import board, papers, results
from compactlib.runs.board import pictures as figures
from compactlib.runs.tables import Table
from tests.runs.samples import record_of

CELL = Paper("cct_table_11", "CCT-7/3x1", "C-10")


def cct(value, *, model="CCT-7/3x1", dataset="cifar10", comparable=True, **facts):
    return Result(model, dataset, value, paper=CELL if model == "CCT-7/3x1" else None, comparable=comparable, **facts)


@pytest.fixture
def runs(tmp_path):
    """Three runs of two notebooks; the first has two learning curves."""
    found = {
        ("03_cct", "seed=0"): [cct(0.94, params_count=3_760_000, seconds=900.0)],
        ("03_cct", "seed=1"): [cct(0.96, params_count=3_760_000, seconds=800.0)],
        ("02_cvt", "smoke"): [
            cct(0.70, model="CVT-2/2", dataset="digits", params_count=70_000, seconds=10.0),
            cct(0.72, model="ViT-Lite-2/2", dataset="digits", params_count=71_000, seconds=12.0),
        ],
    }
    for (notebook, run), values in found.items():
        folder = tmp_path / "runs" / notebook / run
        results.write(record_of(notebook=notebook, run=run, results=values), folder)
    for k, name in enumerate(("cct", "cvt")):
        rows = [dict(epoch=e, seconds=10.0, train_loss=2 / e, val_accuracy=0.1 * e + 0.2 * k) for e in (1, 2, 3)]
        text = "\n".join(map(json.dumps, rows)) + ('\n{"epoch": 4, "tr' if k else "\n")  # killed while writing
        target = tmp_path / "runs" / "02_cvt" / "smoke" / name / "metrics.jsonl"
        target.parent.mkdir()
        target.write_text(text)
    return tmp_path / "runs"


def test_runs_are_chosen_by_notebook_data_and_model(runs):
    records = board.collect(runs)
    assert len(records) == 3
    assert [r.run for r in board.select(records, notebook="03*")] == ["seed=0", "seed=1"]
    assert [r.notebook for r in board.select(records, data="digits")] == ["02_cvt"]
    (one,) = board.select(records, model="vit-lite-*")
    assert [r.model for r in one.results] == ["ViT-Lite-2/2"]
    assert board.select(records, model="CCT") == []
    assert board.select(records) == records


def test_a_folder_of_files_is_read_like_a_folder_of_runs(runs, tmp_path):
    shutil.copy(runs / "02_cvt" / "smoke" / "result.json", tmp_path / "02_cvt-smoke.json")
    assert board.collect(tmp_path) == board.collect(runs, notebook="02_cvt")


def test_seeds_give_mean_and_deviation_beside_the_papers_number(runs):
    table = board.paper_tables(board.collect(runs))["cct_table_11"]
    paper = board.paper_value("cct_table_11", "CCT-7/3x1", "C-10")
    values = 100 * np.array([0.94, 0.96])
    ours = f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
    assert table.rows == (
        ("CCT-7/3x1", "C-10", f"{paper:.2f}", ours, f"{values.mean() - paper:+.2f}", "seed=0, seed=1", ""),
    )
    (row,) = board.coverage(board.collect(runs)).rows
    assert row == ("cct_table_11", "1", "1")


def test_what_is_not_comparable_never_stands_beside_the_papers_number(runs):
    other = [replace(r, results=[cct(0.5, comparable=False, note="3 epochs")]) for r in board.collect(runs)[1:2]]
    (row,) = board.paper_tables(other)["cct_table_11"].rows
    assert row[3:5] == ("-", "-") and row[6] == "50.00 % not comparable: 3 epochs"
    assert board.coverage(other).rows == (("cct_table_11", "1", "0"),)


def test_a_whole_table_is_the_papers_with_ours_in_its_cell(runs):
    printed = papers.load_table("cct_table_11")
    table = board.whole_table("cct_table_11", board.collect(runs))
    assert table.columns == tuple(printed[0]) and len(table.rows) == len(printed)
    changed = [(new, old) for row, before in zip(table.rows, printed, strict=True)
               for new, old in zip(row, before.values(), strict=True) if new != old]  # fmt: skip
    value = board.paper_value("cct_table_11", "CCT-7/3x1", "C-10")
    assert changed == [(f"{value:.2f}% (ours 95.00 ± 1.41, {95 - value:+.2f})", f"{value:.2f}%")]
    other = replace(board.collect(runs)[1], results=[cct(0.5, comparable=False, note="3 epochs")])
    assert board.whole_table("cct_table_11", [other]).rows == tuple(tuple(row.values()) for row in printed)
    with pytest.raises(KeyError, match="There is no paper table 'cct_table_99'"):
        board.whole_table("cct_table_99", [])


def test_a_whole_table_tells_rows_of_one_name_apart(runs):
    where = {"PE": "Sinusoidal"}
    paper = Paper("cct_table_7", "CCT-7/3x1", "CIFAR-10", where=where)
    result = Result("CCT-7/3x1", "cifar10", 0.9, paper=paper, comparable=True)
    table = board.whole_table("cct_table_7", [replace(board.collect(runs)[0], results=[result])])
    (row,) = [row for row in table.rows if any("ours" in text for text in row)]
    assert "Sinusoidal" in row and "(ours 90.00, " in row[table.columns.index("CIFAR-10")]


def test_only_tables_with_results_are_there(runs):
    assert list(board.paper_tables(board.collect(runs))) == ["cct_table_11"]
    assert board.paper_tables([]) == {}


def test_trials_of_an_ablation_are_named_by_what_differs(tmp_path):
    results.write(
        record_of(notebook="04_ablations", run="smoke", results=[cct(0.9)]), tmp_path / "04_ablations" / "smoke"
    )
    for seed in (0, 1):
        folder = tmp_path / "04_ablations" / "smoke" / "trials" / f"abc{seed}"
        folder.mkdir(parents=True)
        facts = dict(accuracy=0.9, params_count=1, train_seconds=1.0, cpu_seconds=1.0, history=[])
        content = dict(settings={"pool": "seq", "num_convs": 1}, seed=seed, **facts)
        (folder / "trial.json").write_text(json.dumps(content))
        (folder / "metrics.jsonl").write_text('{"epoch": 1, "train_loss": 1}\n')
    assert list(figures.histories(board.collect(tmp_path))) == ["04 smoke: seed=0", "04 smoke: seed=1"]


def test_learning_curves_leave_out_a_half_written_line(runs):
    curves = figures.histories(board.collect(runs))
    assert {name: len(rows) for name, rows in curves.items()} == {"02 smoke: cct": 3, "02 smoke: cvt": 3}
    figure = figures.learning(curves, against="seconds")
    left, right = figure.axes
    assert [list(line.get_xdata()) for line in left.lines] == [[10, 20, 30]] * 2
    np.testing.assert_allclose(right.lines[1].get_ydata(), [30, 40, 50])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(curves)
    plt.close(figure)
    with pytest.raises(ValueError, match=r"no metrics\.jsonl"):
        figures.learning({})
    with pytest.raises(ValueError, match="'epoch' or 'seconds'"):
        figures.learning(curves, against="steps")


def test_a_segmentation_model_has_iou_and_dice_and_a_classifier_accuracy():
    """The names are those that `fit` writes; its seconds are of one epoch each."""
    masks = [dict(epoch=e, seconds=5.0, train_loss=1 / e, val_accuracy=0.99, val_iou=0.1 * e, val_dice=0.2 * e)
             for e in (1, 2, 3)]  # fmt: skip
    classes = [dict(epoch=e, seconds=2.0, train_loss=2 / e, val_accuracy=0.3 * e) for e in (1, 2, 3)]
    without = [dict(epoch=e, seconds=1.0, train_loss=3 / e) for e in (1, 2)]

    def drawn(curves, **options):
        figure = figures.learning(curves, **options)
        plt.close(figure)
        return {axis.get_ylabel(): [np.round(line.get_xydata(), 6).tolist() for line in axis.lines]
                for axis in figure.axes}  # fmt: skip

    found = drawn({"masks": masks, "classes": classes, "without": without}, against="seconds")
    assert len(found.pop("training loss")) == 3
    assert found == {
        "validation accuracy (%)": [[[2, 30], [4, 60], [6, 90]]],
        "validation mean IoU (%)": [[[5, 10], [10, 20], [15, 30]]],
        "validation mean Dice (%)": [[[5, 20], [10, 40], [15, 60]]],
    }
    assert list(drawn({"masks": masks})) == ["training loss", "validation mean IoU (%)", "validation mean Dice (%)"]
    assert list(drawn({"without": without})) == ["training loss"]


def test_what_fit_writes_of_masks_is_drawn(tmp_path):
    data = datasets.load("cells", fraction=0.1, val_fraction=0.5)
    model = timm.create_model("unet", in_chans=data.in_chans, num_classes=data.num_classes, width=2, depth=1)
    recipe = training.MaskRecipe(epochs=1, warmup_epochs=0, batch_size=2)
    training.fit(model, data, recipe, tmp_path / "05_unet/smoke", progress=False)
    found = [Result("U-Net", "cells", 0.5, metric="mean IoU")]
    results.write(record_of(notebook="05_unet", run="smoke", results=found), tmp_path / "05_unet/smoke")
    figure = figures.learning(figures.histories(board.collect(tmp_path)))
    assert [axis.get_ylabel() for axis in figure.axes[1:]] == ["validation mean IoU (%)", "validation mean Dice (%)"]
    assert all(len(axis.lines) == 1 for axis in figure.axes)
    plt.close(figure)


def test_accuracy_against_parameters_has_every_result_and_the_papers_models(runs):
    records = board.collect(runs)
    figure = figures.accuracy_against(records, dataset="cifar10")
    ours, theirs = (group.get_offsets() for group in figure.axes[0].collections)
    np.testing.assert_allclose(ours, [[3.76e6, 94], [3.76e6, 96]])
    np.testing.assert_allclose(theirs, [[0.28e6, 89.75], [3.85e6, 95.04], [3.76e6, 96.53]])  # Table 1, 300 epochs
    plt.close(figure)
    figure = figures.accuracy_against(records, "seconds", dataset="digits")
    assert [group.get_offsets().tolist() for group in figure.axes[0].collections] == [[[10, 70]], [[12, 72]]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["CVT", "ViT-Lite"]
    plt.close(figure)
    with pytest.raises(ValueError, match="no test accuracy"):
        figures.accuracy_against(records, dataset="mnist")
    with pytest.raises(ValueError, match="choose one of"):
        figures.accuracy_against(records, "colour")


def test_export_writes_tables_and_pictures(runs, tmp_path):
    written = board.export(board.collect(runs), tmp_path / "talk")
    assert sorted(path.name for path in written) == [
        "accuracy-parameters-cifar10.png", "accuracy-parameters-digits.png", "accuracy-seconds-cifar10.png",
        "accuracy-seconds-digits.png", "board.md", "board.tex", "learning-curves.png",
    ]  # fmt: skip
    for path in written:
        if path.suffix == ".png":
            assert Image.open(path).width >= 1800
    assert "| CCT-7/3x1 | C-10 |" in (tmp_path / "talk" / "board.md").read_text()
    with pytest.raises(ValueError, match="no results to export"):
        board.export([], tmp_path / "none")
    assert not (tmp_path / "none").exists()


SIGNS = (
    "50 % _x_ __y__ {y} \\ ~ ^ # $ & | <b> `c` [d](e) *f* ± — <script>alert(1)</script> ![](http://x) &amp; \\| \\\\|"
)
BREAKS = "a\nb\r\nc\n\nd\u2028e\x85f\x0bg\x00h\x1b[31mi"


def test_a_name_may_hold_anything(tmp_path):
    found = [
        Result(model, dataset, 0.9, params_count=1000, seconds=1.0, note=BREAKS)
        for model, dataset in (("$\\frac{", "../../etc/$x_{"), ("a$b$c", "/" * 300), ("_x", ".."), ("\n", "C:\\n\n"))
    ]
    folder = tmp_path / "runs/03_cct/$\\frac{"
    results.write(record_of(notebook="03_cct", run="$\\frac{", results=found), folder)
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "train_loss": 1.0, "val_accuracy": 0.5}\n')
    written = board.export(board.collect(tmp_path / "runs"), tmp_path / "a/b/talk")
    assert len(written) == 11 and {path.parent for path in written} == {tmp_path / "a/b/talk"}
    assert {path for path in tmp_path.rglob("*.png")} == {path for path in written if path.suffix == ".png"}


def test_latex_keeps_every_sign(tmp_path):
    table = Table(("name", "a & b"), ((SIGNS, "1 ± 2"), ("<", "—"), (BREAKS, BREAKS)), ("a & b",), note=SIGNS)
    text = table.to_latex()
    assert r"\begin{tabular}{lr}" in text and r"a \& b" in text and r"1 $\pm$ 2" in text
    assert (
        r"50 \% \_x\_ \_\_y\_\_ \{y\} \textbackslash{} \textasciitilde{} \textasciicircum{} \# \$ \& | $<$b$>$" in text
    )
    assert len(text.splitlines()) == len(Table(("a",), (("b",), ("c",), ("d",)), note="e").to_latex().splitlines())
    if shutil.which("pdflatex"):
        (tmp_path / "t.tex").write_text(rf"\documentclass{{article}}\begin{{document}}{text}\end{{document}}")
        subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True, capture_output=True)


def test_markdown_keeps_every_sign_in_its_cell():
    """Read back by the parser that JupyterLab's export uses: no HTML, no link, no picture, one row a row."""
    table = Table(("name", "a | b"), ((SIGNS, "1"), ("<img src=x>", "2"), (BREAKS, BREAKS)), ("a | b",))
    shown = mistune.create_markdown(escape=False, plugins=["table"])(table.to_markdown())
    page = ElementTree.fromstring(f"<page>{shown}</page>")
    cells = [["".join(cell.itertext()) for cell in row] for row in page.iter("tr")]
    flat = "a b c d e f g h [31mi"
    assert cells == [["name", "a | b"], [SIGNS, "1"], ["<img src=x>", "2"], [flat, flat]]
    assert {element.tag for element in page.iter()} == {"page", "table", "thead", "tbody", "tr", "th", "td"}


def test_in_a_terminal_a_table_is_a_line_a_row_and_steers_nothing():
    text = str(Table(("name",), ((BREAKS,), (SIGNS,))))
    assert len(text.splitlines()) == 4 and "\x1b" not in text and "\x00" not in text and SIGNS in text


def test_the_page_shows_what_is_chosen_and_exports_it(runs):
    page = board.BoardPage(runs)
    mine = {"02_cvt", "03_cct"}
    assert mine <= set(page.notebook.options) and page.trainings.value == ("02 smoke: cct", "02 smoke: cvt")
    page.notebook.value = "03_cct"
    assert {record.notebook for record in page.chosen} == {"03_cct"}
    assert "CVT" not in page.board.value and page.trainings.options == ()
    assert page.curves.layout.display == "none" and page.paper.value == "cct_table_11" and "± 1.41" in page.answer.value
    page.paper.value = "swin_unet_table_1"
    assert "No run here has a number of this table" in page.answer.value and "TransUnet" in page.answer.value
    before = page.accuracy.value
    page.what.value = "seconds"
    assert page.accuracy.value != before
    page.write.click()
    assert "board.tex" in page.message.value and (runs / "board" / "board.tex").is_file()
    page.model.value = "nothing like it"
    assert page.chosen == [] and "No results yet" in page.board.value
    page.write.click()
    assert "Not exported" in page.message.value


def test_the_page_reads_new_runs_and_keeps_the_choice(runs):
    page = board.BoardPage(runs)
    page.data.value = "digits"
    results.write(record_of(notebook="04_ablations", run="x", results=[cct(0.5)]), runs / "04_ablations" / "x")
    page.reload.click()
    assert page.data.value == "digits" and "04_ablations" in page.notebook.options


def test_the_page_says_which_record_it_cannot_read(runs):
    (runs / "03_cct" / "seed=0" / "result.json").write_text("{")
    page = board.BoardPage(runs)
    assert "result.json is not valid JSON" in page.message.value
    assert [record.run for record in board.select(page.records, notebook="03_cct")] == ["seed=1"]
