"""A folder of one's own: what is read, what is refused and by which name. Pillow writes the files."""

import numpy as np
import pytest
from PIL import Image

from compactlib.datasets import BadPair, DatasetNotFound, SegmentationData, from_folder

RANDOM = np.random.default_rng(8)
NAMES = ["background", "thing", "other"]


def write(folder, stem, *, size=(12, 10), mask=None, mode="RGB", suffix=".png", images="images", masks="masks"):
    """One pair; `size` is width and height."""
    width, height = size
    pixels = RANDOM.integers(0, 256, (height, width, 3), np.uint8)
    mask = RANDOM.integers(0, 3, (height, width), np.uint8) if mask is None else mask
    for name in (images, masks):
        (folder / name).mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(folder / images / f"{stem}{suffix}")
    Image.fromarray(mask).save(folder / masks / f"{stem}.png")
    return pixels, mask


@pytest.fixture
def mine(tmp_path):
    """Ten pairs, cell_1 to cell_10, in tmp_path / "mine"; `pairs` has what was written."""
    pairs = [write(tmp_path / "mine", f"cell_{i}", suffix=(".png", ".tif", ".bmp")[i % 3]) for i in range(1, 11)]
    return tmp_path / "mine", pairs


def test_every_pair_comes_back_in_one_of_the_parts(mine):
    folder, pairs = mine
    data = from_folder(folder, NAMES)
    assert type(data) is SegmentationData and data.name == "mine" and data.class_names == tuple(NAMES)
    assert [len(part) for part in (data.train, data.val, data.test)] == [7, 1, 2]
    assert data.img_size == (10, 12) and data.in_chans == 3 and not data.comparable
    assert data.card.task == "segmentation" and "folder mine" in data.source
    found = {
        (image.tobytes(), mask.tobytes())
        for part in (data.train, data.val, data.test)
        for image, mask in zip(part.images, part.masks, strict=True)
    }
    assert found == {(image.tobytes(), mask.tobytes()) for image, mask in pairs}


def test_a_film_is_cut_into_blocks_in_the_order_of_its_numbers(mine):
    """cell_10 is the last one, though its name sorts second."""
    folder, pairs = mine
    data = from_folder(folder, NAMES, consecutive=True, test_fraction=0.3, val_fraction=0.2)
    images = np.stack([image for image, _ in pairs])
    assert (data.train.images == images[:6]).all() and (data.val.images == images[6:7]).all()
    assert (data.test.images == images[7:]).all() and (data.test.masks == [mask for _, mask in pairs[7:]]).all()


@pytest.mark.parametrize("valid", ["val", "valid", None])
def test_folders_for_the_parts_are_the_split(tmp_path, valid):
    written = {
        part: [write(tmp_path / part, f"{part}_{i}", images="sat", masks="map") for i in range(4)]
        for part in ("train", "test", *filter(None, [valid]))
    }
    data = from_folder(tmp_path, NAMES, images="sat", masks="map", val_fraction=0.25)
    assert (data.test.images == [image for image, _ in written["test"]]).all()
    if valid:
        assert (data.val.masks == [mask for _, mask in written[valid]]).all() and len(data.train) == 4
    else:
        assert (len(data.train), len(data.val)) == (3, 1)


def test_values_say_which_number_is_which_class(tmp_path):
    for i in range(4):
        write(tmp_path, i, mask=np.array([[0, 128], [255, 7]], np.uint8), size=(2, 2))
    data = from_folder(tmp_path, NAMES[:2], values={0: 0, 255: 1, 128: 255, 7: 1})
    assert (data.train.masks == [[0, 255], [1, 1]]).all()


def test_255_is_ignored_by_default(tmp_path):
    for i in range(3):
        write(tmp_path, i, mask=np.array([[0, 1], [255, 2]], np.uint8), size=(2, 2))
    assert (from_folder(tmp_path, NAMES).train.masks == [[0, 1], [255, 2]]).all()


def test_bilevel_and_palette_masks_count_by_their_values(tmp_path):
    mask = RANDOM.integers(0, 2, (10, 12), np.uint8)
    for i in range(4):
        write(tmp_path, i)
        if i % 2:
            image = Image.fromarray(mask * 255).convert("1")
        else:
            image = Image.fromarray(mask).convert("P")
            image = Image.frombytes("P", (12, 10), mask.tobytes())
            image.putpalette([200, 10, 10, 10, 200, 10])
        image.save(tmp_path / "masks" / f"{i}.png")
    data = from_folder(tmp_path, NAMES[:2], val_fraction=0)
    assert (data.train.masks == mask).all() and (data.test.masks == mask).all()


