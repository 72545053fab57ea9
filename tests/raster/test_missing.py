"""Missing data, held against GDAL (rasterio) wherever GDAL has a word for it."""

import numpy as np
import pytest
import tifffile

from compactlib.raster import missing_pixels, open_scene
from compactlib.raster.missing import is_nodata

rasterio = pytest.importorskip("rasterio", reason="rasterio is not installed: GDAL's word on missing data")
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

HEIGHT, WIDTH = 70, 93
RNG = np.random.default_rng(0)
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[20:31, 40:77] = True
HOLE[0, 0] = HOLE[-1, -1] = True


def write(path, bands: np.ndarray, mask: np.ndarray | None = None, **options):
    """A GeoTIFF by GDAL of bands (C, H, W); mask: where there are data."""
    profile = dict(driver="GTiff", count=len(bands), height=HEIGHT, width=WIDTH, dtype=bands.dtype, tiled=True)
    profile |= dict(blockxsize=32, blockysize=32) | options
    with rasterio.open(path, "w", **profile) as file:
        file.write(bands)
        if mask is not None:
            file.write_mask(mask)
    return path


def ours(path, **options) -> np.ndarray:
    with open_scene(path, **options) as scene:
        pixels, missing = scene.look(0, 0, HEIGHT, WIDTH)
        assert pixels.shape[:2] == (HEIGHT, WIDTH)
        return np.zeros((HEIGHT, WIDTH), bool) if missing is None else missing


def gdal(path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.dataset_mask() == 0


def bands(dtype="uint8", count=3, nodata=None) -> np.ndarray:
    found = RNG.integers(1, 200, (count, HEIGHT, WIDTH)).astype(dtype)
    if nodata is not None:
        found[:, HOLE] = nodata
        found[0, 50, 50] = nodata  # in one band only
    return found


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", 0), ("uint16", 65535), ("int16", -9999), ("float32", -9999.0), ("float32", np.finfo("f4").min.item()),
     ("float64", -1.7976931348623157e308), ("float32", 0.1)],
)  # fmt: skip
def test_nodata_is_missing_where_gdal_says_so(tmp_path, dtype, nodata):
    path = write(tmp_path / "a.tif", bands(dtype, nodata=nodata), nodata=nodata)
    assert gdal(path).any()
    np.testing.assert_array_equal(ours(path), gdal(path))


def test_one_band_of_nan_tagged_or_not_and_infinity(tmp_path):
    for name, options in {"tag": {"nodata": np.nan}, "other tag": {"nodata": -9999}, "no tag": {}}.items():
        values = bands("float32", 1)
        values[0, HOLE] = [np.nan, np.inf, -np.inf][len(name) % 3]
        if "nodata" in options and name == "other tag":
            values[0, 60] = -9999
        path = write(tmp_path / f"{name}.tif", values, **options)
        expected = HOLE.copy()
        expected[60] |= name == "other tag"
        np.testing.assert_array_equal(ours(path), expected)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("inside", ["YES", "NO"])
def test_a_mask_page_or_a_mask_file(tmp_path, count, inside):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside):
        path = write(tmp_path / "a.tif", bands(count=count), ~HOLE)
    assert (tmp_path / "a.tif.msk").exists() == (inside == "NO")
    np.testing.assert_array_equal(gdal(path), HOLE)
    np.testing.assert_array_equal(ours(path), HOLE)


@pytest.mark.parametrize("count", [2, 4])
def test_alpha(tmp_path, count):
    values = bands(count=count)
    values[-1] = np.where(HOLE, 0, 255)
    values[-1, 5] = 128  # half transparent is data
    path = write(tmp_path / "a.tif", values, photometric="rgb" if count == 4 else "minisblack", alpha="yes")
    np.testing.assert_array_equal(ours(path), gdal(path))
    np.testing.assert_array_equal(ours(path), HOLE)
    with open_scene(path) as scene:
        assert scene.alpha == count - 1 and scene.shape[2] == count


def test_lerc_keeps_its_mask_inside(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    if not (imagecodecs.LERC.available and imagecodecs.TIFF):
        pytest.skip("imagecodecs without LERC")
    for dtype in ("float32", "uint16"):
        values = RNG.integers(1, 200, (32, 32)).astype(dtype)
        valid = np.ones((32, 32), bool)
        valid[3:9, 4:20] = False
        packed = imagecodecs.lerc_encode(values, masks=valid)
        path = tmp_path / f"{dtype}.tif"
        with tifffile.TiffWriter(path) as tif:
            options = dict(shape=(32, 32), dtype=dtype, tile=(32, 32), compression=34887, metadata=None)
            tif.write(iter([packed]), photometric="minisblack", **options)
        with open_scene(path) as scene:
            assert scene.shape == (32, 32, 1)
            pixels, missing = scene.look(0, 0, 32, 32)
        np.testing.assert_array_equal(missing, ~valid)
        np.testing.assert_array_equal(pixels[valid][:, 0], values[valid])


@pytest.mark.parametrize(
    "text", ["nan", "-nan", "1.#QNAN", " NaN ", "1e+20", "-3.4e38", "-9999,0", "-9999 -9999", "7 8"]
)
def test_a_tag_of_text(tmp_path, text):
    values = np.stack([np.full((16, 16), v, np.float32) for v in (1, 2)], axis=-1)
    hole = {"1e+20": 1e20, "-3.4e38": np.finfo("f4").min, "-9999,0": (-9999, 0), "-9999 -9999": -9999, "7 8": (7, 8)}
    values[3, 4] = hole.get(text, np.nan)
    values[9, 9] = (8, 7)
    tags = [(42113, "s", 0, text, True)]
    tifffile.imwrite(tmp_path / "a.tif", values, planarconfig="contig", metadata=None, extratags=tags)
    with open_scene(tmp_path / "a.tif") as scene:
        assert np.argwhere(scene.look(0, 0, 16, 16)[1]).tolist() == [[3, 4]]


def test_what_no_pixel_can_have_is_nothing(tmp_path):
    for text in ("-9999", "nan", "256", "0.5", "none", "1 2 3 4"):
        tags = [(42113, "s", 0, text, True)]
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16), np.uint8), metadata=None, extratags=tags)
        with open_scene(tmp_path / "a.tif") as scene:
            assert scene.nodata is None and scene.complete and scene.look(0, 0, 4, 4)[1] is None


def test_missing_pixels_move_with_their_pixels_at_borders_and_in_chosen_bands(tmp_path):
    path = write(tmp_path / "a.tif", bands(nodata=0), nodata=0)
    with open_scene(path, bands=[2, 0]) as scene:
        pixels, missing = scene.look(-9, -9, HEIGHT + 20, WIDTH + 20)
        assert pixels.shape[2] == 2
        np.testing.assert_array_equal(missing, np.pad(gdal(path), [(9, 11), (9, 11)], mode="reflect"))
        whole = scene.read(0, 0, HEIGHT, WIDTH)
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(whole, np.moveaxis(file.read([3, 1]), 0, -1))


def test_the_rule_for_arrays():
    pixels = np.array([[1, 2], [0, 0], [0, 5], [np.nan, 1], [np.inf, 1]], np.float32)
    assert missing_pixels(pixels, 0).tolist() == [False, True, False, True, True]
    assert missing_pixels(pixels, (0, 5)).tolist() == [False, False, True, True, True]
    assert not missing_pixels(np.zeros((2, 3), np.uint8)).any()
    with pytest.raises(ValueError, match="3 values"):
        is_nodata(pixels, (1, 2, 3))
