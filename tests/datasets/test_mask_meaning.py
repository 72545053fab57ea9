"""Masks of one's own mean what their owner thinks, or there is a sentence that says what to give: by files."""

import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from compactlib.datasets import BadPair, from_folder

RANDOM = np.random.default_rng(9)
TWO, THREE = ["background", "cell"], ["background", "cell", "other"]
SHAPE = (10, 12)


def masks(count: int, classes: int = 2) -> list[np.ndarray]:
    """Each with every class."""
    found = [RANDOM.integers(0, classes, SHAPE, np.uint8) for _ in range(count)]
    for mask in found:
        mask[0, :classes] = range(classes)
    return found


def write(folder, files) -> None:
    """files: the mask of each pair, as an array, a Pillow image, or a function that writes a path without extension."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, mask in enumerate(files):
        pixels = RANDOM.integers(0, 256, (*SHAPE, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        target = folder / "masks" / f"{number}"
        if callable(mask):
            mask(target)
        else:
            (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(target.with_suffix(".png"))


def load(folder, names=TWO, **arguments) -> np.ndarray:
    """The masks (n, h, w) in the order of their names. A warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return in_order(from_folder(folder, names, consecutive=True, **arguments))


def in_order(data) -> np.ndarray:
    return np.concatenate([data.train.masks, data.val.masks, data.test.masks])


def refused(folder, names, *parts, **arguments) -> None:
    with pytest.raises(BadPair) as error:
        from_folder(folder, names, **arguments)
    for part in parts:
        assert part in str(error.value), str(error.value)


def palette(mask: np.ndarray, colours: list) -> Image.Image:
    image = Image.frombytes("P", mask.shape[::-1], mask.tobytes())
    image.putpalette(np.array(colours, np.uint8).ravel().tolist())
    return image


def tiff(array: np.ndarray, **options):
    return lambda target: tifffile.imwrite(target.with_suffix(".tif"), array, **options)


def npy(array: np.ndarray):
    return lambda target: np.save(target.with_suffix(".npy"), array)


@pytest.mark.parametrize(("white", "kind"), [(255, np.uint8), (65535, np.uint16), (255, np.uint16), (255, np.float32)])
def test_0_and_white_are_the_two_classes_and_it_is_said(tmp_path, white, kind):
    truth = masks(6)
    write(tmp_path / "mine", [tiff((mask * float(white)).astype(kind)) for mask in truth])
    with pytest.warns(UserWarning, match=rf"masks of mine: 0 was taken as 'background' and {white} as 'cell'"):
        data = from_folder(tmp_path / "mine", TWO, consecutive=True)
    assert (in_order(data) == truth).all()
    assert f"{white} is 'cell'" in data.source
    assert (load(tmp_path / "mine", values={0: 0, white: 1}) == truth).all()
    assert (load(tmp_path / "mine", values={0: "background", white: "cell"}) == truth).all()


def test_the_whole_set_decides_and_not_each_mask(tmp_path):
    """The only 1 is in the last file: 255 is what it is by default."""
    truth = masks(6)
    write(tmp_path, [mask * 255 for mask in truth[:-1]] + [truth[-1] * np.uint8(1)])
    refused(tmp_path, TWO, "values={0: 0, 1: 1, 255: 1}")
    both = truth[-1].copy()
    both[5] = 255
    write(tmp_path, [mask * 255 for mask in truth[:-1]] + [both])
    assert (load(tmp_path)[:-1] == np.array(truth[:-1]) * 255).all()


def test_the_parts_are_looked_at_together(tmp_path):
    truth = masks(6)
    write(tmp_path / "train", [np.zeros(SHAPE, np.uint8)] * 3)
    write(tmp_path / "test", [mask * 255 for mask in truth])
    with pytest.warns(UserWarning, match="255 as 'cell'"):
        data = from_folder(tmp_path, TWO)
    assert (data.test.masks == truth).all() and not data.train.masks.any()


def test_0_and_255_with_three_classes_is_an_error_that_proposes_values(tmp_path):
    write(tmp_path, [mask * 255 for mask in masks(4)])
    refused(tmp_path, THREE, "values={0: 0, 255: 1}", "values={0: 0, 255: 255}")


