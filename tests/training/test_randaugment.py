"""RandAugment of batches, against timm's of single pictures."""

import random

import numpy as np
import pytest
import timm.data.auto_augment as timm_augment
import torch
from PIL import Image
from scipy.stats import ks_2samp
from skimage import data
from timm.data.transforms import RandomResizedCropAndInterpolation

from compactlib.training.pictures import MAGNITUDE_MAX
from compactlib.training.randaugment import GEOMETRY, OPERATIONS, RandAugment, random_resized_crop, warp

CONFIG, MEAN = "rand-m9-mstd0.5-inc1", (0.4, 0.5, 0.6)
FILL = tuple(round(255 * m) for m in MEAN)
PICTURE = np.array(Image.fromarray(data.astronaut()).resize((48, 40)))  # height 40, width 48
X = torch.from_numpy(PICTURE).permute(2, 0, 1)[None]  # (1, 3, 40, 48)


def timms(name, strength, sign, monkeypatch):
    """timm's operation at a strength (0 to 1) and with a sign, on the picture."""
    monkeypatch.setattr(timm_augment, "_randomly_negate", lambda value: value * sign)
    level = timm_augment.LEVEL_TO_ARG[name]
    arguments = level(10 * strength, {}) if level else ()
    move = dict(resample=Image.Resampling.BILINEAR, fillcolor=FILL)
    return np.asarray(timm_augment.NAME_TO_OP[name](Image.fromarray(PICTURE), *arguments, **move)).astype(int)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("strength", [0.0, 0.35, 0.9])
@pytest.mark.parametrize("name", OPERATIONS)
def test_colours_are_those_of_pillow(name, strength, sign, monkeypatch):
    level = [torch.tensor(value).view(1, 1, 1, 1) for value in (strength, sign)]
    got = OPERATIONS[name](X, *level)[0].permute(1, 2, 0).numpy()
    assert got.dtype == np.uint8
    assert np.abs(got - timms(name, strength, sign, monkeypatch)).max() <= 1  # rounding


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("strength", [0.0, 0.35, 0.9])
@pytest.mark.parametrize("name", GEOMETRY)
def test_moves_are_those_of_pillow(name, strength, sign, monkeypatch):
    matrix = GEOMETRY[name](torch.tensor([strength]), torch.tensor([sign]), 40, 48)
    got = warp(X, matrix, FILL)[0].permute(1, 2, 0).numpy()
    off = np.abs(got - timms(name, strength, sign, monkeypatch)) > 1
    assert off.mean() < 0.05  # the line where the picture ends is drawn softer here
    moved = warp(torch.full_like(X, 255), matrix, (0, 0, 0))[0].permute(1, 2, 0).numpy()
    assert not off[moved == 255].any()


def test_every_operation_of_the_increasing_set_is_there():
    assert OPERATIONS.keys() | GEOMETRY.keys() == set(timm_augment._RAND_INCREASING_TRANSFORMS)


def test_the_draws_change_a_picture_as_much_as_timms():
    """The mean change of a picture over many draws, by timm and here, has the same distribution."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    hparams = {"img_mean": FILL, "magnitude_max": MAGNITUDE_MAX, "interpolation": Image.Resampling.BILINEAR}
    theirs = timm_augment.rand_augment_transform(CONFIG, hparams)
    n = 1500
    one = np.stack([np.asarray(theirs(Image.fromarray(PICTURE))) for _ in range(n)]).astype(int)
    many = RandAugment(CONFIG, MEAN)(X.repeat(n, 1, 1, 1)).permute(0, 2, 3, 1).numpy().astype(int)
    change = [np.abs(batch - PICTURE).mean(axis=(1, 2, 3)) for batch in (one, many)]
    assert ks_2samp(*change).pvalue > 0.01
    assert abs((change[0] == 0).mean() - (change[1] == 0).mean()) < 0.05  # left alone: a quarter and a little


def test_images_of_a_batch_are_drawn_one_by_one_and_repeat_with_the_seed():
    draw = RandAugment(CONFIG, MEAN)
    torch.manual_seed(3)
    first = draw(X.repeat(64, 1, 1, 1))
    torch.manual_seed(3)
    assert torch.equal(first, draw(X.repeat(64, 1, 1, 1)))
    assert len({image.numpy().tobytes() for image in first}) > 40


def test_grey_images():
    grey = X[:, :1].repeat(200, 1, 1, 1)
    changed = RandAugment(CONFIG, (0.5,))(grey)
    assert changed.shape == grey.shape and changed.dtype == torch.uint8


def test_a_set_that_needs_single_pictures_is_refused():
    with pytest.raises(ValueError, match="increasing set"):
        RandAugment("rand-m9-tweights", MEAN)


def test_a_crop_of_the_whole_image_is_the_image():
    torch.testing.assert_close(warp(X, torch.eye(2, 3)[None], FILL), X)
    square = X[..., :40].repeat(50, 1, 1, 1)
    crops = random_resized_crop(square, 0.999999)  # the aspect still varies, but some parts are nearly whole
    assert min((crop.int() - square[0].int()).abs().float().mean() for crop in crops) < 3


def test_resized_crops_are_drawn_as_timms():
    """Areas and places of the parts, read off a picture of its own coordinates."""
    side, n = 64, 1500
    ramp = torch.linspace(1, 254, side)
    coordinates = torch.stack([ramp.expand(side, side), ramp[:, None].expand(side, side)]).round().byte()
    torch.manual_seed(0)
    random.seed(0)
    ours = random_resized_crop(coordinates.repeat(n, 1, 1, 1), 0.4).float()
    across = (ours[:, 0, :, -1].mean(1) - ours[:, 0, :, 0].mean(1)) / 253  # width of the part
    down = (ours[:, 1, -1].mean(1) - ours[:, 1, 0].mean(1)) / 253
    blank = Image.new("RGB", (side, side))
    boxes = [RandomResizedCropAndInterpolation.get_params(blank, (0.4, 1.0), (3 / 4, 4 / 3)) for _ in range(n)]
    assert ks_2samp((across * down).numpy(), [h * w / side**2 for _, _, h, w in boxes]).pvalue > 0.001
    assert ks_2samp((across / down).numpy(), [w / h for _, _, h, w in boxes]).pvalue > 0.001
    left = (ours[:, 0, :, 0].mean(1) - 1) / 253
    assert abs(left.mean() - np.mean([x / side for _, x, _, _ in boxes])) < 0.01
