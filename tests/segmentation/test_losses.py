"""Losses, against PyTorch and torchvision; pixels of 255 do not exist."""

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from compactlib.segmentation import LOSSES, cross_entropy, dice_loss, focal_loss


@pytest.fixture
def batch():
    logits = torch.randn(2, 4, 5, 6, requires_grad=True)
    return logits, torch.randint(4, (2, 5, 6))


def call(name, logits, target):
    weights = torch.rand(target.shape) if name == "weighted_ce" else None
    return LOSSES[name](logits, target, weights)


def test_cross_entropy_is_pytorchs(batch):
    logits, target = batch
    target[0, :2] = 255
    weight = torch.tensor([0.5, 1.0, 2.0, 0.1])
    torch.testing.assert_close(cross_entropy(logits, target), F.cross_entropy(logits, target, ignore_index=255))
    torch.testing.assert_close(
        cross_entropy(logits, target, weight), F.cross_entropy(logits, target, weight, ignore_index=255)
    )


def test_pixel_weights_multiply_each_pixel(batch):
    logits, target = batch
    weights = torch.rand(target.shape)
    energy = -(weights * logits.log_softmax(1).gather(1, target[:, None])[:, 0]).sum()  # the paper's equation 1
    torch.testing.assert_close(cross_entropy(logits, target, pixel_weights=weights), energy / target.numel())
    ones = torch.ones(target.shape)
    for name in ("ce", "weighted_ce", "dice_ce", "focal"):
        plain = LOSSES["ce" if name == "weighted_ce" else name](logits, target)
        torch.testing.assert_close(LOSSES[name](logits, target, ones), plain)


def test_pixel_weights_count_twice_like_a_class_weight(batch):
    logits, target = batch
    weight = torch.tensor([1.0, 1.0, 3.0, 1.0])
    by_class = cross_entropy(logits, target, weight) * weight[target].sum() / target.numel()
    torch.testing.assert_close(cross_entropy(logits, target, pixel_weights=weight[target]), by_class)


def test_focal_without_focus_is_cross_entropy(batch):
    logits, target = batch
    target[1, 2] = 255
    torch.testing.assert_close(focal_loss(logits, target, gamma=0), cross_entropy(logits, target))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_of_two_classes_is_torchvisions(gamma):
    logits, target = torch.randn(2, 2, 5, 6), torch.randint(2, (2, 5, 6))
    expected = sigmoid_focal_loss(logits[:, 1] - logits[:, 0], target.float(), alpha=0.3, gamma=gamma, reduction="mean")
    torch.testing.assert_close(focal_loss(logits, target, gamma, alpha=[0.7, 0.3]), expected)


def test_focal_has_a_finite_slope_where_all_is_right():
    logits = torch.tensor([100.0, 0.0]).view(1, 2, 1, 1).requires_grad_()
    focal_loss(logits, torch.zeros(1, 1, 1, dtype=torch.int64), gamma=0.5).backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_take_no_part(name, batch):
    logits, target = batch
    ignored = torch.zeros(target.shape, dtype=torch.bool)
    ignored[:, :, 4:] = True
    torch.manual_seed(1)
    weights = torch.rand(target.shape) if name == "weighted_ce" else None
    loss = LOSSES[name](logits, target.masked_fill(ignored, 255), weights)
    left = (array if array is None else array[..., :4] for array in (logits, target, weights))
    torch.testing.assert_close(loss, LOSSES[name](*left))
    loss.backward()
    assert (logits.grad[..., 4:] == 0).all() and (logits.grad[..., :4] != 0).any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_pixels_is_zero_with_zero_gradient(name, batch):
    logits, target = batch
    loss = call(name, logits, torch.full_like(target, 255))
    loss.backward()
    assert loss.item() == 0 and (logits.grad == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_answer_costs_nothing(name, batch):
    _, target = batch
    logits = 200.0 * F.one_hot(target, 4).permute(0, 3, 1, 2)
    assert call(name, logits, target).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x, t: (x, t[:, :-1]), "target of shape"),
        (lambda x, t: (x[:, :, 0], t), "expected \\(n, classes, h, w\\)"),
        (lambda x, t: (x, t.float()), "int64"),
        (lambda x, t: (x, t + 2), "class ids \\[4, 5\\]; expected 0 to 3"),
        (lambda x, t: (x, t - 1), "class ids \\[-1\\]"),
    ],
)
def test_mistakes_are_named(name, change, said, batch):
    logits, target = batch
    target[0, 0] = torch.tensor([0, 1, 2, 3, 0, 1])
    with pytest.raises(ValueError, match=said):
        call(name, *change(logits, target))


def test_more_mistakes(batch):
    with pytest.raises(ValueError, match="weight_map"):
        LOSSES["weighted_ce"](*batch)
    with pytest.raises(ValueError, match="no pixel weights"):
        LOSSES["dice"](*batch, torch.ones(2, 5, 6))
    with pytest.raises(ValueError, match="one for each of 4 classes"):
        dice_loss(*batch, weight=[1, 2])
    with pytest.raises(ValueError, match="pixel_weights of shape"):
        cross_entropy(*batch, pixel_weights=torch.ones(5, 6))
    with pytest.raises(ValueError, match="gamma=-1"):
        focal_loss(*batch, gamma=-1)
