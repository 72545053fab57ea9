"""Named models: the paper's tables, timm's registry."""

import csv
import re

import pytest
import timm
import torch

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.models import VARIANTS, CompactTransformer, count_macs, count_parameters
from compactlib.paths import DATA
from tests.golden.cases import CLONE

COUNTS = list(csv.DictReader((CLONE / "parameter_counts.csv").open()))


@pytest.mark.parametrize("name", [row["name"] for row in COUNTS if "_sine" in row["name"]])
def test_sine_means_sinusoidal(name):
    """The authors' `*_sine` names of CVT and CCT build a learnable embedding; here it is a frozen sinusoid."""
    model = timm.create_model(name)
    assert not model.pos_embed.requires_grad
    assert (model.pos_embed[0, 0, 0::2] == 0).all() and (model.pos_embed[0, 0, 1::2] == 1).all()
    frozen = count_parameters(model) - count_parameters(model, trainable_only=True)
    assert frozen == model.pos_embed.numel()


def paper_name(variant: str) -> str:
    """cct_7_3x1_32 -> CCT-7/3x1"""
    family, depth, tokenizer = re.match(r"(vit|cvt|cct)_(\d+)_([\dx]+)_32$", variant).groups()
    title = {"vit": "ViT" if depth == "12" else "ViT-Lite", "cvt": "CVT", "cct": "CCT"}[family]
    return f"{title}-{depth}/{tokenizer}"


def rows_of_paper() -> dict[str, dict]:
    """The rows of Tables 1, 8 and 11 that name one of the paper's models, by their name."""
    rows = {}
    for table in (1, 8, 11):
        for row in csv.DictReader((DATA / "paper_tables" / f"cct_table_{table}.csv").open()):
            if row["# Params"] and re.match(r"(ViT|CVT|CCT)", row["Model"]):
                rows[row["Model"].replace("×", "x").rstrip("*⋆ ")] = row
    return rows


def named_sizes() -> dict[str, str]:
    """CCT-7/3x1 -> cct_7_3x1_32, for all models at 32 pixels with a learnable embedding."""
    return {paper_name(v): v for v in VARIANTS if re.match(r"(vit|cvt|cct)_\d+_[\dx]+_32$", v)}


def test_every_model_of_the_papers_tables_has_a_name_and_its_size():
    rows = rows_of_paper()
    assert len(rows) == 20 and set(rows) <= set(named_sizes())
    for paper, row in rows.items():
        millions = count_parameters(timm.create_model(named_sizes()[paper])) / 1e6
        assert f"{millions:.2f} M" == row["# Params"], paper


def test_macs_round_to_the_papers_column_but_where_it_counts_the_norms():
    """The paper's column (fvcore's total) adds the normalisation layers: four models round up to the next step."""
    tipped = {}
    for paper, row in rows_of_paper().items():
        name = named_sizes()[paper]
        if f"{count_macs(timm.create_model(name), (3, 32, 32)) / 1e9:.2f} G" != row["MACs"]:
            with_norms = [int(r["macs_fvcore_total"]) for r in COUNTS if r["name"] == name]
            tipped[paper] = f"{with_norms[0] / 1e9:.2f} G" == row["MACs"]
    assert tipped == {"ViT-Lite-7/4": True, "CVT-6/4": True, "CCT-6/3x1": True, "CCT-7/3x1": True}


def test_timm_builds_and_lists_the_models():
    model = timm.create_model("cct_7_3x1_32", num_classes=10, in_chans=1)
    assert isinstance(model, CompactTransformer) and model(torch.zeros(2, 1, 32, 32)).shape == (2, 10)
    assert {"cct_2_3x2_32", "cct_14_7x2_384_fl"} <= set(timm.list_models("cct*"))
    assert timm.create_model("cct_2_3x2_32", num_classes=0)(torch.zeros(1, 3, 32, 32)).shape == (1, 128)


@pytest.mark.parametrize("bad", [{"embedding_dim": 64}, {"dropout": 0.1}])
def test_an_unknown_argument_is_an_error(bad):
    with pytest.raises(TypeError, match=next(iter(bad))):
        timm.create_model("cct_2_3x2_32", **bad)
