"""Small archives in the layouts of the sets with masks, through `load`: pixels, splits, errors that name the file."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from compactlib.datasets import BadPair, cards, load
from tests.datasets.samples import tar_gz, write_card

RANDOM = np.random.default_rng(4)


def png(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def zipped(members: dict[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.fixture
def project(monkeypatch, tmp_path):
    monkeypatch.setattr(cards, "CARDS", tmp_path / "cards")

    def make(files, reader, class_names=("first", "second"), consecutive=False):
        fields = {"class_names": list(class_names), "task": "segmentation", "consecutive": consecutive}
        write_card(tmp_path / "cards", "small", files, reader=reader, fields=fields)
        for name, content in files.items():
            path = tmp_path / "cache" / "small" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return make


def sections(count=10):
    """Images and labels of membranes, 0 and 255."""
    images = RANDOM.integers(0, 256, (count, 16, 16), np.uint8)
    return images, (RANDOM.random((count, 16, 16)) < 0.7).astype(np.uint8) * 255


@pytest.mark.parametrize("form", ["zip", "files"])
def test_membranes(project, form):
    """As one zip with names of two digits, and as single files without leading zeros: the same stack in order."""
    images, labels = sections(14)
    width = 2 if form == "zip" else 1
    kinds = (("image", images), ("label", labels))
    members = {f"{kind}/{i:0{width}d}.png": png(array[i]) for kind, array in kinds for i in range(14)}
    project({"stack.zip": zipped(members)} if form == "zip" else members, "membranes", consecutive=True)
    data = load("small", val_fraction=0.25)
    assert (len(data.train), len(data.val), len(data.test)) == (6, 2, 6) and data.in_chans == 1
    for part, block in ((data.train, slice(6)), (data.val, slice(6, 8)), (data.test, slice(8, 14))):
        assert (part.images[..., 0] == images[block]).all() and (part.masks == labels[block] // 255).all()
    half = load("small", img_size=8)
    assert half.img_size == (8, 8) and set(np.unique(half.train.masks)) == {0, 1}


def road_members(count=6):
    images = RANDOM.integers(0, 256, (count, 12, 12, 3), np.uint8)
    masks = RANDOM.integers(0, 256, (count, 12, 12), np.uint8)
    rows = [f"{i}.png,t{i}.png,{'test' if i % 3 == 0 else 'train'}" for i in range(count)]
    members = {f"images/{i}.png": png(images[i]) for i in range(count)}
    members |= {f"masks/{i}.png": png(masks[i]) for i in range(count)}
    return images, masks, {"index.csv": "\n".join(["name,tile,split", *rows])} | members


def test_roads_are_what_is_above_127(project):
    images, masks, members = road_members()
    project({"city.zip": zipped(members)}, "roads", ("background", "road"))
    data = load("small", val_fraction=0)
    for part, which in ((data.train, [1, 2, 4, 5]), (data.test, [0, 3])):
        assert (part.images == images[which]).all() and (part.masks == masks[which] // 128).all()


def pet(number: int, size: tuple[int, int]) -> tuple[bytes, bytes]:
    """A picture whose red tells its number, and a trimap: pet in the middle, border around it, then background."""
    width, height = size
    trimap = np.full((height, width), 2, np.uint8)
    trimap[height // 8 : -height // 8, width // 8 : -width // 8] = 3
    trimap[height // 4 : -height // 4, width // 4 : -width // 4] = 1
    out = io.BytesIO()
    Image.new("RGB", size, (10 * number, 90, 50)).save(out, "JPEG", quality=95)
    return out.getvalue(), png(trimap)


SIZES = [(60, 40), (40, 70), (48, 48)]


def pet_archives(names=("Abyssinian_1", "Abyssinian_10", "beagle_2", "pug_3", "pug_4", "pug_5")):
    """images.tar.gz and annotations.tar.gz as the authors pack them, with stray files and a picture in no list."""
    pictures = {name: pet(i, SIZES[i % 3]) for i, name in enumerate((*names, "unlisted_1"))}
    images = {"images/Abyssinian_1.mat": b"stray"} | {
        f"images/{name}.jpg": p[0] for name, p in reversed(pictures.items())
    }
    notes = {f"annotations/trimaps/{name}.png": p[1] for name, p in pictures.items()}
    notes |= {f"annotations/trimaps/._{name}.png": b"\0\5\x16\7" for name in pictures}
    notes["annotations/trainval.txt"] = "".join(f"{name} 1 1 1\n" for name in (names[3], *names[:3])).encode()
    notes["annotations/test.txt"] = "".join(f"{name} 1 1 1\n" for name in names[4:]).encode()
    return images, notes


def check_pets(part, numbers, side):
    """The red at the centre says which picture it is; the mask has the pet, the background, border and rim as 255."""
    assert (np.abs(part.images[:, side // 2, side // 2, 0] / 10 - numbers) < 0.4).all()
    for mask, number in zip(part.masks, numbers, strict=True):
        width, height = SIZES[number % 3]
        filled = mask != 255
        # Within the picture all but the border counts: 1 - (3/4)^2 + (1/2)^2 of it.
        picture = side * side * min(width, height) / max(width, height)
        assert filled.sum() == pytest.approx(picture * (1 - 9 / 16 + 1 / 4), rel=0.1)
        assert (mask == 1).sum() == pytest.approx(picture / 4, rel=0.1)


def test_pets_from_the_official_archives(project):
    images, notes = pet_archives()
    project({"images.tar.gz": tar_gz(images), "annotations.tar.gz": tar_gz(notes)}, "pets_official", ("back", "pet"))
    data = load("small", val_fraction=0, img_size=64)
    check_pets(data.train, [3, 0, 1, 2], 64)  # in the order of the list
    check_pets(data.test, [4, 5], 64)
    assert data.img_size == (64, 64) and data.in_chans == 3
    again = load("small", val_fraction=0, img_size=64)  # now from the decoded arrays
    assert (again.train.masks == data.train.masks).all() and (again.test.images == data.test.images).all()
    assert load("small").img_size == (224, 224)


def test_pets_from_the_copy_keep_its_split(project):
    names = [f"pug_{i}" for i in range(6)]
    members = {
        "index.csv": "name,split\n"
        + "".join(f"{n},{s}\n" for n, s in zip(names, ["train"] * 3 + ["val", "test", "test"], strict=True))
    }
    for i, name in enumerate(names):
        members[f"images/{name}.jpg"], members[f"trimaps/{name}.png"] = pet(i, SIZES[i % 3])
    project({"pets.zip": zipped(members)}, "pets_copy", ("back", "pet"))
    data = load("small", img_size=48)
    for part, numbers in ((data.train, [0, 1, 2]), (data.val, [3]), (data.test, [4, 5])):
        check_pets(part, numbers, 48)


def refused(*parts):
    with pytest.raises(BadPair) as error:
        load("small")
    assert all(part in str(error.value) for part in parts), str(error.value)


def test_membranes_that_do_not_fit_are_named(project):
    images, labels = sections()
    members = {f"{k}/{i}.png": png(a[i]) for k, a in (("image", images), ("label", labels)) for i in range(10)}
    project({"stack.zip": zipped(members | {"label/3.png": png(labels[3] // 2)})}, "membranes")
    refused("stack.zip: label/3.png holds 127")
    project({"stack.zip": zipped(members | {"label/3.png": png(labels[3][1:])})}, "membranes")
    refused("stack.zip: image/3.png is 16 x 16 pixels, its mask", "label/3.png 16 x 15")
    project({"stack.zip": zipped({n: c for n, c in members.items() if n != "label/3.png"})}, "membranes")
    refused("stack.zip", "image/3.png has no mask")
    project(members | {"image/3.png": b"cut"}, "membranes")
    refused("/cache/small/image/3.png", "cut")


def test_roads_that_do_not_fit_are_named(project):
    _, _, members = road_members()
    project({"city.zip": zipped({n: c for n, c in members.items() if n != "images/2.png"})}, "roads")
    refused("city.zip", "masks/2.png has no image")
    project({"city.zip": zipped(members | {"masks/2.png": png(np.zeros((12, 13), np.uint8))})}, "roads")
    refused("city.zip: images/2.png is 12 x 12 pixels, its mask", "masks/2.png 13 x 12")


def test_pets_that_do_not_fit_are_named(project):
    images, notes = pet_archives()

    def put(images, notes):
        project({"images.tar.gz": tar_gz(images), "annotations.tar.gz": tar_gz(notes)}, "pets_official")

    put({n: c for n, c in images.items() if "pug_4" not in n}, notes)
    refused("images.tar.gz: no image of pug_4 (1 in all)")
    put(images, {n: c for n, c in notes.items() if not n.endswith("/beagle_2.png")})
    refused("annotations.tar.gz: no trimap of beagle_2 (1 in all)")
    put(images, notes | {"annotations/trimaps/beagle_2.png": png(np.full((48, 48), 4, np.uint8))})
    refused("trimaps/beagle_2.png holds 4")
