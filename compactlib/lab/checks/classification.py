"""The exercises of notebooks 00 to 03. Each is checked on numbers that the notebook does not show."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from compactlib.lab.checks.registry import NotYet, as_tensor, call, exercise, same_number, same_tensor
from compactlib.models import ConvTokenizer


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


# ---- 00 start here --------------------------------------------------------------------------------------------------


@exercise("00.1")
def steps_of_training(answer: Any) -> None:
    """1,293 images in batches of 64, a partial batch dropped, 10 epochs."""
    same_number(
        answer,
        200,
        {
            210: "The last batch of an epoch would not be full, and it is dropped: round down.",
            202: "Round down in every epoch, before you multiply.",
            20: "That is one epoch.",
        },
        "How many full batches of 64 fit into 1,293 images, and how often are they seen?",
    )


@exercise("00.2")
def majority_accuracy(function: Any) -> None:
    """Accuracy of always saying the most frequent training class."""
    train, test = np.array([3, 1, 1, 0, 1, 2, 1, 3]), np.array([0, 0, 0, 1, 2, 0, 0, 1, 0, 3])
    same_number(
        call(function, train, test),
        2 / 10,
        {
            6 / 10: "That class is the most frequent of the *test* labels, which no model may look at.",
            4 / 8: "That is the accuracy on the training labels.",
            2: "That is a count; an accuracy is a share.",
        },
        "Find the most frequent class of the training labels, then the share of test labels that equal it.",
    )


@exercise("00.3")
def to_model_input(function: Any) -> None:
    """uint8 (n, h, w, c) -> float32 (n, c, h, w), normalised."""
    images = (_random(2, 3, 5, 1).abs() * 80).to(torch.uint8).numpy()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    right = (pixels / 255 - 0.3) / 0.4
    result = as_tensor(call(function, images, 0.3, 0.4))
    if result.dtype != torch.float32:
        raise NotYet(f"A model takes float32; this is {str(result.dtype).removeprefix('torch.')}.")
    same_tensor(
        result,
        right,
        {
            "Mean and standard deviation are for pixels from 0 to 1: divide by 255 first.": (pixels - 0.3) / 0.4,
            "Divide by the standard deviation, too.": pixels / 255 - 0.3,
            "The channel has to stand before height and width.": right.permute(0, 2, 3, 1),
            "Subtract the mean before you divide by the standard deviation.": pixels / 255 / 0.4 - 0.3,
        },
        "Scale to 0..1, subtract the mean, divide by the standard deviation, and put the channel first.",
    )


# ---- 01 ViT-Lite ----------------------------------------------------------------------------------------------------


@exercise("01.1")
def sequence_length(answer: Any) -> None:
    """Tokens of ViT-Lite-7/4 on a 32-pixel image, with the class token."""
    same_number(
        answer,
        65,
        {
            64: "These are the patches. What else is in ViT's sequence?",
            8: "That is one row of patches.",
            9: "That is one row of patches and the class token.",
            1024: "Those are the pixels.",
        },
        "How many 4 x 4 patches cover 32 x 32 pixels, and what does ViT put in front of them?",
    )


@exercise("01.2")
def attention_parameters(answer: Any) -> None:
    """qkv without bias and projection with bias, width 256."""
    d = 256
    same_number(
        answer,
        3 * d * d + d * d + d,
        {
            4 * d * d: "The projection has a bias.",
            4 * d * d + 4 * d: "query, key and value have no bias here; only the projection has one.",
            3 * d * d: "That is the map to query, key and value. A projection follows.",
            2 * d * d + d: "query, key *and* value: the first map has 3 x 256 outputs.",
        },
        "Two linear maps: 256 -> 3 x 256 without a bias, and 256 -> 256 with one.",
    )


@exercise("01.3")
def attention(function: Any) -> None:
    """softmax(q k^T / sqrt(d)) v."""
    q, k, v = (3 * _random(3, 2, 5, 8)).unbind(0)  # (2, 5, 8) each
    scores = q @ k.transpose(-2, -1)
    same_tensor(
        call(function, q, k, v),
        F.scaled_dot_product_attention(q, k, v),
        {
            "The scores are not divided by the square root of d.": scores.softmax(-1) @ v,
            "Divide by the square root of d, not by d.": (scores / 8).softmax(-1) @ v,
            "The softmax runs over the wrong axis: the weights that *one query* gives to all keys sum to one.": (
                (scores / 8**0.5).softmax(-2) @ v
            ),
            "These are the weights; they still have to be applied to the values.": (scores / 8**0.5).softmax(-1),
            "There is no softmax.": scores / 8**0.5 @ v,
        },
        "Scores q k^T, divided by sqrt(d), softmax over the keys, times v.",
    )


# ---- 02 CVT ---------------------------------------------------------------------------------------------------------


@exercise("02.1")
def parameters_of_cvt(answer: Any) -> None:
    """Parameters of CVT minus those of ViT-Lite, width 128."""
    same_number(
        answer,
        -127,
        {
            127: "The sign: which model has more?",
            1: "The class token also has a row in the positional embedding.",
            129: "That is what SeqPool adds. What goes away?",
            -256: "That is what goes away with the class token. What does SeqPool add?",
            -128: "g maps 128 numbers to one, with a bias.",
        },
        "SeqPool brings g (a weight per channel and a bias); the class token and its position go.",
    )


@exercise("02.2")
def seq_pool(function: Any) -> None:
    """Equation 1 of the paper."""
    x, weight, bias = _random(3, 6, 4), 2 * _random(1, 4), _random(1)
    scores = x @ weight.T + bias  # (3, 6, 1)
    with_zeros = torch.cat([bias.expand(3, 1, 1), scores], dim=1).softmax(dim=1)[:, 1:]
    same_tensor(
        call(function, x, weight, bias),
        (scores.softmax(dim=1) * x).sum(dim=1),
        {
            "Every token counts the same: where do the scores come in?": x.mean(1),
            "The weights are all one: the softmax runs over the wrong axis.": x.sum(1),
            "The scores went in without a softmax.": (scores * x).sum(1),
            "A class token was left in the pool: it takes a share of the weights. There is none.": (with_zeros * x).sum(
                1
            ),
            "The extra axis of length 1 is still there: squeeze it.": (scores.softmax(1) * x).sum(1, keepdim=True),
        },
        "One score per token, softmax over the tokens, then the weighted sum of the tokens.",
    )


@exercise("02.3")
def pick_the_largest(answer: Any) -> None:
    """A weight for g that makes SeqPool return the token whose first channel is largest."""
    if not isinstance(answer, (list, tuple, np.ndarray, torch.Tensor)):
        raise NotYet(f"A list of 4 numbers is expected, not {answer!r}.")
    weight = as_tensor(answer).float().reshape(-1)
    if weight.shape != (4,):
        raise NotYet(f"g needs one weight per channel, 4 in all; these are {len(weight)}.")
    if weight.abs().max() == 0:
        raise NotYet("With zero weights all tokens score the same, and SeqPool is the mean.")
    x = _random(20, 6, 4)
    pooled = ((x @ weight).softmax(1)[..., None] * x).sum(1)
    largest = x[torch.arange(20), x[..., 0].argmax(1)]
    if torch.allclose(pooled, x[torch.arange(20), x[..., 0].argmin(1)], atol=0.05):
        raise NotYet("This picks the token whose first channel is *smallest*.")
    if weight[1:].abs().max() > 1e-3 * weight[0].abs():
        raise NotYet("Only the first channel may decide.")
    if (pooled - largest).abs().median() > 1e-3:
        raise NotYet("The direction is right, but the softmax still mixes the tokens: how does it become decided?")


# ---- 03 CCT ---------------------------------------------------------------------------------------------------------


@exercise("03.1")
def tokens_of_cct(function: Any) -> None:
    """Tokens of a square image after n blocks of 3x3 convolution (stride 1, padding 1) and 3x3 pooling (2, 1)."""
    for size, convs in ((32, 1), (32, 2), (28, 2), (33, 1), (45, 3)):
        answer = call(function, size, convs)
        same_number(answer, answer, {}, "")  # one number, whatever it is
        side = ConvTokenizer(1, 1, convs, 3).grid(size, size)[0]
        hint = f"For an image of {size} pixels and {convs} convolution(s) this gives {answer}, which is wrong. "
        if answer == side:
            raise NotYet(hint + "That is the side of the grid; the tokens are its square.")
        if answer == (size // 2**convs) ** 2 != side**2:
            raise NotYet(hint + "A side that is odd is rounded up: the pooling has a padding of 1.")
        same_number(answer, side**2, {}, hint + "The convolution keeps the side, the pooling halves it.")


@exercise("03.2")
def tokenize(function: Any) -> None:
    """Equation 2, then the grid as a sequence."""
    x, weight = _random(2, 3, 9, 7), _random(5, 3, 3, 3)
    features = F.max_pool2d(F.relu(F.conv2d(x, weight, padding=1)), 3, 2, 1)  # (2, 5, 5, 4)
    plain = F.max_pool2d(F.conv2d(x, weight, padding=1), 3, 2, 1)
    unpadded = F.max_pool2d(F.relu(F.conv2d(x, weight)), 3, 2, 1)
    same_tensor(
        call(function, x, weight),
        features.flatten(2).transpose(1, 2),
        {
            "There is no ReLU.": plain.flatten(2).transpose(1, 2),
            "The convolution has no padding, and the border is lost.": unpadded.flatten(2).transpose(1, 2),
            "Channels and tokens are still the wrong way round: (b, d, n) instead of (b, n, d).": features.flatten(2),
            "A reshape mixes channels and places; flatten the grid, then transpose.": features.reshape(2, -1, 5),
            "The grid is flattened column by column; ViT reads row by row.": (
                features.transpose(2, 3).flatten(2).transpose(1, 2)
            ),
        },
        "Convolution with padding 1, ReLU, 3x3 max-pooling (stride 2, padding 1), then (b, d, h, w) -> (b, n, d).",
    )


@exercise("03.3")
def shift_right(function: Any) -> None:
    """Move images (n, h, w, c) by some pixels to the right, black coming in at the left."""
    images = np.random.default_rng(7).integers(1, 256, (2, 4, 6, 1), dtype=np.uint8)
    right = np.zeros_like(images)
    right[:, :, 2:] = images[:, :, :-2]
    left = np.zeros_like(images)
    left[:, :, :-2] = images[:, :, 2:]
    down = np.zeros_like(images)
    down[:, 2:] = images[:, :-2]
    before = images.copy()
    result = as_tensor(call(function, images, 2))
    if not np.array_equal(images, before):
        raise NotYet("The images that were passed in have changed: work on a copy.")
    hints = {
        "What leaves at the right comes back at the left; black has to come in.": np.roll(images, 2, 2),
        "This moves the images to the left.": left,
        "This moves the images down: axis 1 is the height.": down,
        "Nothing has moved.": images,
    }  # fmt: skip
    same_tensor(
        result, torch.from_numpy(right), {h: torch.from_numpy(w) for h, w in hints.items()}, "Look at one image."
    )
