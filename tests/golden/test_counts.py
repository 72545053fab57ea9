"""A table of counts with a wrong number, or with something that nobody can count, fails."""

import json

import pytest

from tests.golden.cases import CLONE
from tests.golden.counts import check_table


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("params_total", "params_all", "params_all"),
        ("214666,206346", "214666,206347", "params_trainable 206346, recorded 206347"),
        ("15090944", "15090945", "cvt_2_4_32: macs_matmul_conv 15090944"),
    ],
)
def test_a_wrong_count_fails(old, new, said, tmp_path):
    lines = (CLONE / "parameter_counts.csv").read_text().splitlines()
    table = tmp_path / "parameter_counts.csv"
    table.write_text(
        "\n".join(line for line in lines if line.startswith(("name", "vit_2", "cvt_2"))).replace(old, new, 1)
    )
    assert any(said in problem for problem in check_table(table))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"swin_unet": {"same, 2 classes": 27168229}}, "27168228 parameters, recorded 27168229"),
        ({"swin_unet": {"same, 2 classes, 3 eyes": 1}}, "3 eyes"),
        ({"unet_family": {"milesial UNet 2 channels 2 classes bilinear": 17263042}}, "recorded 17263042"),
        ({"unet_family": {"attention UNet": 1}}, "attention UNet"),
        ({"conv_next": {}}, "conv_next"),
        ({"original_unet": {"convolution_layers": 24}}, "convolution_layers: 23, recorded 24"),
    ],
)
def test_a_wrong_count_in_words_fails(entry, said, tmp_path):
    (tmp_path / "counts.json").write_text(json.dumps(entry))
    assert any(said in problem for problem in check_table(tmp_path / "counts.json"))
