"""Overlap-tile: exact for unpadded models whatever the image size, blended for the others, and small in memory."""

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn.functional import max_pool2d

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.segmentation import predict_image, predict_tiled, seam_error


class Valid(nn.Module):
    """A small unpadded network with a pooling: margin 8, grid of 4 pixels; it says nothing about itself."""

    def __init__(self, classes=3):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3)
        self.last = nn.ConvTranspose2d(4, classes, 4, stride=4)

    def forward(self, x):  # (b, 2, 4k + 18, ...) -> (b, classes, 4k + 2, ...)
        assert x.shape[2] % 4 == 2
        x = max_pool2d(self.first(x).relu(), 2)  # 2k + 8
        x = max_pool2d(self.second(x).relu(), 2)  # k + 3
        return self.last(x)[:, :, 5:-5, 5:-5]


def image_of(height, width, channels=2, dtype=np.float32):
    pixels = np.random.default_rng(height * width).random((height, width, channels))
    return (pixels * {"uint8": 255, "uint16": 65535}.get(np.dtype(dtype).name, 1)).astype(dtype)


@torch.inference_mode()
def one_pass(model, image, margin, multiple, rest):
    """The model on the whole mirrored image, made larger at its end until its sides are right."""
    extra = [(rest - side - 2 * margin) % multiple for side in image.shape[:2]]
    # NumPy mirrors an axis of one pixel by repeating it, which is what we do.
    padded = np.pad(image, [(margin, margin + e) for e in extra] + [(0, 0)], mode="reflect")
    scores = model.eval()(torch.from_numpy(padded).permute(2, 0, 1)[None].contiguous())[0]
    return scores[:, : image.shape[0], : image.shape[1]].permute(1, 2, 0).numpy()


SIZES = [(1, 1), (1, 37), (2, 3), (18, 18), (29, 53), (64, 48), (97, 101)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tile", [6, 18, 34])
def test_crop_is_exact_for_an_unpadded_model(size, tile):
    model, image = Valid(), image_of(*size)
    found = predict_tiled(model, image, tile=tile, halo=8, align=4)
    assert found.shape == (*size, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found, one_pass(model, image, 8, 4, 2), rtol=0, atol=1e-5)


def test_without_the_grid_of_the_poolings_it_would_not_be():
    model, image = Valid(), image_of(60, 60)
    found = predict_tiled(model, image, tile=18, halo=8)  # steps by 18, not by 16
    assert np.abs(found - one_pass(model, image, 8, 4, 2)).max() > 1e-3


@pytest.mark.parametrize("size", [(1, 50), (7, 5), (100, 100), (131, 67), (211, 160)])
@pytest.mark.parametrize("tile", [20, 68, 100])
def test_crop_is_exact_for_unet(size, tile):
    model, image = timm.create_model("unet_valid", in_chans=1, num_classes=2, width=4), image_of(*size, 1)
    found = predict_tiled(model, image, tile=tile, halo=92)
    expected = one_pass(model, image, 92, 16, 12)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))
    np.testing.assert_allclose(
        predict_image(model, image, max_tile=64), found, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


def test_crop_is_exact_for_a_padded_model_with_halo_enough():
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 5, padding=2))  # sees 3 pixels
    image = image_of(41, 30)
    padded = np.pad(image, [(3, 3), (3, 3), (0, 0)], mode="reflect")
    expected = one_pass(model, padded, 0, 1, 0)[3:-3, 3:-3]
    np.testing.assert_allclose(predict_tiled(model, image, tile=9, halo=3), expected, atol=1e-5)
    assert np.abs(predict_tiled(model, image, tile=9, halo=2) - expected).max() > 1e-3


@pytest.mark.parametrize("mode", ["crop", "blend"])
@pytest.mark.parametrize("size", [*SIZES, (130, 20)])
@pytest.mark.parametrize(("tile", "halo"), [(16, 0), (16, 4), (16, 8), (10, 20)])
def test_a_model_of_single_pixels_is_reproduced(mode, size, tile, halo):
    model, image = nn.Conv2d(2, 3, 1), image_of(*size)
    found = predict_tiled(model, image, tile=tile, halo=halo, mode=mode)
    np.testing.assert_allclose(found, one_pass(model, image, 0, 1, 0), rtol=0, atol=2e-6)