def test_labels_from_1_are_an_error_that_proposes_values(tmp_path):
    truth = masks(4, 3)
    write(tmp_path, [mask + 1 for mask in truth])
    refused(tmp_path, THREE, "unknown value 3", "masks/0.png", "values={1: 0, 2: 1, 3: 2}")
    assert (load(tmp_path, THREE, values={1: 0, 2: 1, 3: 2}) == truth).all()


def test_a_class_that_no_mask_has_is_named_and_the_set_is_loaded(tmp_path):
    truth = masks(4)
    write(tmp_path, truth)
    with pytest.warns(UserWarning, match=r"no pixel of the class 'other' \(2\)"):
        assert (in_order(from_folder(tmp_path, THREE, consecutive=True)) == truth).all()


FORMS = {
    "8 bits": lambda mask: mask,
    "1 bit": lambda mask: Image.fromarray(mask == 1),
    "16 bits": lambda mask: mask.astype(np.uint16),
    "palette": lambda mask: palette(mask, [(200, 10, 10), (10, 200, 10)]),
    "palette of greys": lambda mask: palette(mask, [(0, 0, 0), (255, 255, 255)]),
    "grey as RGB": lambda mask: np.repeat(mask[..., None], 3, axis=-1),
    "grey as opaque RGBA": lambda mask: np.dstack([mask] * 3 + [np.full(SHAPE, 255, np.uint8)]),
    "TIFF float32": lambda mask: tiff(mask.astype(np.float32)),
    "TIFF float64": lambda mask: tiff(mask.astype(np.float64), compression="zlib"),
    "TIFF int16": lambda mask: tiff(mask.astype(np.int16)),
    "TIFF int32": lambda mask: tiff(mask.astype(np.int32)),
    "TIFF palette": lambda mask: tiff(
        mask, photometric="palette", colormap=np.arange(768, dtype=np.uint16).reshape(3, 256)
    ),
    "TIFF 1 bit": lambda mask: (
        lambda target: Image.fromarray(mask == 1).save(target.with_suffix(".tif"), compression="group4")
    ),
    "TIFF turned": lambda mask: tiff(mask[::-1, ::-1], extratags=[(274, "H", 1, 3, True)]),
    "npy bool": lambda mask: npy(mask == 1),
    "npy int64": lambda mask: npy(mask.astype(np.int64)),
    "npy float": lambda mask: npy(mask.astype(np.float64)),
    "npy (h, w, 1)": lambda mask: npy(mask[..., None]),
    "BMP": lambda mask: lambda target: Image.fromarray(mask).save(target.with_suffix(".bmp")),
}


@pytest.mark.parametrize("form", FORMS)
def test_class_ids_come_in_many_forms_of_file(tmp_path, form):
    truth = masks(4)
    write(tmp_path, [FORMS[form](mask) for mask in truth])
    assert (load(tmp_path) == truth).all()
    assert load(tmp_path).dtype == np.uint8


def test_fractions_are_refused_with_the_values_found(tmp_path):
    write(tmp_path, [tiff(mask * np.float32(0.5)) for mask in masks(4)])
    refused(tmp_path, TWO, "0.5", "0.tif", "mask > 0.5")
    assert load(tmp_path, values={0: 0, 0.5: 1}).max() == 1


def test_large_and_negative_numbers_can_be_named(tmp_path):
    truth = masks(4)
    write(tmp_path, [tiff(np.where(mask == 1, 70_000, -3).astype(np.int32)) for mask in truth])
    refused(tmp_path, TWO, "-3, 70000", "values={-3: 0, 70000: 1}")
    assert (load(tmp_path, values={-3: 0, 70_000: 1}) == truth).all()


