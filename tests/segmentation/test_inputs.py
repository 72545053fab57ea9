"""Images and masks as they come: from behind, with foreign bytes, grey, through a wrapper."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.segmentation import ThresholdBaseline, confusion, dice_loss, predict_image, predict_tiled


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 65536, (70, 61, 1), dtype=np.uint16)


def test_byte_order_changes_nothing(image):
    model = timm.create_model("unet", in_chans=1, width=4, depth=2)
    ours, foreign = (predict_image(model, array) for array in (image, image.astype(image.dtype.newbyteorder())))
    assert np.array_equal(ours, foreign)


def test_a_wrapper_does_not_hide_the_grid(image):
    model = timm.create_model("unet_valid", in_chans=1, width=4, depth=2)
    tiles = [predict_tiled(m, image, tile=26 - 6, halo=20) for m in (model, nn.DataParallel(model))]
    assert np.array_equal(*tiles)


def test_grey_images_go_where_the_model_repeats_them(image):
    small = dict(img_size=32, window_size=1, embed_dim=8, num_heads=(1, 1, 2, 2), num_classes=2)
    model = timm.create_model("swin_unet_tiny", **small)
    grey, colour = (predict_image(model, array) for array in (image, np.repeat(image, 3, axis=2)))
    assert np.allclose(grey, colour, atol=1e-5)
    with pytest.raises(ValueError, match="an image of 1 channels; the model has in_chans=3"):
        predict_image(timm.create_model("unet", width=4), image)


def test_masks_seen_from_behind():
    pred, target = np.random.default_rng(0).integers(0, 3, (2, 5, 6))
    assert torch.equal(confusion(pred[::-1], target[::-1], 3), confusion(pred, target, 3))


def test_dice_of_a_large_batch_in_half_precision():
    logits = torch.zeros(4, 2, 512, 512, dtype=torch.float16)
    target = torch.zeros(4, 512, 512, dtype=torch.long)
    assert dice_loss(logits, target).item() == pytest.approx(dice_loss(logits.float(), target).item())


def test_the_baseline_finds_the_threshold_that_scikit_image_does():
    """Two grey values with noise: Otsu's threshold, which knows no masks, parts them as well."""
    from skimage.filters import threshold_otsu

    rng = np.random.default_rng(0)
    masks = (rng.random((3, 40, 40)) < 0.4).astype(np.uint8)
    images = (60 + 90 * masks + rng.normal(0, 8, masks.shape)).round().astype(np.uint8)[..., None]
    fitted = ThresholdBaseline.fit(images, masks)
    assert fitted.sigma == 0 and fitted.bright_is == 1 and 75 < fitted.threshold < 135
    otsu = images[..., 0] > threshold_otsu(images)
    assert (fitted.predict(images) == masks).mean() >= (otsu == masks).mean() > 0.99
    inverted = ThresholdBaseline.fit(images, 1 - masks)
    assert (inverted.predict(images) == 1 - fitted.predict(images)).all()


def test_the_baseline_smooths_where_noise_hides_the_classes():
    rng = np.random.default_rng(0)
    masks = np.zeros((2, 64, 64), np.uint8)
    masks[:, :, 32:] = 1
    images = np.clip(100 + 20 * masks + rng.normal(0, 30, masks.shape), 0, 255).astype(np.uint8)[..., None]
    masks[:, :5] = 255  # ignored
    fitted = ThresholdBaseline.fit(images, masks)
    counted = masks != 255
    assert fitted.sigma >= 2 and (fitted.predict(images) == masks)[counted].mean() > 0.9
    with pytest.raises(ValueError, match=r"tells two classes apart, 0 and 1; the masks also have \[2\]"):
        ThresholdBaseline.fit(images, masks + 1)


def test_an_image_below_the_smallest_size_is_mirrored_up_to_it():
    model = timm.create_model("unet", in_chans=1, width=4, norm="instance")  # takes 32 pixels and more
    assert predict_image(model, np.zeros((10, 50, 1), np.uint8)).shape == (10, 50, 2)


def test_a_classifier_gives_its_class_to_all_that_it_sees():
    """CCT on patches of 8 x 8 pixels that do not overlap: the mask has the class of each patch."""
    torch.manual_seed(0)
    model = timm.create_model("cct_2_3x2_32", img_size=8, in_chans=1, num_classes=3, embed_dim=16).eval()
    image = np.random.default_rng(0).integers(0, 256, (24, 16, 1), np.uint8)
    scores = predict_tiled(model, image, 8, 0, "blend", mean=0.5, std=0.25)
    for y in range(0, 24, 8):
        for x in range(0, 16, 8):
            patch = torch.from_numpy(image[y : y + 8, x : x + 8, 0] / 255).float()[None, None]
            with torch.no_grad():
                (expected,) = model((patch - 0.5) / 0.25)
            np.testing.assert_allclose(scores[y : y + 8, x : x + 8], np.broadcast_to(expected, (8, 8, 3)), atol=1e-5)