def test_blending_comes_near_the_single_pass_and_a_halo_helps():
    model = nn.Sequential(*(nn.Conv2d(c, 4, 5, padding=2) for c in (2, 4, 4, 4)))  # sees 8 pixels
    image = image_of(96, 96)
    expected = one_pass(model, image, 0, 1, 0)
    blended = predict_tiled(model, image, tile=24, halo=4, mode="blend")
    hard = predict_tiled(model, image, tile=24, halo=0, mode="blend")
    jump = [seam_error(found, expected, tile=24) for found in (hard, blended)]
    assert jump[0][0] > 2 * jump[0][-1] and jump[1].max() < jump[0].max() / 2


def test_seam_error_tells_the_distance():
    stitched, reference = np.zeros((2, 16, 8, 3), np.float32)
    stitched[[7, 8]], stitched[[6, 9]] = 5, 2  # beside the border between rows 7 and 8, and one pixel farther
    np.testing.assert_allclose(seam_error(stitched, reference, tile=8), [5, 2, 0, 0, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="at least one border"):
        seam_error(stitched, reference, tile=16)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_numbers_are_scaled_and_normalised(dtype):
    model, image = nn.Conv2d(2, 3, 1), image_of(20, 30, dtype=dtype)
    white = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    mean, std = (0.4, 0.6), (0.2, 0.3)
    expected = one_pass(model, ((image / white - mean) / std).astype(np.float32), 0, 1, 0)
    for found in (
        predict_tiled(model, image, 16, 4, mean=mean, std=std),
        predict_image(model, image, mean, std),
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_files_in_and_out(tmp_path):
    model, pixels = Valid(), image_of(61, 45)
    image = np.memmap(tmp_path / "image", np.float32, "w+", shape=pixels.shape)
    image[:] = pixels
    for mode, options in {"crop": dict(tile=18, halo=8, align=4), "blend": dict(tile=16, halo=8)}.items():
        model = Valid() if mode == "crop" else nn.Conv2d(2, 3, 3, padding=1)
        out = np.memmap(tmp_path / mode, np.float32, "w+", shape=(61, 45, 3))
        out[:] = 7  # what stood there before does not matter
        found = predict_tiled(model, image, mode=mode, out=out, **options)
        assert found is out
        np.testing.assert_array_equal(out, predict_tiled(model, pixels, mode=mode, **options))


def test_the_model_never_sees_more_than_a_batch_of_tiles():
    class Sliced:  # like a file: no pixels but those asked for
        shape, read = (5000, 700, 2), 0

        def __getitem__(self, key):
            rows, columns = (len(range(*part.indices(side))) for part, side in zip(key, self.shape, strict=False))
            Sliced.read = max(Sliced.read, rows * columns)
            return np.ones((rows, columns, 2), np.uint8)

    seen = []
    model = nn.Conv2d(2, 1, 1)
    model.register_forward_hook(lambda module, inputs, output: seen.append(tuple(inputs[0].shape)))
    for mode in ("crop", "blend"):
        predict_tiled(model, Sliced(), tile=180, halo=10, mode=mode, batch_size=3)
    assert {shape[1:] for shape in seen} == {(2, 200, 200)} and max(shape[0] for shape in seen) == 3
    assert Sliced.read <= 200 * 200


def test_modes_are_put_back_and_no_gradient_is_kept():
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.9)).train()
    model[1].eval()
    before = model[1].running_mean.clone()
    image = image_of(20, 20)
    first, second = (predict_tiled(model, image, 16, 0) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert model.training and not model[1].training and model[2].training
    assert torch.equal(model[1].running_mean, before)
    with pytest.raises(RuntimeError):
        predict_tiled(nn.Sequential(model, nn.Conv2d(9, 1, 1)), image, 16, 0)
    assert model.training and not model[1].training


UNET = dict(tile=100, halo=92)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tile": 0}, "tile=0: expected a whole number, 1 or more"),
        ({"tile": 2.5}, "tile=2.5"),
        ({"halo": -1}, "halo=-1: expected a whole number, 0 or more"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"mode": "hann"}, "mode='hann' is unknown"),
        ({"halo": 16}, "use halo=92"),
        ({"tile": 99}, "tiles that work with this halo: 84 and 100"),
        ({"tile": 4}, "use tile=16 or more"),
        ({"mode": "blend"}, "mode='crop' is exact"),
        ({"mean": 0.5}, "mean and std belong together"),
        ({"mean": (0.5, 0.4), "std": (1, 1)}, "expected 1, one per channel"),
        ({"image": image_of(40, 40, 3)}, "3 channels; the model has in_chans=1"),
        ({"image": image_of(40, 40, 1)[..., 0]}, "add the channel axis"),
        ({"image": image_of(40, 40, 1)[:0]}, "pixels in it"),
        ({"image": np.zeros((40, 40, 1), np.int64)}, "int64; expected uint8"),
        ({"out": np.zeros((40, 40, 5), np.float32)}, "expected floats \\(40, 40, 2\\)"),
        ({"out": np.zeros((40, 40, 2), np.uint8)}, "out is uint8"),
    ],
)
def test_mistakes_are_named_before_any_work(change, said):
    model = timm.create_model("unet_valid", in_chans=1, num_classes=2, width=4)
    model.forward = lambda x: pytest.fail("the model ran")
    arguments = {"image": image_of(40, 40, 1), **UNET, **change}
    with pytest.raises(ValueError, match=said):
        predict_tiled(model, **arguments)


