"""U-Net: counts of the paper, sizes that work and those that do not, and what no padding is good for."""

import math

import pytest
import timm
import torch
from torch import nn

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.models import UNet, count_macs, count_parameters, load_official
from tests.golden.cases import CLONE, GoldenCase

SMALL = dict(in_chans=1, num_classes=3, width=4)
VALID = dict(padded=False, norm="none")


def test_the_papers_network():
    model = timm.create_model("unet_valid")
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert count_parameters(model) == 31_030_658 and len(convolutions) == 23
    assert (model.margin, model.stride, model.img_size) == (92, 16, None)
    sides = {stage: (channels, side) for stage, channels, side in model.sizes(572)}
    # Figure 1: the last box of each level.
    assert sides["down 0"] == (64, 568) and sides["down 1"] == (128, 280) and sides["down 4"] == (1024, 28)
    assert sides["up 3"] == (512, 52) and sides["up 0"] == (64, 388) and sides["output"] == (2, 388)
    assert [model.output_size(side) for side in (188, 204, 220, 236, 252)] == [4, 20, 36, 52, 68]


def test_macs_of_a_network_small_enough_to_count_by_hand():
    model = UNet(in_chans=1, num_classes=2, width=2, depth=1, **VALID)
    # 18 -> 16 -> 14, pooled 7 -> 5 -> 3, up 6, cropped skip, 4 -> 2.
    down = 16**2 * 9 * 1 * 2 + 14**2 * 9 * 2 * 2 + 5**2 * 9 * 2 * 4 + 3**2 * 9 * 4 * 4
    up = 3**2 * 4 * 4 * 2 + 4**2 * 9 * 4 * 2 + 2**2 * 9 * 2 * 2 + 2**2 * 2 * 2
    assert count_macs(model, (1, 18, 18)) == down + up


@torch.no_grad()
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_unpadded_sizes_are_exactly_those_that_the_operations_allow(depth):
    """Against the definition: every pooling meets an even side, and a pixel is left."""

    def works(side: int) -> bool:
        for _ in range(depth):
            side -= 4
            if side % 2:
                return False
            side //= 2
        side -= 4
        for _ in range(depth):
            side = 2 * side - 4
        return side > 0

    model = UNet(**SMALL, depth=depth, **VALID).eval()
    for side in range(1, 13 * 2**depth + 40):
        good = [s for s in range(1, 15 * 2**depth + 80) if works(s)]
        assert model.nearest_sizes(side) == (
            max((s for s in good if s <= side), default=None),
            min(s for s in good if s >= side),
        )
    smallest, larger = model.nearest_sizes(1)[1], model.nearest_sizes(13 * 2**depth)[1]
    output = model(torch.zeros(1, 1, smallest, larger))
    assert output.shape == (1, 3, smallest - 2 * model.margin, larger - 2 * model.margin)
    assert [row[2] for row in model.sizes(larger)][-1] == output.shape[3]


@torch.no_grad()
def test_a_size_that_cannot_work_is_an_error_that_names_the_nearest():
    model = UNet(**SMALL, **VALID).eval()
    with pytest.raises(ValueError, match="height 570.*16 k - 4.*nearest are 556 and 572"):
        model(torch.zeros(1, 1, 570, 572))
    with pytest.raises(ValueError, match="width 100.*nearest is 188"):
        model(torch.zeros(1, 1, 188, 100))
    with pytest.raises(ValueError, match="nearest are 188 and 204"):
        UNet(**SMALL, **VALID, img_size=200)
    padded = UNet(**SMALL).eval()
    with pytest.raises(ValueError, match="16 pixels or more; the nearest is 16"):
        padded(torch.zeros(1, 1, 16, 15))
    with pytest.raises(ValueError, match=r"expected images \(batch, 1"):
        padded(torch.zeros(1, 3, 16, 16))
    with pytest.raises(ValueError, match=r"built for images of \(32, 48\) pixels, got \(32, 32\)"):
        UNet(**SMALL, img_size=(32, 48))(torch.zeros(1, 1, 32, 32))


