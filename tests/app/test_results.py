"""What the app makes of a run: masks, areas, reports and pictures. They count what NumPy counts."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from compactlib import app
from compactlib.app import drawing
from compactlib.app.downloads import area_table, mask_png, mask_tiff, report, stem
from compactlib.app.segmenting import Segmented, areas, disagreement
from compactlib.app.uploads import Picture, read_upload
from compactlib.datasets.drawn.aerial import aerial
from compactlib.datasets.drawn.generate import write_scene
from tests.app.samples import found, made

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def run(offers, scene):
    return found(scene[0], offers["aerial-unet"])


def test_below_the_threshold_there_is_no_class(run):
    mask = run.mask(0.8)
    assert set(np.unique(mask[run.sure < 0.8])) == {255}
    np.testing.assert_array_equal(mask[run.sure >= 0.8], run.best[run.sure >= 0.8])
    np.testing.assert_array_equal(run.mask(0), run.best)


def test_areas_are_what_numpy_counts(run):
    mask = run.mask(0.8)
    rows = {row.name: row for row in areas(mask, run.classes, 0.25)}
    for number, name in [*enumerate(run.classes), (255, "no class")]:
        pixels = (mask == number).sum()
        assert (rows[name].pixels, rows[name].square_metres) == (pixels, 0.25 * pixels)
        assert rows[name].share == pytest.approx((mask == number).mean())
    assert sum(row.pixels for row in rows.values()) == mask.size
    assert "no class" not in [row.name for row in areas(run.best, run.classes)]
    assert areas(run.best, run.classes)[0].square_metres is None


def test_pixels_without_data_get_no_class(offers, scene):
    empty = np.zeros((320, 400), bool)
    empty[:100] = True
    picture = Picture("scene", scene[0].pixels, "TIFF", empty=empty)
    best = found(picture, offers["aerial-unet"]).best
    assert (best[:100] == 255).all() and (best[100:] != 255).all()


def test_two_models_are_compared_pixel_by_pixel_if_they_know_the_same_classes(offers, scene, run):
    other = found(scene[0], offers["aerial-swin-unet"])
    different = disagreement(run, other)
    assert different.sum() == (run.best != other.best).sum() and 0 < different.mean() < 0.5
    with pytest.raises(app.ModelError, match="cannot be compared"):
        disagreement(run, Segmented(scene[0], other.offer, ("a", "b"), run.plan, run.best, run.sure, run.shares, 0))


def test_the_mask_comes_back_from_its_files(run, tmp_path):
    mask = run.mask(0.6)
    (tmp_path / "mask.png").write_bytes(mask_png(mask))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "mask.png")), mask)
    write_scene(tmp_path / "scene.tif", 64, 80, seed=3)
    picture = read_upload("scene.tif", (tmp_path / "scene.tif").read_bytes())
    (tmp_path / "mask.tif").write_bytes(mask_tiff(mask, picture))
    with tifffile.TiffFile(tmp_path / "mask.tif") as tif, tifffile.TiffFile(tmp_path / "scene.tif") as source:
        np.testing.assert_array_equal(tif.asarray(), mask)
        for code in (33550, 33922, 34735, 34737):
            assert tif.pages[0].tags[code].value == source.pages[0].tags[code].value
        assert tif.pages[0].tags[42113].value == "255"


def test_a_report_holds_its_pictures_and_escapes_what_others_wrote(tmp_path, scene):
    names = (EVIL, 'b" onload="x', "c")
    offer = made(tmp_path, file="x", classes=names, in_chans=3, num_classes=3, width=4, depth=2)
    picture = Picture(f"a {EVIL}.png", scene[0].pixels, "PNG", (EVIL,), pixel_area=2.0)
    run = found(picture, offer)
    colours = [["#112233", "#445566", "#778899"]]
    text = report([run], 0.5, colours)
    assert "<script" not in text and text.count("&lt;script&gt;") >= 3 and 'b" onload' not in text
    assert text.count("data:image/") == 3 and "http" not in text and str(tmp_path) not in text
    assert f"{int((run.mask(0.5) == 2).sum()):,}" in text and "m²" in text and "width=4" in text
    assert stem(picture, offer.label) == "a--script-alert-1---script--x"


def test_a_table_for_two_models_has_both_and_two_tables_if_their_classes_differ(offers, run, scene, tmp_path):
    colours = drawing.class_colours(run.classes)
    other = found(scene[0], offers["aerial-swin-unet"])
    table = area_table([run, other], 0, [colours, colours])
    assert table.count("<table>") == 1 and "aerial-swin-unet (shipped): pixels" in table and table.count("<tr>") == 6
    odd = found(scene[0], made(tmp_path, in_chans=3, num_classes=2, width=4, depth=2))
    assert area_table([run, odd], 0, [colours, ["#000000", "#ffffff"]]).count("<table>") == 2


# Pictures


def test_an_overlay_lies_between_picture_and_mask():
    picture, mask = np.full((1, 3, 3), 100, np.uint8), np.array([[0, 1, 255]], np.uint8)
    colours = ["#000000", "#C80064"]
    assert drawing.overlay(picture, mask, colours, 0.5)[0].tolist() == [[50] * 3, [150, 50, 100], [100] * 3]
    assert (drawing.overlay(picture, mask, colours, 0) == 100).all()
    assert drawing.painted(mask, colours)[0].tolist() == [[0] * 3, [200, 0, 100], [255] * 3]


def test_large_pictures_are_shown_small_and_16_bits_are_stretched():
    small = drawing.thumbnail(np.zeros((2100, 900, 1), np.uint8))
    assert small.shape == (700, 300, 3) and small.dtype == np.uint8
    deep = (np.arange(10_000, dtype=np.uint16) * 4).reshape(100, 100, 1)
    assert drawing.thumbnail(deep).min() == 0 and drawing.thumbnail(deep).max() == 255


def test_the_small_picture_the_small_mask_and_the_probabilities_have_one_size(offers):
    picture = Picture("odd", aerial(131, 257, seed=1)[0], "example")
    run = found(picture, offers["aerial-unet"], longest=100)
    small = drawing.small_mask(run.best, 100)
    assert small.shape == drawing.thumbnail(picture.pixels, 100).shape[:2] == run.shares.shape[:2] == (43, 85)
    np.testing.assert_array_equal(small, run.shares.argmax(axis=-1))


def test_differences_are_red_and_nowhere_else():
    shown = drawing.differences(np.zeros((1, 2, 3), np.uint8), np.array([[True, False]]))[0]
    assert shown[0].tolist() == [193, 18, 31] and len(set(shown[1].tolist())) == 1
