"""Augmentation with masks: one geometry, nearest masks, exact moves, and the elastic grid of the U-Net paper."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from compactlib.segmentation import Augmentation, augment, elastic_displacement, warp

GEOMETRY = {"rotate": 40.0, "scale": 0.3, "shift": 9.0, "elastic": 3.0}
SHAPES = [(40, 40), (33, 52)]


def smooth(n, h, w):
    """Images of slowly varying brightness, 0 to 1."""
    coarse = torch.rand(n, 1, 4, 4)
    return torch.nn.functional.interpolate(coarse, size=(h, w), mode="bilinear", align_corners=True)


def batch(n=6, h=40, w=40):
    images = torch.rand(n, 3, h, w)
    masks = torch.randint(5, (n, h, w))
    masks[:, :7] = 255
    return images, masks, torch.rand(n, h, w)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_off_is_identity(shape):
    arrays = batch(3, *shape)
    assert same(augment(*arrays, Augmentation()), arrays)
    assert augment(*arrays[:2], None, Augmentation())[2] is None


@pytest.mark.parametrize("shape", SHAPES)
def test_flips_are_flips(shape):
    arrays = batch(64, *shape)
    changed = augment(*arrays, Augmentation(flip=True))
    seen = set()
    for i in range(64):
        one, new = [array[i] for array in arrays], [array[i] for array in changed]
        axes = [(), (-1,), (-2,), (-1, -2)]
        found = [k for k, axis in enumerate(axes) if same(new, [a.flip(axis) if axis else a for a in one])]
        assert len(found) == 1
        seen.update(found)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("shape", SHAPES)
def test_quarter_turns_are_turns(shape):
    arrays = batch(64, *shape)
    changed = augment(*arrays, Augmentation(rot90=True))
    seen = set()
    for i in range(64):
        one, new = [array[i] for array in arrays], [array[i] for array in changed]
        found = [k for k in range(4) if same(new, [a.rot90(k, (-2, -1)) for a in one])]
        assert len(found) == 1
        seen.update(found)
    assert seen == ({0, 1, 2, 3} if shape[0] == shape[1] else {0, 2})


@pytest.mark.parametrize("name", GEOMETRY)
@pytest.mark.parametrize("shape", SHAPES)
def test_image_mask_and_weights_stay_together(name, shape):
    images = smooth(8, *shape)
    masks = (images[:, 0] * 200).long()
    weights = masks.float() / 200
    new_images, new_masks, new_weights = augment(images, masks, weights, Augmentation(**{name: GEOMETRY[name]}))
    assert torch.equal(new_weights, new_masks.float() / 200)  # the same nearest pixel
    step = max((images.diff(dim=axis)).abs().max().item() for axis in (-1, -2))
    # A nearest pixel is half a pixel away in y and x at most, and masks are rounded down to 1/200.
    assert (new_images[:, 0] - new_weights).abs().max() < step + 1 / 200
    assert (new_images - images).abs().mean() > step / 4  # something moved


@pytest.mark.parametrize("name", GEOMETRY)
def test_no_class_is_made_up_and_255_stays(name):
    images, masks, _ = batch()
    masks = torch.where(masks == 255, 255, 40 * masks)
    changed = augment(images, masks, None, Augmentation(flip=True, **{name: GEOMETRY[name]}))[1]
    assert changed.dtype == torch.int64 and set(changed.unique().tolist()) == {0, 40, 80, 120, 160, 255}


def test_images_and_types_are_kept():
    images, masks, weights = batch()
    settings = Augmentation(flip=True, rot90=True, intensity=0.5, speckle=0.3, **GEOMETRY)
    new_images, new_masks, new_weights = augment(images, masks, weights, settings)
    assert new_images.shape == images.shape and new_images.dtype == torch.float32 and new_weights.dtype == torch.float32
    assert new_masks.shape == masks.shape and new_images.min() >= 0 and new_images.max() <= 1


def test_same_seed_same_batch_and_images_differ():
    arrays, settings = batch(), Augmentation(flip=True, intensity=0.2, **GEOMETRY)
    first, again = (torch.manual_seed(3) and augment(*arrays, settings) for _ in range(2))
    assert same(first, again) and not same(first, augment(*arrays, settings))
    copies = augment(*(array[:1].expand(4, *array.shape[1:]) for array in arrays), settings)[0]
    assert (copies[0] - copies[1]).abs().mean() > 0.01


def test_a_rotation_is_scikit_images(monkeypatch):
    from skimage.transform import rotate

    image = smooth(1, 41, 41)
    monkeypatch.setattr("compactlib.segmentation.augmentation._uniform", lambda n, device: torch.ones(n))
    turned = augment(image, torch.zeros(1, 41, 41, dtype=torch.int64), None, Augmentation(rotate=30))[0]
    expected = [rotate(image[0, 0].numpy(), angle, order=1, mode="reflect") for angle in (30, -30)]
    differences = [np.abs(turned[0, 0].numpy() - picture)[8:-8, 8:-8].max() for picture in expected]
    assert min(differences) < 1e-4 < max(differences)


@pytest.mark.parametrize("shape", [(41, 41), (21, 65)])
def test_displacement_passes_through_the_drawn_vectors(shape):
    h, w = shape
    found = elastic_displacement(h, w, std=10, generator=torch.Generator().manual_seed(5))
    drawn = 10 * torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(5))[0]
    torch.testing.assert_close(found[:, :: (h - 1) // 2, :: (w - 1) // 2], drawn, rtol=1e-4, atol=1e-4)
    assert found.shape == (2, h, w)
    assert found.diff(dim=-1).abs().max() < 5 * drawn.abs().max() / (w / 2)  # smooth


def test_displacements_have_the_papers_spread():
    corners = torch.stack([elastic_displacement(9, 9)[:, ::4, ::4] for _ in range(400)])  # 7,200 numbers
    assert corners.std().item() == pytest.approx(10, rel=0.04) and abs(corners.mean().item()) < 0.5
    assert abs(torch.corrcoef(torch.stack([corners[:, 0].flatten(), corners[:, 1].flatten()]))[0, 1]) < 0.06


@pytest.mark.parametrize(("mode", "order"), [("bilinear", 1), ("nearest", 0)])
@pytest.mark.parametrize("shape", [(30, 30), (17, 44), (1, 9)])
def test_warping_is_scipys(shape, mode, order):
    image = torch.rand(shape)
    displacement = elastic_displacement(*shape, std=6)
    at = np.indices(shape) + displacement.numpy()
    expected = map_coordinates(image.numpy(), at, order=order, mode="mirror")
    close = np.abs(warp(image, displacement, mode).numpy() - expected) < 1e-4
    assert close.mean() > (0.999 if order else 0.97)  # nearest: a coordinate may lie between two pixels


def test_shapes_of_warp():
    displacement = elastic_displacement(8, 9)
    image = torch.rand(2, 3, 8, 9)
    out = warp(image, displacement)
    assert out.shape == image.shape
    assert torch.equal(warp(image[1], displacement), out[1]) and torch.equal(warp(image[1, 2], displacement), out[1, 2])
    with pytest.raises(ValueError, match="expected \\(2, 8, 9\\)"):
        warp(image, displacement[:, :-1])


def test_intensity_and_speckle_change_images_only():
    images, masks, weights = batch()
    for settings in (Augmentation(intensity=0.3), Augmentation(speckle=0.2)):
        new_images, *rest = augment(images, masks, weights, settings)
        assert (new_images != images).float().mean() > 0.9 and same(rest, (masks, weights))


def test_speckle_multiplies():
    images = torch.full((2, 1, 200, 200), 0.5)
    images[1] = 0.1
    noisy = augment(images, torch.zeros(2, 200, 200, dtype=torch.int64), None, Augmentation(speckle=0.1))[0]
    for image, value in zip(noisy, (0.5, 0.1), strict=True):
        assert image.std().item() == pytest.approx(0.1 * value, rel=0.03) and image.mean().item() == pytest.approx(
            value, rel=0.01
        )


@pytest.mark.parametrize(
    "wrong",
    [{"rotate": 181}, {"scale": -0.1}, {"elastic": True}, {"flip": "false"}, {"shift": "3"}, {"speckle": float("nan")}],
)
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Augmentation(**wrong)


def test_every_setting_changes_something():
    arrays = batch()
    for field in dataclasses.fields(Augmentation):
        settings = Augmentation(**{field.name: True if field.type is bool else 0.4})
        assert not same(augment(*arrays, settings), arrays), field.name


def test_arrays_that_do_not_fit():
    images, masks, weights = batch()
    for wrong, said in [
        ((images[0], masks, None), "images are"),
        (((images * 255).byte(), masks, None), "uint8"),
        ((images, masks[:, 1:], None), "masks of shape"),
        ((images, masks.byte(), None), "int64"),
        ((images, masks, weights[:2]), "weights of shape"),
    ]:
        with pytest.raises(ValueError, match=said):
            augment(*wrong, Augmentation())
