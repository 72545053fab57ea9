"""The convolutional baselines: the paper's counts, timm's layers, and the shortcut that has no parameters."""

import pytest
import timm
import torch
import torch.nn.functional as F

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.models import BASELINES, ResNetCifar, count_macs, count_parameters
from compactlib.models.resnet_cifar import ResidualBlock
from compactlib.runs.papers import load_table, paper_value

ROWS = {row["Model"].split("[")[0]: row for row in load_table("cct_table_11")}


@pytest.mark.parametrize("title", BASELINES)
def test_parameters_and_multiply_adds_are_the_papers(title):
    model = timm.create_model(BASELINES[title], num_classes=10)
    row = ROWS[title]["Model"]
    assert round(count_parameters(model) / 1e6, 2) == paper_value("cct_table_11", row, "# Params")
    macs = count_macs(model, (3, 32, 32)) / 1e9
    printed = ROWS[title]["MACs"]
    assert macs < 0.01 if printed.startswith("<") else abs(macs - float(printed.split()[0])) < 0.0075


def test_the_baselines_are_all_of_the_papers_small_ones():
    small = [name for name in ROWS if name.startswith(("ResNet", "MobileNet")) and "1k" not in name]
    assert set(BASELINES) == {name for name in small if not name.startswith("ResNet164")}


@pytest.mark.parametrize("title", BASELINES)
def test_grey_images_of_another_size(title):
    model = timm.create_model(BASELINES[title], num_classes=7, in_chans=1).eval()
    with torch.inference_mode():
        assert model(torch.randn(2, 1, 28, 28)).shape == (2, 7)
    assert model.get_classifier().out_features == 7


@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_without_its_branch_is_the_shortcut(stride):
    block = ResidualBlock(4, 8 if stride == 2 else 4, stride).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 4, 6, 6)
    kept = F.avg_pool2d(x, 1, stride)  # every second pixel
    out = block(x)
    torch.testing.assert_close(out[:, :4], F.relu(kept))
    assert (out[:, 4:] == 0).all()


def test_the_same_layers_as_timms_basic_block():
    """Same branch as timm's, whose shortcut is the identity where nothing changes size."""
    ours = ResidualBlock(8, 8, 1).eval()
    theirs = timm.models.resnet.BasicBlock(8, 8).eval()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("depth", [7, 18, 55])
def test_depths_that_cannot_be(depth):
    with pytest.raises(ValueError, match=r"is not 6n \+ 2; choose \d+ or \d+"):
        ResNetCifar(depth)
