"""A picture as many TIFFs: put together by what the VRT's XML says, they are the picture, in its place on the Earth."""

from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from compactlib.raster import Window, open_scene
from compactlib.raster.vrt import Picture, placed, write_part, write_vrt


def keys(kind: int = 1, code: int = 32632) -> tuple[int, int, tuple]:
    """GeoKeys: projected; kind 1: whole numbers stand for the corners of pixels, 2: for their middles; EPSG code."""
    return (3, 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, kind, 3072, 0, 1, code))


# Half a metre a pixel; pixel (2, 3) stands at (600000, 5300000).
NORTH_UP = {33550: (12, 3, (0.5, 0.25, 0.0)), 33922: (12, 6, (2.0, 3.0, 0.0, 600000.0, 5300000.0, 0.0)), 34735: keys()}
TURNED = {34264: (12, 16, (0.3, 0.4, 0, 1000.0, 0.5, -0.2, 0, 2000.0, 0, 0, 0, 0, 0, 0, 0, 1)), 34735: keys()}
POINTS = {33922: (12, 18, (0, 0, 0, 10.0, 50.0, 0, 60, 0, 0, 11.0, 50.5, 0, 0, 40, 0, 10.5, 49.0, 0)), 34735: keys()}


def written(folder, picture: Picture, pixels: np.ndarray, rows: int, columns: int) -> list:
    parts = []
    for y in range(0, pixels.shape[0], rows):
        for x in range(0, pixels.shape[1], columns):
            part = pixels[y : y + rows, x : x + columns]
            path = folder / "parts" / f"{y}_{x} & more.tif"
            write_part(path, picture, y, x, part)
            parts.append((path, Window(y, x, *part.shape[:2])))
    return parts


def assembled(path) -> np.ndarray:
    """The picture that a VRT shows, read by tifffile where the XML says."""
    root = ElementTree.parse(path).getroot()
    bands = []
    for band in root.findall("VRTRasterBand"):
        bands.append(np.zeros((int(root.get("rasterYSize")), int(root.get("rasterXSize"))), "uint8"))
        for source in band.findall("SimpleSource"):
            file = path.parent / source.find("SourceFilename").text
            pixels = assembled(file) if file.suffix == ".vrt" else np.atleast_3d(tifffile.imread(file))
            x, y, width, height = (int(source.find("DstRect").get(k)) for k in ("xOff", "yOff", "xSize", "ySize"))
            assert pixels.shape[:2] == (height, width)
            size = source.find("SourceProperties")
            assert (int(size.get("RasterYSize")), int(size.get("RasterXSize"))) == (height, width)
            bands[-1][y : y + height, x : x + width] = pixels[..., int(source.find("SourceBand").text) - 1]
    return np.stack(bands, -1)


