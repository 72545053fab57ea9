"""A picture as many TIFFs: each holds a part and knows its place on the Earth, and a VRT puts them together.

A VRT is GDAL's format: a page of XML that names the parts, opened as one picture by QGIS, rasterio and all of GDAL.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import tifffile

from compactlib.files import atomic_open
from compactlib.raster.tiff_tags import (
    GDAL_NODATA,
    GEO_KEYS,
    PIXEL_IS_POINT,
    PIXEL_SCALE,
    RASTER_TYPE,
    TIEPOINTS,
    TRANSFORMATION,
    GeoTags,
)
from compactlib.raster.windows import Window

PROJECTED, GEOGRAPHIC, USER_DEFINED = 3072, 2048, 32767  # GeoKeys that hold an EPSG code, and the code for none
TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32"}
TYPES |= {"float32": "Float32", "float64": "Float64"}  # as GDAL calls them


@dataclass(frozen=True)
class Picture:
    """What a picture's parts have in common: shape (height, width, channels) of the whole, dtype, GeoTIFF tags as
    `Scene.geo` gives them, the value of pixels without data, and the side of the tiles in a part's TIFF."""

    shape: tuple[int, int, int]
    dtype: str
    geo: GeoTags
    nodata: float | None
    tile: int = 512


def write_part(path: Path, picture: Picture, y: int, x: int, pixels: np.ndarray) -> None:
    """Write the pixels (h, w, channels) from row y, column x on as a TIFF: tiled, deflate, placed on the Earth."""
    tags = placed(picture.geo, y, x)
    if picture.nodata is not None:
        tags[GDAL_NODATA] = (2, 0, str(picture.nodata))  # 2: text
    with atomic_open(path) as file:
        tifffile.imwrite(
            file,
            pixels if picture.shape[2] > 1 else pixels.reshape(pixels.shape[:2]),
            tile=(picture.tile, picture.tile),
            compression="deflate",
            photometric="minisblack",  # also for 3 channels: they are not red, green and blue
            planarconfig="contig" if picture.shape[2] > 1 else None,
            metadata=None,
            software="compactlib",
            extratags=[(code, *tag, True) for code, tag in tags.items()],
        )


def placed(geo: GeoTags, y: int, x: int) -> GeoTags:
    """The GeoTIFF tags of the part that begins at row y, column x."""
    tags = dict(geo)
    if TIEPOINTS in geo:
        points = np.reshape(geo[TIEPOINTS][2], (-1, 6)) - [x, y, 0, 0, 0, 0]  # column, row, height; x, y, z
        tags[TIEPOINTS] = (*geo[TIEPOINTS][:2], tuple(points.ravel().tolist()))
    if TRANSFORMATION in geo:
        matrix = np.reshape(geo[TRANSFORMATION][2], (4, 4)).astype(float)  # @ (column, row, height, 1) = (x, y, z, 1)
        matrix[:, 3] += matrix[:, 0] * x + matrix[:, 1] * y
        tags[TRANSFORMATION] = (*geo[TRANSFORMATION][:2], tuple(matrix.ravel().tolist()))
    return tags


def write_vrt(path: Path, picture: Picture, window: Window, parts: Iterable[tuple[Path, Window]]) -> None:
    """Write a VRT of a window of the picture, from files that hold windows of it: TIFFs of `write_part`, or VRTs.

    The parts lie in the VRT's folder or below; windows are in pixels of the whole picture. A coordinate system without
    an EPSG code is left out (the parts have it): GDAL alone could write it out.
    """
    with atomic_open(path) as file:

        def write(line: str) -> None:
            file.write(f"{line}\n".encode())

        parts = list(parts)
        write(f'<VRTDataset rasterXSize="{window.width}" rasterYSize="{window.height}">')
        for line in _place(placed(picture.geo, window.y, window.x)):
            write(f"  {line}")
        kind = TYPES[picture.dtype]
        for band in range(1, picture.shape[2] + 1):
            write(f'  <VRTRasterBand dataType="{kind}" band="{band}">')
            if picture.nodata is not None:
                write(f"    <NoDataValue>{picture.nodata}</NoDataValue>")
            for part, its in parts:
                name, size = escape(part.relative_to(path.parent).as_posix()), f'"{its.width}" {{}}="{its.height}"'
                write(
                    f'    <SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
                    f"<SourceBand>{band}</SourceBand>"
                    # With these GDAL opens a part only when its pixels are asked for.
                    f'<SourceProperties RasterXSize={size.format("RasterYSize")} DataType="{kind}" '
                    f'BlockXSize="{picture.tile}" BlockYSize="{picture.tile}"/>'
                    f'<SrcRect xOff="0" yOff="0" xSize={size.format("ySize")}/>'
                    f'<DstRect xOff="{its.x - window.x}" yOff="{its.y - window.y}" xSize={size.format("ySize")}/>'
                    "</SimpleSource>"
                )
            write("  </VRTRasterBand>")
        write("</VRTDataset>")


def _place(geo: GeoTags) -> list[str]:
    """Lines of XML that say where a picture with these tags lies on the Earth."""
    keys = (
        {key: value for key, place, _, value in np.reshape(geo[GEO_KEYS][2], (-1, 4))[1:].tolist() if not place}
        if GEO_KEYS in geo
        else {}
    )
    code = next((keys[key] for key in (PROJECTED, GEOGRAPHIC) if keys.get(key, USER_DEFINED) != USER_DEFINED), None)
    system, point = f"EPSG:{code}" if code else "", keys.get(RASTER_TYPE) == PIXEL_IS_POINT
    half = 0.5 if point else 0.0  # there whole numbers stand for the middles of pixels, in a VRT for their corners
    lines = [f"<SRS>{system}</SRS>"] if system else []
    if PIXEL_SCALE in geo or TRANSFORMATION in geo:
        if TRANSFORMATION in geo:
            (xx, xy, _, x), (yx, yy, _, y) = np.reshape(geo[TRANSFORMATION][2], (4, 4))[:2].tolist()
        else:
            column, row, _, x, y, _ = geo[TIEPOINTS][2][:6]
            (xx, yy, _), xy, yx = geo[PIXEL_SCALE][2], 0.0, 0.0
            yy = -yy
            x, y = x - column * xx, y - row * yy
        numbers = (x - half * (xx + xy), xx, xy, y - half * (yx + yy), yx, yy)
        lines.append(f"<GeoTransform>{', '.join(map(repr, numbers))}</GeoTransform>")
    elif TIEPOINTS in geo:
        points = np.reshape(geo[TIEPOINTS][2], (-1, 6)).tolist()
        lines = [f'<GCPList Projection="{system}">']
        lines += [
            f'  <GCP Id="{number}" Pixel="{column + half!r}" Line="{row + half!r}" X="{x!r}" Y="{y!r}" Z="{z!r}"/>'
            for number, (column, row, _, x, y, z) in enumerate(points, 1)
        ]
        lines.append("</GCPList>")
    if point:
        lines.append('<Metadata><MDI key="AREA_OR_POINT">Point</MDI></Metadata>')
    return lines