def test_missing_pixels_of_a_mask_are_ignored_and_a_class_that_is_nodata_is_not(tmp_path):
    truth = masks(4)
    holes = [np.where(RANDOM.random(SHAPE) < 0.2, np.nan, mask) for mask in truth]
    write(tmp_path / "nan", [tiff(hole.astype(np.float32)) for hole in holes])
    found = load(tmp_path / "nan")
    assert (found[np.isnan(holes)] == 255).all() and (found == truth)[~np.isnan(holes)].all()
    tag = [(42113, "s", 0, "0", True)]  # GDAL_NODATA
    write(tmp_path / "tag", [tiff(mask, extratags=tag) for mask in truth])
    refused(tmp_path / "tag", TWO, "missing", "values={0: 0, 1: 1}", "values={0: 255, 1: 1}")
    assert (load(tmp_path / "tag", values={0: 0, 1: 1}) == truth).all()
    write(tmp_path / "clear", [np.dstack([mask, mask * 255]) for mask in truth])  # grey and alpha
    refused(tmp_path / "clear", TWO, "transparent", "values={0: 0, 1: 1}")
    assert (load(tmp_path / "clear", values={0: 0, 1: 1}) == truth).all()


COLOURS = np.array([(0, 0, 0), (255, 0, 0), (0, 60, 255)], np.uint8)
GIVEN = {(0, 0, 0): 0, (255, 0, 0): "cell", (0, 60, 255): 2}


@pytest.mark.parametrize("form", ["RGB", "RGBA", "palette", "palettes that differ", "TIFF", "npy", "16 bits"])
def test_colours_are_classes(tmp_path, form):
    truth = masks(4, 3)
    files = {
        "RGB": lambda mask: COLOURS[mask],
        "RGBA": lambda mask: np.dstack([COLOURS[mask], RANDOM.integers(0, 256, SHAPE, np.uint8)]),
        "palette": lambda mask: palette(mask, COLOURS),
        "palettes that differ": lambda mask: Image.fromarray(COLOURS[mask]).quantize(3),
        "TIFF": lambda mask: tiff(COLOURS[mask], photometric="rgb"),
        "npy": lambda mask: npy(COLOURS[mask]),
        "16 bits": lambda mask: tiff(COLOURS[mask].astype(np.uint16) * 257, photometric="rgb"),
    }
    write(tmp_path, [files[form](mask) for mask in truth])
    scale = 257 if form == "16 bits" else 1
    given = {tuple(scale * part for part in colour): target for colour, target in GIVEN.items()}
    assert (load(tmp_path, THREE, colours=given) == truth).all()
    ignored = load(tmp_path, TWO, colours=given | {(0, 60 * scale, 255 * scale): 255})
    assert (ignored == np.where(np.array(truth) == 2, 255, truth)).all()


def test_colours_with_alpha_tell_what_is_transparent(tmp_path):
    truth = masks(4)
    table = np.array([(0, 0, 0, 0), (0, 0, 0, 255)], np.uint8)
    write(tmp_path, [table[mask] for mask in truth])
    assert (load(tmp_path, colours={(0, 0, 0, 0): 0, (0, 0, 0, 255): 1}) == truth).all()


def test_coloured_masks_without_colours_are_an_error_that_lists_and_proposes_them(tmp_path):
    truth = masks(4, 3)
    write(tmp_path, [np.zeros((*SHAPE, 3), np.uint8), *(COLOURS[mask] for mask in truth)])
    with pytest.raises(BadPair, match="1.png is in colour") as error:
        from_folder(tmp_path, THREE)
    for colour in GIVEN:
        share = np.mean([(COLOURS[mask] == colour).all(axis=-1) for mask in truth])
        assert f"{colour} ({share:.1%})" in str(error.value) or colour == (0, 0, 0), str(error.value)
    proposed = eval(str(error.value).split("colours=")[1].split("}")[0] + "}")
    assert proposed.keys() == GIVEN.keys() and proposed[0, 0, 0] == 0 and sorted(proposed.values()) == [0, 1, 2]
    refused(tmp_path, TWO, "is in colour", values={0: 0, 255: 1})


def test_a_colour_that_is_not_named_is_listed_with_its_file(tmp_path):
    truth = masks(4, 3)
    write(tmp_path, [COLOURS[mask] for mask in truth])
    refused(tmp_path, TWO, "(0, 60, 255)", "0.png", "(255, 0, 0) (cell)", colours={(0, 0, 0): 0, (255, 0, 0): 1})