@pytest.mark.parametrize("channels", [1, 3])
def test_parts_put_together_are_the_picture(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(1, 255, (70, 100, channels), np.uint8)
    picture = Picture(pixels.shape, "uint8", NORTH_UP, 255, tile=16)
    parts = written(tmp_path, picture, pixels, 32, 48)
    write_vrt(tmp_path / "whole.vrt", picture, Window(0, 0, 70, 100), parts)
    np.testing.assert_array_equal(assembled(tmp_path / "whole.vrt"), pixels)
    # In two steps: VRTs of rows, and one of them.
    rows = []
    for y in (0, 32, 64):
        own = [(path, window) for path, window in parts if window.y == y]
        rows.append((tmp_path / "parts" / f"{y}.vrt", Window(y, 0, own[0][1].height, 100)))
        write_vrt(rows[-1][0], picture, rows[-1][1], own)
        np.testing.assert_array_equal(assembled(rows[-1][0]), pixels[y : y + 32])
    write_vrt(tmp_path / "nested.vrt", picture, Window(0, 0, 70, 100), rows)
    np.testing.assert_array_equal(assembled(tmp_path / "nested.vrt"), pixels)
    root = ElementTree.parse(tmp_path / "nested.vrt").getroot()
    assert {band.find("NoDataValue").text for band in root.findall("VRTRasterBand")} == {"255"}


@pytest.mark.parametrize(
    ("geo", "expected"),
    [
        (NORTH_UP, (599999.0, 0.5, 0, 5300000.75, 0, -0.25)),
        (NORTH_UP | {34735: keys(2)}, (599998.75, 0.5, 0, 5300000.875, 0, -0.25)),
        (TURNED, (1000.0, 0.3, 0.4, 2000.0, 0.5, -0.2)),
    ],
    ids=["north up", "middles of pixels", "turned"],
)
def test_a_vrt_says_where_it_lies(tmp_path, geo, expected):
    """GDAL's geotransform: x of the upper left corner, x a column, x a row; y of the corner, y a column, y a row."""
    write_vrt(tmp_path / "a.vrt", Picture((9, 9, 1), "uint8", geo, None), Window(0, 0, 9, 9), [])
    root = ElementTree.parse(tmp_path / "a.vrt").getroot()
    assert root.find("SRS").text == "EPSG:32632" and root.find("VRTRasterBand/NoDataValue") is None
    assert [float(number) for number in root.find("GeoTransform").text.split(",")] == pytest.approx(expected, abs=1e-9)
    # A part that begins at row 4, column 6 lies 4 rows and 6 columns further on.
    write_vrt(tmp_path / "part.vrt", Picture((9, 9, 1), "uint8", geo, None), Window(4, 6, 2, 2), [])
    found = [float(n) for n in ElementTree.parse(tmp_path / "part.vrt").getroot().find("GeoTransform").text.split(",")]
    x, xx, xy, y, yx, yy = expected
    assert found == pytest.approx((x + 6 * xx + 4 * xy, xx, xy, y + 6 * yx + 4 * yy, yx, yy), abs=1e-9)


def test_points_on_the_ground_move_with_the_part(tmp_path):
    assert np.reshape(placed(POINTS, 7, 5)[33922][2], (3, 6))[:, :2].tolist() == [[-5, -7], [55, -7], [-5, 33]]
    write_vrt(tmp_path / "a.vrt", Picture((40, 60, 1), "uint8", POINTS, None), Window(7, 5, 30, 50), [])
    points = ElementTree.parse(tmp_path / "a.vrt").getroot().findall("GCPList/GCP")
    assert [tuple(float(point.get(k)) for k in ("Pixel", "Line", "X", "Y")) for point in points] == [
        (-5, -7, 10, 50),
        (55, -7, 11, 50.5),
        (-5, 33, 10.5, 49),
    ]


def test_without_a_place_or_a_code_nothing_is_claimed(tmp_path):
    for geo in ({}, {34735: keys(code=32767)}):
        write_vrt(tmp_path / "a.vrt", Picture((9, 9, 1), "uint8", geo, None), Window(0, 0, 9, 9), [])
        root = ElementTree.parse(tmp_path / "a.vrt").getroot()
        assert root.find("SRS") is None and root.find("GeoTransform") is None and root.find("GCPList") is None


def test_a_part_alone_is_a_scene_in_its_place(tmp_path):
    pixels = np.random.default_rng(0).integers(1, 255, (40, 30, 1), np.uint8)
    write_part(tmp_path / "part.tif", Picture((100, 100, 1), "uint8", NORTH_UP, 255, 16), 32, 64, pixels)
    with open_scene(tmp_path / "part.tif") as scene:
        np.testing.assert_array_equal(scene[0:40, 0:30], pixels)
        assert scene.nodata == 255 and scene.compression == "deflate" and scene.tile == (16, 16)
        assert scene.geo[33922][2] == (2 - 64, 3 - 32, 0, 600000, 5300000, 0) and scene.geo[33550] == NORTH_UP[33550]


@pytest.mark.parametrize("geo", [NORTH_UP, NORTH_UP | {34735: keys(2)}, TURNED, POINTS, {}], ids=str)
def test_gdal_sees_the_same_picture_in_the_same_place(tmp_path, geo):
    rasterio = pytest.importorskip("rasterio", reason="GDAL is not among what the project needs")
    pixels = np.random.default_rng(0).integers(1, 255, (70, 100, 3), np.uint8)
    picture = Picture(pixels.shape, "uint8", geo, 255, tile=16)
    write_part(tmp_path / "one.tif", picture, 0, 0, pixels)
    write_vrt(tmp_path / "many.vrt", picture, Window(0, 0, 70, 100), written(tmp_path, picture, pixels, 32, 48))
    with rasterio.open(tmp_path / "one.tif") as one, rasterio.open(tmp_path / "many.vrt") as many:
        np.testing.assert_array_equal(many.read(), one.read())
        np.testing.assert_array_equal(many.read(), pixels.transpose(2, 0, 1))
        assert many.transform.almost_equals(one.transform) and many.crs == one.crs and many.nodata == one.nodata == 255
        assert [(p.row, p.col, p.x, p.y) for p in many.gcps[0]] == [(p.row, p.col, p.x, p.y) for p in one.gcps[0]]
        assert many.tags().get("AREA_OR_POINT", "Area") == one.tags().get("AREA_OR_POINT", "Area")
