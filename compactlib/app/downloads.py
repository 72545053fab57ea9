"""What can be taken home: the mask as a file, and a report that stands by itself."""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np

from compactlib.app import drawing
from compactlib.app.segmenting import IGNORE, Area, Segmented, areas, disagreement
from compactlib.app.uploads import Picture
from compactlib.raster.tiff_tags import GDAL_NODATA
from compactlib.runs.machine import versions

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:.5em 0}td,th{padding:.2em .8em;border-bottom:1px solid #ddd}"
    "td,th{text-align:right}td:first-child,th:first-child{text-align:left}img{max-width:100%}"
    "figure{display:inline-block;margin:0 1% 1em 0;"
    "width:48%;vertical-align:top}figcaption{color:#555}"
    ".swatch{display:inline-block;width:.9em;height:.9em;margin-right:.5em;border:1px solid #888;vertical-align:-.1em}"
)


def stem(picture: Picture, offer_label: str) -> str:
    """A file name, without its ending, from two untrusted ones."""
    text = f"{picture.name.rsplit('.', 1)[0]}-{offer_label.split(' (')[0]}"
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in text).strip("-")[:100]


def mask_png(mask: np.ndarray) -> bytes:
    """Class ids uint8 (H, W) as a grey PNG: the number of a pixel is its class, 255 is no class."""
    return drawing.png(np.ascontiguousarray(mask))


def mask_tiff(mask: np.ndarray, picture: Picture) -> bytes:
    """Class ids uint8 (H, W) as a deflated TIFF that lies where the picture lies, 255 being GDAL's no data."""
    import tifffile

    tags = {**picture.geo, GDAL_NODATA: (2, 0, str(IGNORE))}  # 2: text
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, ome=False) as tiff:
        tiff.write(
            mask,
            photometric="minisblack",
            compression="deflate",
            tile=(256, 256),
            metadata=None,
            software="compactlib",
            extratags=[(code, *tag, True) for code, tag in tags.items()],
        )
    return buffer.getvalue()


def area_table(found: Sequence[Segmented], threshold: float, colours: Sequence[Sequence[str]]) -> str:
    """The areas of each class as an HTML table; two runs with the same classes share one. colours: of each run."""
    if len(found) > 1 and found[0].classes != found[1].classes:
        pairs = zip(found, colours, strict=True)
        return "".join(f"<p>{escape(run.offer.label)}</p>{area_table([run], threshold, [own])}" for run, own in pairs)
    metres = found[0].picture.pixel_area is not None
    heads = [f"{escape(run.offer.label)}: pixels" if len(found) > 1 else "pixels" for run in found]
    head = "".join(f"<th>{text}</th><th>%</th>{'<th>m²</th>' if metres else ''}" for text in heads)
    tables = [
        {row.name: row for row in areas(run.mask(threshold), run.classes, run.picture.pixel_area)} for run in found
    ]
    swatches, lines = dict(zip(found[0].classes, colours[0], strict=True)), []
    for name in dict.fromkeys(name for table in tables for name in table):
        rows = [table.get(name, Area(name, 0, 0.0, 0.0)) for table in tables]
        cells = "".join(
            f"<td>{row.pixels:,}</td><td>{100 * row.share:.1f}</td>"
            + (f"<td>{row.square_metres:,.0f}</td>" if metres else "")
            for row in rows
        )
        swatch = f'<span class="swatch" style="background:{escape(swatches.get(name, "#ffffff"))}"></span>'
        lines.append(f"<tr><td>{swatch}{escape(name)}</td>{cells}</tr>")
    return f"<table><thead><tr><th>class</th>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def facts(run: Segmented) -> list[tuple[str, str]]:
    """What a reader has to know about a run, name and value."""
    return [
        ("model", f"{run.offer.label}: {run.offer.family} ({run.offer.facts['name']})"),
        ("arguments", ", ".join(f"{key}={value}" for key, value in run.offer.facts["arguments"].items())),
        ("patches", run.plan.words),
        ("time", f"{run.seconds:.1f} s"),
    ]


def report(found: Sequence[Segmented], threshold: float, colours: Sequence[Sequence[str]], opacity: float = 0.5) -> str:
    """One or two runs over one picture as an HTML page that needs no other file. colours: of the classes of each run.

    All texts from uploads and model files are escaped.
    """
    picture, parts = found[0].picture, []
    small = drawing.thumbnail(picture.pixels, 700)
    parts.append(_figure("image", small))
    for run, own in zip(found, colours, strict=True):
        mask = drawing.small_mask(run.mask(threshold), 700)
        parts.append(_figure(f"{run.offer.label}, over the image", drawing.overlay(small, mask, own, opacity)))
        parts.append(_figure(f"{run.offer.label}, mask", drawing.painted(mask, own), lossless=True))
    notes = [f"<p>{escape(remark)}</p>" for remark in picture.remarks]
    if len(found) == 2 and found[0].classes == found[1].classes:
        share = disagreement(*found, threshold).mean()
        notes.append(f"<p>The two masks differ in {100 * share:.1f} % of the pixels.</p>")
    if threshold:
        notes.append(f"<p>Pixels whose most probable class has a probability below {threshold:.2f} have no class.</p>")
    settings = "".join(
        "<table>" + "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in facts(run)) + "</table>"
        for run in found
    )
    software = ", ".join(f"{name} {version}" for name, version in versions().items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Segmentation of {escape(picture.name)}</title>'
        f"<style>{STYLE}</style><h1>Segmentation of {escape(picture.name)}</h1><p>{escape(str(picture))}</p>"
        f"{''.join(notes)}{''.join(parts)}<h2>Areas</h2>{area_table(found, threshold, colours)}"
        f"<h2>Models and settings</h2>{settings}<p>{escape(software)}</p></html>\n"
    )


def _figure(caption: str, pixels: np.ndarray, lossless: bool = False) -> str:
    data, kind = (drawing.png(pixels), "png") if lossless else (drawing.jpeg(pixels), "jpeg")
    return f'<figure><img src="{data_uri(data, f"image/{kind}")}"><figcaption>{escape(caption)}</figcaption></figure>'


def data_uri(data: bytes, mime: str) -> str:
    """Bytes as an address that holds them."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