@pytest.mark.parametrize(("mode", "in_chans"), [("L", 1), ("RGB", 1), ("L", 3), ("RGBA", 3), ("P", 3)])
def test_images_are_converted_to_the_channels_asked_for(tmp_path, mode, in_chans):
    for i in range(3):
        write(tmp_path, i, mode=mode)
    data = from_folder(tmp_path, NAMES, in_chans=in_chans, consecutive=True)
    expected = Image.open(tmp_path / "images" / "0.png").convert("RGB" if in_chans == 3 else "L")
    assert (data.train.images[0] == np.asarray(expected).reshape(10, 12, in_chans)).all()


def test_pictures_of_different_size_are_fitted_into_a_square_with_an_ignored_rim(tmp_path):
    """A picture that is the mask itself in grey: afterwards both still agree, in proportion, and the rim is 255."""
    for i, (width, height) in enumerate([(80, 40), (30, 60), (48, 48)]):
        mask = np.zeros((height, width), np.uint8)
        mask[height // 4 : height // 2, width // 4 : width // 2] = 1
        write(tmp_path, i, mask=mask, size=(width, height))
        Image.fromarray(mask * 200).save(tmp_path / "images" / f"{i}.png")
    data = from_folder(tmp_path, NAMES[:2], img_size=40, consecutive=True, val_fraction=0, test_fraction=0.3)
    images, masks = (
        np.concatenate(pair) for pair in ((data.train.images, data.test.images), (data.train.masks, data.test.masks))
    )
    assert images.shape == (3, 40, 40, 3)
    inner = [np.s_[10:30, :], np.s_[:, 10:30], np.s_[:, :]]
    for image, mask, box in zip(images, masks, inner, strict=True):
        rim = np.ones((40, 40), bool)
        rim[box] = False
        assert ((mask == 255) == rim).all() and (image[rim] == 0).all()
        assert set(np.unique(mask[box])) == {0, 1}
        assert ((image[..., 0] > 100) == (mask == 1)).mean() > 0.99


def test_fraction_and_seed_are_those_of_load(mine):
    folder, _ = mine
    small, large = from_folder(folder, NAMES, fraction=0.5), from_folder(folder, NAMES)
    assert len(small.train) == 4 and (small.test.images == large.test.images).all()
    assert {i.tobytes() for i in small.train.images} < {i.tobytes() for i in large.train.images}
    seeds = [from_folder(folder, NAMES, seed=seed) for seed in range(6)]
    assert len({data.val.images.tobytes() for data in seeds}) > 1
    assert len({data.test.images.tobytes() for data in seeds}) == 1


def test_other_files_are_passed_over(mine):
    folder, _ = mine
    (folder / "images" / "notes.txt").write_text("hello")
    (folder / "images" / ".hidden.png").write_bytes(b"")
    assert len(from_folder(folder, NAMES).train) == 7


def refused(folder, message, **arguments):
    with pytest.raises(BadPair) as error:
        from_folder(folder, NAMES, **arguments)
    for part in message:
        assert part in str(error.value), str(error.value)


def test_sizes_that_differ_name_both_files(mine):
    folder, _ = mine
    Image.new("L", (12, 11)).save(folder / "masks" / "cell_4.png")
    image, mask = folder / "images" / "cell_4.tif", folder / "masks" / "cell_4.png"
    refused(folder, [f"{image} is 12 x 10 pixels, its mask {mask} 12 x 11. Both need one size"])
    refused(folder, [f"{image} is 12 x 10 pixels"], img_size=8)


def test_unknown_values_are_listed_with_the_known_ones_and_the_file(mine):
    folder, _ = mine
    mask = np.zeros((10, 12), np.uint8)
    mask[0, :3] = 3, 9, 200
    Image.fromarray(mask).save(folder / "masks" / "cell_7.png")
    known = "0 (background), 1 (thing), 2 (other), 255 (ignored)"
    proposal = "values={0: 0, 1: 1, 2: 2, 3: 255, 9: 255, 200: 255}"
    refused(folder, [str(folder / "masks" / "cell_7.png"), "3, 9, 200", known, proposal])


def test_many_unknown_values_of_a_lossy_mask_are_cut_short_and_explained(mine):
    folder, _ = mine
    (folder / "masks" / "cell_7.png").unlink()
    Image.fromarray(RANDOM.integers(0, 255, (10, 12), np.uint8)).save(folder / "masks" / "cell_7.jpg")
    refused(folder, ["cell_7.jpg", " ... (", "JPEG", "PNG or TIFF"])


def test_a_16_bit_mask_value_is_not_taken_modulo_256(mine):
    folder, _ = mine
    mask = np.zeros((10, 12), np.uint16)
    mask[0, 0] = 257
    Image.fromarray(mask).save(folder / "masks" / "cell_7.png")
    refused(folder, ["cell_7.png", "unknown value 257"])


def test_an_image_without_mask_and_a_mask_without_image_are_named(mine):
    folder, _ = mine
    (folder / "masks" / "cell_4.png").unlink()
    (folder / "images" / "cell_6.png").unlink()
    refused(folder, [f"{folder}: images/cell_4.tif has no mask; masks/cell_6.png has no image", "same name up to"])


def test_two_files_of_one_name_are_refused(mine):
    folder, _ = mine
    write(folder, "cell_3", suffix=".bmp")
    refused(folder, ["images/cell_3.", "have one name up to the extension; keep one of them"])


@pytest.mark.parametrize("kind", ["images", "masks"])
@pytest.mark.parametrize("content", [b"", b"no picture", None], ids=["empty", "text", "cut off"])
def test_an_unreadable_file_is_named(mine, kind, content):
    folder, _ = mine
    path = folder / kind / "cell_6.png"
    path.write_bytes(path.read_bytes()[:80] if content is None else content)
    refused(folder, [str(path)])


def test_8_and_16_bits_in_one_set_are_refused(mine):
    folder, _ = mine
    Image.fromarray(RANDOM.integers(0, 9999, (10, 12), np.uint16)).save(folder / "images" / "cell_6.png")
    refused(folder, ["cell_6.png has pixels of uint16", "uint8"])


def test_images_of_several_sizes_need_img_size(mine):
    folder, _ = mine
    write(folder, "cell_6", size=(20, 10))
    refused(folder, [str(folder / "images" / "cell_6.png"), "is 20 x 10 pixels", "12 x 10", "give img_size"])
    for part, size in (("train", (12, 10)), ("test", (8, 8))):
        write(folder / "parts" / part, "a", size=size)
    refused(folder / "parts", ["train 12 x 10", "test 8 x 8", "give img_size"])


def test_what_is_not_there_is_said(tmp_path, mine):
    folder, _ = mine
    with pytest.raises(DatasetNotFound, match="nowhere has neither a folder images/ nor the folders train/images/"):
        from_folder(tmp_path / "nowhere", NAMES)
    with pytest.raises(DatasetNotFound, match="There is no folder .*truth"):
        from_folder(folder, NAMES, masks="truth")
    for kind in ("images", "masks"):
        (tmp_path / "empty" / kind).mkdir(parents=True)
    with pytest.raises(DatasetNotFound, match=r"images has no image \(\.png, \.tif"):
        from_folder(tmp_path / "empty", NAMES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"in_chans": 0}, "in_chans must be 1"),
        ({"in_chans": 4}, "has 3 bands"),
        ({"values": {0: 0, 9: 3}}, r"class indices from 0 to 2, .* 255 .*\{9: 3\}"),
        ({"values": {0: 0, 9: "thnig"}}, r"\{9: 'thnig'\}"),
        ({"values": {0: True}}, r"\{0: True\}"),
        ({"values": {}}, "values must map"),
        ({"colours": {(0, 0, 0): 0, (255, 0, 0): 3}}, r"colours must map .*\(255, 0, 0\): 3"),
        ({"colours": {(0, 0, 0): 0, (255, 0, 0, 255): 1}}, "colours must map"),
        ({"colours": {0: 0}}, "colours must map"),
        ({"colours": {}}, "colours must map"),
        ({"values": {0: 0}, "colours": {(0, 0, 0): 0}}, "values and colours"),
        ({"test_fraction": 0}, "test_fraction must be"),
        ({"val_fraction": 1.0}, "val_fraction must be"),
        ({"fraction": 0}, "fraction must be"),
        ({"seed": 0.5}, "seed must be"),
        ({"img_size": 0}, "img_size must be"),
        ({"class_names": ["only"]}, "class_names must be 2 to 255 texts"),
        ({"val_fraction": 0.99}, "leaves no training image of mine"),
    ],
    ids=str,
)
def test_arguments_out_of_range(mine, wrong, message):
    folder, _ = mine
    with pytest.raises(ValueError, match=message):
        from_folder(folder, **({"class_names": NAMES} | wrong))