def test_a_model_that_says_nothing_is_found_out():
    image = image_of(60, 60)
    with pytest.raises(ValueError, match="no padding, use mode='crop' and halo=8"):
        predict_tiled(Valid(), image, tile=22, halo=6)
    with pytest.raises(ValueError, match="no padding, use mode='crop' and halo=8"):
        predict_tiled(Valid(), image, tile=18, halo=8, mode="blend")
    with pytest.raises(ValueError, match="for 20 x 20 pixels the model gave scores of 22 x 22; expected as many"):
        predict_tiled(nn.Conv2d(2, 3, 1, padding=1), image, tile=20, halo=0)
    with pytest.raises(ValueError, match="answered with shape \\(9, 800\\)"):
        predict_tiled(nn.Flatten(), image, tile=20, halo=0)


class Fixed(nn.Conv2d):
    img_size, margin = (32, 32), 0

    def forward(self, x):
        assert x.shape[2:] == self.img_size
        return super().forward(x)


@pytest.mark.parametrize("size", [(32, 32), (20, 70), (100, 33)])
def test_any_image_through_a_model_of_fixed_size(size):
    model, free, image = Fixed(2, 3, 1), nn.Conv2d(2, 3, 1), image_of(*size)
    free.load_state_dict(model.state_dict())
    np.testing.assert_allclose(predict_image(model, image), one_pass(free, image, 0, 1, 0), atol=2e-6)
    with pytest.raises(ValueError, match="it takes 32 x 32: use tile=24"):
        predict_tiled(model, image, tile=30, halo=4)


@pytest.mark.parametrize("size", [(64, 64), (50, 70), (33, 17)])
def test_a_padded_unet_takes_any_image(size):
    model, image = timm.create_model("unet", in_chans=2, num_classes=3, width=4), image_of(*size)
    found = predict_image(model, image)
    end = [(0, -side % 16) for side in size]
    padded = np.pad(image, [*end, (0, 0)], mode="reflect")
    expected = one_pass(model, padded, 0, 16, 0)[: size[0], : size[1]]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    out = np.zeros((*size, 3), np.float32)
    assert predict_image(model, image, max_tile=32, out=out) is out and out.any()


def test_a_bar_is_shown_if_asked(capsys):
    predict_tiled(nn.Conv2d(2, 1, 1), image_of(40, 40), 16, 0, progress=True)
    assert "9/9" in capsys.readouterr().err
    predict_tiled(nn.Conv2d(2, 1, 1), image_of(40, 40), 16, 0)
    assert capsys.readouterr().err == ""


def test_every_batch_is_reported_and_an_error_raised_there_ends_the_work():
    model, image, seen = nn.Conv2d(2, 1, 1), image_of(40, 40), []
    predict_tiled(model, image, 16, 0, batch_size=2, on_tile=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]

    def stop(done, total):
        seen.append(done)
        raise KeyError("enough")

    seen.clear()
    with pytest.raises(KeyError, match="enough"):
        predict_tiled(model.train(), image, 16, 0, batch_size=1, on_tile=stop)
    assert seen == [1] and model.training
