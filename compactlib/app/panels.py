"""The right side of the page: what a run found, as pictures, a table and files."""

from collections.abc import Mapping, Sequence
from html import escape

import ipywidgets as widgets
import numpy as np

from compactlib.app import downloads, drawing
from compactlib.app.controls import WIDE
from compactlib.app.segmenting import Segmented, disagreement

IMAGE, MASK, OVERLAY, PROBABILITY, DIFFERENCE = "Image", "Mask", "Overlay", "Probability", "Difference"
VIEWS = (IMAGE, MASK, OVERLAY, PROBABILITY)


class Panels:
    """The widgets of the right side; `box` holds them all. They show what `show_picture` and `show` are given."""

    def __init__(self):
        self.found: list[Segmented] = []
        self.small: np.ndarray | None = None
        self.view = widgets.ToggleButtons(options=[IMAGE], style={"button_width": "104px"})
        self.opacity = widgets.FloatSlider(
            0.5, min=0, max=1, step=0.05, description="Opacity", layout=widgets.Layout(width="300px")
        )
        self.shown_class = widgets.Dropdown(description="of class", layout=widgets.Layout(width="300px"))
        self.titles = [widgets.HTML(layout=WIDE) for _ in range(2)]
        self.pictures = [widgets.Image(layout=widgets.Layout(width="99%")) for _ in range(2)]
        sides = zip(self.titles, self.pictures, strict=True)
        self.sides = [widgets.VBox(pair, layout=widgets.Layout(flex="1 1 0", min_width="0")) for pair in sides]
        self.legend, self.differ, self.table = (widgets.HTML(layout=WIDE) for _ in range(3))
        self.files = widgets.HTML(layout=WIDE)
        self.make_report = widgets.Button(description="Make a report", disabled=True)
        self.report = widgets.HTML()
        for picture in self.pictures:
            picture.add_class("seg-picture")
        self.box = widgets.VBox(
            [
                widgets.HBox([self.view, self.opacity, self.shown_class], layout=widgets.Layout(flex_flow="row wrap")),
                widgets.HBox(self.sides),
                self.legend,
                self.differ,
                self.table,
                self.files,
                widgets.HBox([self.make_report, self.report]),
            ],
            layout=widgets.Layout(flex="1 1 0", min_width="0", padding="0 0 0 16px"),
        )

    def show_picture(self, small: np.ndarray | None, title: str) -> None:
        """A picture (h, w, 3) without a result; None empties the page."""
        self.found, self.small = [], small
        self.view.options = [IMAGE]
        self._visible(self.opacity, False), self._visible(self.shown_class, False)
        self._put(0, title, None if small is None else drawing.jpeg(small))
        self._visible(self.sides[1], False)
        for widget in (self.legend, self.differ, self.table, self.files, self.report):
            widget.value = ""
        self.make_report.disabled = True

    def show_found(self, found: Sequence[Segmented]) -> None:
        """New results, one or two, over the picture that is shown; `draw` then draws them."""
        self.found = list(found)
        names = list(dict.fromkeys(name for run in found for name in run.classes))
        comparable = len(found) == 2 and found[0].classes == found[1].classes
        self.view.options = [*VIEWS, DIFFERENCE] if comparable else VIEWS
        self.view.value = OVERLAY
        before = self.shown_class.value
        self.shown_class.options = names
        self.shown_class.value = before if before in names else names[0]
        self._visible(self.sides[1], len(found) == 2)
        self.make_report.disabled = False

    def draw(self, colours: Mapping[str, str], threshold: float) -> None:
        """The pictures of the chosen view."""
        view = self.view.value
        self._visible(self.opacity, view == OVERLAY)
        self._visible(self.shown_class, view == PROBABILITY)
        self._visible(self.sides[1], len(self.found) == 2 and view not in (IMAGE, DIFFERENCE))
        if view == IMAGE or not self.found:
            self._put(0, "image", drawing.jpeg(self.small))
            self.legend.value = ""
        elif view == DIFFERENCE:
            different = disagreement(*self.found, threshold)
            small = drawing.small_mask(different.astype(np.uint8)).astype(bool)
            self._put(0, "red: where the two masks differ", drawing.png(drawing.differences(self.small, small)))
            self.legend.value = ""
        else:
            for side, run in enumerate(self.found):
                self._put(side, run.offer.label, self._picture(run, view, colours, threshold))
            self.legend.value = self._scale() if view == PROBABILITY else self._names(colours, threshold)

    def tabulate(self, colours: Mapping[str, str], threshold: float) -> None:
        """The table of areas, how much two masks differ, and the files."""
        own = [[colours[name] for name in run.classes] for run in self.found]
        seconds = ", ".join(f"{run.offer.label} {run.seconds:.1f} s" for run in self.found)
        remarks = dict.fromkeys(remark for run in self.found for remark in run.plan.remarks)
        note = "".join(f'<p class="seg-small">{escape(text)}</p>' for text in [f"Time: {seconds}.", *remarks])
        self.table.value = f"<h2>Areas</h2>{downloads.area_table(self.found, threshold, own)}{note}"
        self.differ.value = self._difference(threshold)
        self.files.value = "<h2>Files</h2>" + "".join(self._links(run, threshold) for run in self.found)
        self.report.value = ""

    def offer_report(self, colours: Mapping[str, str], threshold: float) -> None:
        """A link to a report about what is shown."""
        own = [[colours[name] for name in run.classes] for run in self.found]
        page = downloads.report(self.found, threshold, own, self.opacity.value)
        name = f"report-{downloads.stem(self.found[0].picture, self.found[0].offer.label)}.html"
        self.report.value = link(name, page.encode(), "text/html;charset=utf-8", "Report (HTML)")

    def _picture(self, run: Segmented, view: str, colours: Mapping[str, str], threshold: float) -> bytes:
        own = [colours[name] for name in run.classes]
        if view == PROBABILITY:
            name = self.shown_class.value
            share = run.shares[..., run.classes.index(name)] if name in run.classes else np.zeros(run.shares.shape[:2])
            return drawing.png(drawing.probability(share))
        mask = drawing.small_mask(run.mask(threshold))
        if view == MASK:
            return drawing.png(drawing.painted(mask, own))
        return drawing.jpeg(drawing.overlay(self.small, mask, own, self.opacity.value))

    def _names(self, colours: Mapping[str, str], threshold: float) -> str:
        empty = threshold > 0 or any(run.picture.empty is not None for run in self.found)
        entries = "".join(
            f'<span class="seg-entry"><span class="swatch" style="background:{escape(colour)}"></span>'
            f"{escape(name)}</span> "
            for name, colour in [*colours.items(), *([("no class", "#ffffff")] if empty else [])]
        )
        return f'<div class="seg-legend">{entries}</div>'

    def _scale(self) -> str:
        return (
            '<div class="seg-legend" style="display:flex;gap:8px;align-items:center">probability 0'
            f'<span style="flex:0 0 260px;height:12px;background:linear-gradient(90deg, {drawing.legend_bar()})">'
            "</span>1</div>"
        )

    def _difference(self, threshold: float) -> str:
        if len(self.found) < 2:
            return ""
        if self.found[0].classes != self.found[1].classes:
            return "<p>The two models know other classes, so their masks are not compared pixel by pixel.</p>"
        return (
            f"<p>The two masks differ in {100 * disagreement(*self.found, threshold).mean():.1f} % of the pixels.</p>"
        )

    def _links(self, run: Segmented, threshold: float) -> str:
        mask, name = run.mask(threshold), f"mask-{downloads.stem(run.picture, run.offer.label)}"
        label = f"Mask of {run.offer.label}"
        links = link(f"{name}.png", downloads.mask_png(mask), "image/png", f"{label} (PNG)")
        if run.picture.kind == "TIFF":
            links += link(f"{name}.tif", downloads.mask_tiff(mask, run.picture), "image/tiff", f"{label} (TIFF)")
        return f"<div>{links}</div>"

    def _put(self, side: int, title: str, data: bytes | None) -> None:
        self.titles[side].value = f'<div class="seg-title">{escape(title)}</div>'
        self._visible(self.pictures[side], data is not None)
        if data is not None:
            self.pictures[side].format = "jpeg" if data[:2] == b"\xff\xd8" else "png"
            self.pictures[side].value = data

    @staticmethod
    def _visible(widget: widgets.Widget, yes: bool) -> None:
        widget.layout.display = None if yes else "none"


def link(name: str, data: bytes, mime: str, text: str) -> str:
    """A link that saves `data` under `name`."""
    address = downloads.data_uri(data, mime)
    return f'<a class="seg-file" download="{escape(name)}" href="{address}">{escape(text)}</a>'
