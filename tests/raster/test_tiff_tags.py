"""Where a scene lies on the Earth, at each level of its pyramid, and the value of its pixels without data."""

import numpy as np
import pytest
import tifffile

from compactlib.raster import open_scene

KEYS = (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 1)  # projected; a pixel is an area
POINT = (*KEYS[:-1], 2)  # a pixel is a point
SCALE, TIEPOINTS = (0.5, 0.25, 0.0), (10.0, 20.0, 0.0, 500_000.0, 5_000_000.0, 0.0)
MATRIX = (0.4, 0.3, 0.0, 500_000.0, 0.3, -0.4, 0.0, 5_000_000.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
PLACES = {
    "scale": [(33550, 12, 3, SCALE, True), (33922, 12, 6, TIEPOINTS, True)],
    "matrix": [(34264, 12, 16, MATRIX, True)],
}


def ground(geo: dict, column: float, row: float) -> np.ndarray:
    """Map coordinates of a corner of the picture's pixel grid, as the GeoTIFF standard defines them."""
    if 1025 in geo[34735][2] and geo[34735][2][geo[34735][2].index(1025) + 3] == 2:
        column, row = column - 0.5, row - 0.5  # whole numbers are the middles of pixels
    if 34264 in geo:
        return (np.reshape(geo[34264][2], (4, 4)) @ (column, row, 0, 1))[:2]
    (x_scale, y_scale, _), (i, j, _, x, y, _) = geo[33550][2], geo[33922][2]
    return np.array([x + (column - i) * x_scale, y - (row - j) * y_scale])


@pytest.mark.parametrize("keys", [KEYS, POINT], ids=["area", "point"])
@pytest.mark.parametrize("place", PLACES)
def test_each_level_lies_where_the_whole_lies(tmp_path, place, keys):
    tags = [*PLACES[place], (34735, 3, len(keys), keys, True), (34737, 2, 7, "WGS 84|", True)]
    pixels = np.zeros((301, 203), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(pixels, subifds=2, tile=(16, 16), extratags=tags, compression="deflate")
        tif.write(pixels[::2, ::2], subfiletype=1, tile=(16, 16), compression="deflate")
        tif.write(pixels[:7, :9], subfiletype=1, tile=(16, 16), compression="deflate")
    with open_scene(tmp_path / "a.tif") as full:
        assert full.geo == {code: (kind, count, value) for code, kind, count, value, _ in tags} | {
            34737: (2, 8, "WGS 84|")  # with the byte that ends it
        }
        for level in (1, 2):
            with open_scene(tmp_path / "a.tif", level=level) as reduced:
                assert reduced.geo.keys() == full.geo.keys() and reduced.geo[34735] == full.geo[34735]
                for down, across in ((0, 0), (0, 1), (1, 0), (1, 1), (0.3, 0.8)):
                    expected = ground(full.geo, across * full.shape[1], down * full.shape[0])
                    found = ground(reduced.geo, across * reduced.shape[1], down * reduced.shape[0])
                    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_a_level_with_a_place_of_its_own_keeps_it(tmp_path):
    pixels, own = np.zeros((64, 64), np.uint8), (33550, 12, 3, (9.0, 9.0, 0.0), True)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(pixels, subifds=1, extratags=PLACES["scale"])
        tif.write(pixels[::2, ::2], subfiletype=1, extratags=[own])
    with open_scene(tmp_path / "a.tif", level=1) as scene:
        assert scene.geo == {33550: (12, 3, (9.0, 9.0, 0.0))}


def test_the_tags_can_be_written_again(tmp_path):
    keys = (34735, 3, len(KEYS), KEYS, True)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64), np.uint8), extratags=[*PLACES["scale"], keys])
    with open_scene(tmp_path / "a.tif") as scene:
        tags = [(code, *tag, True) for code, tag in scene.geo.items()]
        tifffile.imwrite(tmp_path / "b.tif", np.zeros((64, 64), np.uint8), extratags=tags)
        with open_scene(tmp_path / "b.tif") as again:
            assert again.geo == scene.geo and len(again.geo) == 3


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        ("uint8", "255", 255),
        ("uint8", "255.0", 255),
        ("uint8", " 0 ", 0),
        ("uint8", "-9999", None),
        ("uint8", "1.5", None),
        ("int16", "nan", None),
        ("int16", "-32768", -32768),
        ("float32", "-9999", -9999.0),
        ("float32", "1,5", 1.5),
        ("float64", "1.79769313486231571e+308", 1.7976931348623157e308),
        ("uint16", "none", None),
    ],
)
def test_no_data(tmp_path, dtype, text, value):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16), dtype), extratags=[(42113, "s", 0, text, True)])
    with open_scene(tmp_path / "a.tif") as scene:
        assert scene.nodata == value and type(scene.nodata) is type(value)


def test_no_data_may_be_no_number(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16), "float32"), extratags=[(42113, "s", 0, "nan", True)])
    with open_scene(tmp_path / "a.tif") as scene:
        assert np.isnan(scene.nodata)
