"""The exercises of notebook 03."""

import numpy as np
import torch
import torch.nn.functional as F

from compactlib.lab.checks import Either, exercise
from compactlib.models import ConvTokenizer


def side(size, convs):
    return ConvTokenizer(1, 1, convs, 3).grid(size, size)[0]


def count_hints(size, convs):
    return {
        "That is the side of the grid; the tokens are its square.": side(size, convs),
        "A side that is odd is rounded up: the pooling has a padding of 1.": (size // 2**convs) ** 2,
        "The pooling halves the side, and you do not: its stride is 2.": size**2,
        "That is the number of tokens after one block, whatever `convs` is.": side(size, 1) ** 2,
        "CCT has no class token.": side(size, convs) ** 2 + 1,
    }


@exercise(
    "03.1", draw=lambda rng: (int(rng.integers(5, 90)), int(rng.integers(1, 5))), example=(28, 2), hints=count_hints
)
def tokens_of_cct(img_size, convs):
    """The convolution keeps the side; the pooling halves it, and rounds up."""
    return side(img_size, convs) ** 2


def images_and_kernel(rng):
    b, c, d = rng.choice(range(1, 6), 3, replace=False)
    height, width = rng.choice(range(5, 12), 2, replace=False)
    kind = rng.choice([torch.float32, torch.float64])
    x, weight = rng.normal(size=(b, c, height, width)), rng.normal(size=(d, c, 3, 3))
    return torch.from_numpy(x).to(kind), torch.from_numpy(weight).to(kind)


def sequence(features):
    return features.flatten(2).transpose(1, 2)


def tokenizer_hints(x, weight):
    maps = F.conv2d(x, weight, padding=1)
    right = F.max_pool2d(maps.relu(), 3, 2, 1)  # (b, d, h, w)
    return {
        "There is no ReLU.": sequence(F.max_pool2d(maps, 3, 2, 1)),
        "There is no pooling.": sequence(maps.relu()),
        "The pooling takes the mean; Equation 2 takes the maximum.": sequence(F.avg_pool2d(maps.relu(), 3, 2, 1)),
        "The pooling has no padding, and the border is lost.": sequence(F.max_pool2d(maps.relu(), 3, 2)),
        "The convolution has no padding, and the border is lost.": (
            sequence(F.max_pool2d(F.conv2d(x, weight).relu(), 3, 2, 1))
        ),
        "Channels and tokens are still the wrong way round: (b, d, n) instead of (b, n, d).": right.flatten(2),
        "A reshape mixes channels and places; flatten the grid, then transpose.": (
            right.reshape(len(x), -1, len(weight))
        ),
        "The grid is flattened column by column; ViT reads row by row.": sequence(right.mT),
    }


@exercise("03.2", draw=images_and_kernel, hints=tokenizer_hints)
def tokenize(x, weight):
    """Convolution with padding 1, ReLU, 3x3 max-pooling (stride 2, padding 1), then (b, d, h, w) to (b, n, d)."""
    return sequence(F.max_pool2d(F.conv2d(x, weight, padding=1), 3, 2, 1).relu())


def images_and_pixels(rng):
    height, width = rng.choice(range(3, 9), 2, replace=False)
    images = rng.integers(0, 256, (rng.integers(2, 4), height, width, rng.choice([1, 3])), dtype=np.uint8)
    return images if rng.random() < 0.7 else np.float32(images / 255), int(rng.integers(1, min(height, width)))


def moved(images, pixels, axis, black=0):
    """The images moved along an axis, with `black` coming in."""
    coming = np.full_like(images.swapaxes(0, axis)[:pixels], black).swapaxes(0, axis)
    return np.concatenate([coming, np.split(images, [images.shape[axis] - pixels], axis)[0]], axis)


def shift_hints(images, pixels):
    right = shift_right(images, pixels)
    edge = np.pad(images, ((0, 0), (0, 0), (pixels, 0), (0, 0)), mode="edge")
    stays = right.copy()
    stays[:, :, :pixels] = images[:, :, :pixels]
    return {
        "What leaves at the right comes back at the left; black has to come in.": np.roll(images, pixels, axis=2),
        "`np.roll` without an axis moves the pixels of all images in one long row.": np.roll(images, pixels),
        "This moves the images to the left.": moved(images[:, :, ::-1], pixels, 2)[:, :, ::-1],
        "This moves the images down: axis 1 is the height.": moved(images, pixels, 1),
        "What comes in at the left repeats the edge; it has to be black.": edge[:, :, : images.shape[2]],
        "What comes in at the left is white; it has to be black.": Either(
            moved(images, pixels, 2, 255), moved(images, pixels, 2, 255 if images.dtype == np.uint8 else 1)
        ),
        "What was at the left stays there; it has to become black.": stays,
        "The pixels have other values than before: move them as they are.": Either(right / 255, right * 255.0),
        "Nothing has moved.": images,
        "The image has become wider; what leaves at the right is lost.": (
            np.pad(images, ((0, 0), (0, 0), (pixels, 0), (0, 0)))
        ),
    }


@exercise(
    "03.3",
    draw=images_and_pixels,
    keeps=True,
    corners={"A shift by 0 pixels changes nothing (`-0` is no place to stop a slice at).": (np.ones((1, 2, 3, 1)), 0)},
    hints=shift_hints,
)
def shift_right(images, pixels):
    """Pixel j of a row comes to j + `pixels`, for every row, channel and image; the first `pixels` become 0."""
    return moved(images, pixels, 2)
