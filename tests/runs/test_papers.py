import csv
import re

import pytest

from compactlib.runs.papers import DATASETS, TABLES, Paper, load_table, paper_for, paper_value, table_names


@pytest.mark.parametrize(
    ("table", "row", "column", "value"),
    [  # read off the paper, arXiv 2104.05704
        ("cct_table_1", "CCT-2/3x2", "C-10", 89.75),
        ("cct_table_1", "ViT-Lite-7/4", "MNIST", 99.77),
        ("cct_table_1", "CVT-7/4", "# Params", 3.72),
        ("cct_table_1", "ViT-12/16", "MACs", 0.43),
        ("cct_table_3", "DeiT-S [19]", "# Params", 22.44),
        ("cct_table_11", "CCT-7/3x1*", "C-10", 98.00),
        ("cct_table_11", "CCT-7/3x1", "C-10", 96.53),
        ("swin_unet_table_1", "SwinUnet", "HD↓", 21.55),
    ],
)
def test_numbers_of_the_papers(table, row, column, value):
    assert paper_value(table, row, column) == value


def test_a_row_below_an_empty_entry_continues_the_one_above():
    where = {"PE": "Sinusoidal"}
    assert paper_value("cct_table_7", "CCT-7/3x1", "CIFAR-10", where=where) == 96.27  # "96.27% (+0.03%)"
    assert paper_value("cct_table_7", "ViT-Lite-7/8", "CIFAR-100", where={"PE": "None"}) == 48.54


@pytest.mark.parametrize("table", [name for name in table_names() if name.startswith("cct")])
def test_every_number_of_the_cct_tables_is_found(table):
    """Against an independent count: every cell of the file that starts with a digit or a sign is a number."""
    with (TABLES / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = list(csv.reader(file))
    cells = [line[1:] for line in lines if any(line[1:])]
    rows = load_table(table)
    assert len(rows) == len(cells) > 0
    for row, line in zip(rows, cells, strict=True):
        for column, text in zip(header[1:], line, strict=True):
            assert row[column] == text
            if re.match(r"[-+]?\d", text):
                where = {name: row[name] for name in header[1:]}
                assert str(paper_value(table, row[header[0]], column, where=where)) in (
                    text,
                    str(float(re.split(r"[ %MGx×]", text)[0])),
                )


def test_twenty_seven_tables_have_a_number_in_them():
    assert len(table_names()) == 27
    for table in table_names():
        assert any(re.search(r"\d", text) for row in load_table(table) for text in row.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cct_table_99", "a", "b"), "no paper table 'cct_table_99'. There are: cct_table_1, "),
        (("cct_table_1", "CCT-7/3x3", "C-10"), "no row 'CCT-7/3x3'. Near to it: CCT-7/3x"),
        (("cct_table_1", "CCT-2/3x2", "CIFAR-10"), "no column 'CIFAR-10'. It has: Model, C-10, C-100"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(arguments, message):
    with pytest.raises(KeyError, match=re.escape(message)):
        paper_value(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cct_table_8", "CVT-7/8", "C-10"), "has 2 rows 'CVT-7/8'.*Aug: x.*Aug: ✓"),
        (("cct_table_1", "Proxyless-G[5]", "C-100"), "holds '—'"),
        (("cct_table_1", "MobileNetV2/0.5", "MACs"), "holds '< 0.01 G'"),
    ],
)
def test_a_cell_that_is_not_one_number_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        paper_value(*arguments)


def test_the_reference_of_a_model_on_a_data_set():
    assert paper_for("CCT-7/3x2", "cifar100").value() == 77.72
    assert paper_for("CCT-7/3x2", "digits") is None and paper_for("CCT-9/9x9", "mnist") is None
    assert str(Paper("cct_table_1", "CVT-7/8", "C-10")) == "cct_table_1, CVT-7/8, C-10"
    assert set(DATASETS.values()) == {"cifar10", "cifar100", "fashion_mnist", "mnist"}