def test_indices_whose_colours_differ_from_file_to_file_are_refused(tmp_path):
    """What a program that chooses a palette for each picture makes of two-coloured masks."""
    truth = masks(4)
    swapped = [palette(mask, [(0, 0, 0), (9, 9, 200)]) for mask in truth[:2]]
    swapped += [palette(1 - mask, [(9, 9, 200), (0, 0, 0)]) for mask in truth[2:]]
    write(tmp_path, swapped)
    refused(tmp_path, TWO, "masks/0.png", "masks/2.png", "(0, 0, 0)", "(9, 9, 200)", "colours={", "values={")
    assert (load(tmp_path, colours={(0, 0, 0): 0, (9, 9, 200): 1}) == truth).all()
    assert (load(tmp_path, values={0: 0, 1: 1})[2:] == 1 - np.array(truth[2:])).all()


def test_a_channel_for_each_class_is_refused_with_what_to_do(tmp_path):
    write(tmp_path, [npy(np.eye(5, dtype=np.uint8)[mask]) for mask in masks(4)])
    refused(tmp_path, TWO, "0.npy has 5 channels", "argmax")


def test_blurred_masks_and_pictures_in_the_place_of_masks_are_refused(tmp_path):
    write(tmp_path / "blurred", [Image.fromarray(mask * 255).resize(SHAPE[::-1], 2, (0, 0, 6, 5)) for mask in masks(4)])
    refused(tmp_path / "blurred", TWO, "values={v: int(v > 127) for v in range(256)}")
    found = load(tmp_path / "blurred", values={v: int(v > 127) for v in range(256)})
    assert set(np.unique(found)) == {0, 1}
    write(tmp_path / "pictures", [RANDOM.integers(0, 256, (*SHAPE, 3), np.uint8) for _ in range(4)])
    refused(tmp_path / "pictures", TWO, "is in colour", "in all)", "PNG")


@pytest.mark.parametrize("layout", ["suffix", "prefix", "one folder", "nested folders"])
def test_names_with_a_word_for_the_mask(tmp_path, layout):
    truth = masks(6)
    write(tmp_path, truth)
    images, found = "images", "masks"
    for path in sorted((tmp_path / "masks").iterdir()):
        path.rename(path.with_name(f"label_{path.name}" if layout == "prefix" else f"{path.stem}_mask.png"))
    if layout == "one folder":
        for path in sorted(tmp_path.glob("*/*.png")):
            path.rename(tmp_path / path.name)
        images = found = "."
    if layout == "nested folders":
        (tmp_path / "raw").mkdir()
        for name in ("images", "masks"):
            (tmp_path / name).rename(tmp_path / "raw" / name)
        images, found = "raw/images", "raw/masks"
    assert (load(tmp_path, images=images, masks=found) == truth).all()


def test_parts_whose_images_and_masks_lie_side_by_side(tmp_path):
    truth = masks(4)
    for part in ("train", "test"):
        write(tmp_path / part, truth)
        for path in sorted((tmp_path / part / "masks").iterdir()):
            path.rename(tmp_path / part / f"{path.stem}_gt.png")
        for path in sorted((tmp_path / part / "images").iterdir()):
            path.rename(tmp_path / part / path.name)
    data = from_folder(tmp_path, TWO, images=".", masks=".", val_fraction=0)
    assert (data.train.masks == truth).all() and (data.test.masks == truth).all()


def test_masks_that_are_refused_are_refused_before_an_image_is_decoded(tmp_path):
    write(tmp_path, [mask * 77 for mask in masks(4)])
    (tmp_path / "images" / "0.png").write_bytes(b"no picture")
    refused(tmp_path, TWO, "unknown value 77", "values={0: 0, 77: 1}")


def test_pixels_without_data_do_not_bleed_into_a_letterboxed_picture(tmp_path):
    write(tmp_path, masks(3))
    hole = np.zeros((40, 60), bool)
    hole[10:20, 15:30] = True
    for name in ("0", "1", "2"):
        pixels = np.full((40, 60, 4), 200, np.uint8)
        pixels[hole] = 0  # black, and transparent
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray((np.arange(2400).reshape(40, 60) % 2).astype(np.uint8)).save(tmp_path / "masks" / f"{name}.png")
    data = from_folder(tmp_path, TWO, img_size=30, consecutive=True)
    known = data.train.masks != 255
    assert 0 < np.count_nonzero(~known[:, 5:25]) < 300 and (data.train.images[known] == 200).all()