@torch.no_grad()
@pytest.mark.parametrize("upsample", ["transpose", "bilinear"])
@pytest.mark.parametrize("size", [(16, 16), (17, 31), (33, 20), (40, 64)])
def test_padded_keeps_any_size(upsample, size):
    model = UNet(**SMALL, upsample=upsample).eval()
    assert model(torch.zeros(2, 1, *size)).shape == (2, 3, *size)
    assert model.margin == 0
    maps = [s for name, _, s in model.sizes(size[0]) if name.startswith("down")]
    assert maps == [size[0] // 2**i for i in range(5)]


@torch.no_grad()
def test_unpadded_output_moves_with_the_image():
    """Shifted by the stride, the image gives the shifted output: no pixel knows where the border is."""
    model = UNet(**SMALL, depth=2, **VALID).eval()
    side, s = model.nearest_sizes(60)[1], model.stride
    image = torch.randn(1, 1, side + s, side + s)
    whole, part = model(image), model(image[:, :, s:, s:])
    torch.testing.assert_close(part, whole[:, :, s:, s:], rtol=1e-4, atol=1e-5)
    padded = UNet(**SMALL, depth=2).eval()
    assert not torch.allclose(padded(image)[:, :, s:, s:], padded(image[:, :, s:, s:]), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_an_output_pixel_sees_margin_and_up_to_a_stride_less_one_more():
    """Tiles must sit on the pooling grid: beside it, an output would need pixels beyond the margin."""
    model = UNet(in_chans=1, num_classes=1, width=2, depth=1, **VALID).eval().double()
    for p in model.parameters():  # positive weights: nothing cancels, no ReLU closes
        p.abs_().add_(0.1)
    image = torch.rand(1, 1, 58, 58, dtype=torch.float64)
    reach = set()
    for pixel in (28, 29):
        changed = image.clone()
        changed[:, :, pixel, 29] += 1.0
        rows = (model(changed) - model(image)).abs().amax(dim=(0, 1, 3)).nonzero().flatten() + model.margin
        reach |= {abs(rows.min().item() - pixel), abs(rows.max().item() - pixel)}
    assert model.margin < max(reach) <= model.margin + model.stride - 1


@pytest.mark.parametrize("norm", ["batch", "group", "instance", "none"])
@pytest.mark.parametrize("upsample", ["transpose", "bilinear"])
def test_finite_gradients_reach_every_parameter(norm, upsample):
    model = UNet(in_chans=2, num_classes=3, width=4, depth=2, norm=norm, upsample=upsample)
    model(torch.randn(2, 2, 19, 24)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name


def test_initialisation_keeps_the_variance_of_section_3():
    model = timm.create_model("unet_valid", width=32)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.weight.numel() > 20_000:
            # N: numbers that enter one output pixel. Counted: feed ones through weights of one.
            probe = type(module)(module.in_channels, 1, module.kernel_size, stride=module.stride, bias=False)
            nn.init.ones_(probe.weight)
            incoming = probe(torch.ones(1, module.in_channels, 6, 6)).max().item()
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / incoming), rel=0.02)


def test_dropout_ends_the_contracting_path_and_nothing_else():
    model = timm.create_model("unet_valid", width=4)
    assert model.dropout.p == 0.5
    seen = []
    model.dropout.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].shape[1]))
    model(torch.zeros(1, 1, 188, 188))
    assert seen == [32, 64]  # the two deepest levels
    assert timm.create_model("unet", width=4).dropout.p == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(norm="layer"), "norm='layer' is unknown"),
        (dict(upsample="nearest"), "upsample='nearest' is unknown"),
        (dict(padded=False, upsample="bilinear"), "needs padded=True"),
        (dict(depth=0), "depth=0 is too small"),
        (dict(num_classes=0), "num_classes=0 is too small"),
    ],
)
def test_arguments_that_cannot_work(settings, message):
    with pytest.raises(ValueError, match=message):
        UNet(**settings)


def test_timm_and_the_last_layer():
    model = timm.create_model("unet", width=4, num_classes=5, in_chans=1, img_size=32)
    assert isinstance(model, UNet) and model.img_size == (32, 32)
    model.reset_classifier(7)
    assert model.get_classifier() is model.head and model(torch.zeros(2, 1, 32, 32)).shape == (2, 7, 32, 32)
    with pytest.raises(TypeError, match="kernel_size"):
        timm.create_model("unet", kernel_size=5)
    with pytest.raises(ValueError, match="no official weights for 'unet'"):
        timm.create_model("unet", pretrained=True)


def test_official_weights_of_another_head_or_depth():
    weights = GoldenCase(CLONE / "unet_original_valid_c4").weights
    model = timm.create_model("unet_valid", width=4, num_classes=5)
    head = model.head.weight.clone()
    with pytest.warns(UserWarning, match="head for 2 classes, the model for 5"):
        load_official(model, {f"module.{key}": value for key, value in weights.items()})
    assert torch.equal(model.head.weight, head)
    assert torch.equal(model.encoder[4].conv2.bias, weights["down.4.2.bias"])
    assert torch.equal(model.decoder[0].up.bias, weights["upconv.0.bias"])
    with pytest.raises(ValueError, match=r"not in this model: encoder\.4"):
        load_official(timm.create_model("unet_valid", width=4, depth=3), weights)


def test_milesials_names_for_both_forms_and_what_its_script_saves_beside():
    """Names written out by hand; the bilinear form has no `up` weights, and the script adds a list of mask values."""
    block = {"conv1": 0, "norm1": 1, "conv2": 3, "norm2": 4}
    for upsample in ("transpose", "bilinear"):
        source = timm.create_model("unet", width=4, depth=2, upsample=upsample)
        nn.init.normal_(source.encoder[1].norm2.bias)
        theirs = {"outc.conv": "head"}
        for name, number in block.items():
            theirs[f"inc.double_conv.{number}"] = f"encoder.0.{name}"
            for i in (1, 2):
                theirs[f"down{i}.maxpool_conv.1.double_conv.{number}"] = f"encoder.{i}.{name}"
                theirs[f"up{i}.conv.double_conv.{number}"] = f"decoder.{i - 1}.conv.{name}"
        if upsample == "transpose":
            theirs |= {f"up{i}.up": f"decoder.{i - 1}.up" for i in (1, 2)}
        ours = source.state_dict()
        weights = {
            f"{t}.{k.rsplit('.', 1)[1]}": v for t, o in theirs.items() for k, v in ours.items() if k.startswith(f"{o}.")
        }
        assert len(weights) == len(ours)
        model = load_official(
            timm.create_model("unet", width=4, depth=2, upsample=upsample), weights | {"mask_values": [0, 1]}
        )
        assert all(torch.equal(value, ours[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("norm", ["group", "instance"])
def test_unpadded_takes_no_norm_that_looks_at_the_whole_tile(norm):
    with pytest.raises(ValueError, match=f"norm='{norm}' needs padded=True"):
        UNet(padded=False, norm=norm)


def test_instance_norm_needs_more_than_one_pixel_at_the_bottom():
    model = UNet(width=2, norm="instance")
    assert model.nearest_sizes(16) == (None, 32)
    model(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match="32"):
        model(torch.zeros(1, 3, 16, 16))
