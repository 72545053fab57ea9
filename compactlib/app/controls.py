"""The left side of the page: what a person chooses. Widgets only; what they do is in `view`."""

import os
from collections.abc import Sequence
from html import escape

import ipywidgets as widgets

from compactlib.app.examples import EXAMPLES
from compactlib.app.segmenting import OVERLAP, PATCH
from compactlib.app.uploads import LIMITS

NOTHING = "none"
MOST_COLOURS = 24  # pickers at most
WIDE = widgets.Layout(width="auto")
NAMES = {"description_width": "96px"}

STYLE = """<style>
.seg-app {font-size: 14px; color: var(--jp-ui-font-color1, #1f2328); max-width: 1400px; margin: 0 auto;
  overflow: hidden;}
.seg-app h1 {font-size: 22px; margin: 4px 0 0 0; font-weight: 650;}
.seg-app h2 {font-size: 14px; margin: 10px 0 2px 0; font-weight: 650; color: var(--jp-brand-color0, #0b5394);}
.seg-app p {margin: 2px 0; line-height: 1.4;}
.seg-app .seg-small {font-size: 12px; color: var(--jp-ui-font-color2, #59636e); line-height: 1.35;}
.seg-app .seg-left {border-right: 1px solid var(--jp-border-color2, #d8dee4); padding-right: 16px;}
.seg-app .seg-says {padding: 8px 12px; border-radius: 6px; background: #eef4fb; border: 1px solid #c6dbf2;
  color: #1f2328;}
.seg-app .seg-says.seg-error {background: #fff1ee; border-color: #e5a99b; color: #7c1d0b;}
.seg-app .seg-title {font-weight: 600; text-align: center; overflow-wrap: anywhere;}
.seg-app img.seg-picture {max-height: 66vh; object-fit: contain;}
.seg-app .swatch {display: inline-block; width: 12px; height: 12px; margin: 0 6px 0 0; border: 1px solid #8c959f;
  vertical-align: -1px;}
.seg-app .seg-legend span.seg-entry {margin-right: 16px; white-space: nowrap;}
.seg-app table {border-collapse: collapse; margin: 4px 0; font-variant-numeric: tabular-nums;}
.seg-app td, .seg-app th {padding: 3px 12px; border-bottom: 1px solid var(--jp-border-color2, #d8dee4);
  text-align: right;}
.seg-app td:first-child, .seg-app th:first-child {text-align: left;}
.seg-app a.seg-file {display: inline-block; padding: 5px 12px; margin: 2px 8px 2px 0; border-radius: 6px;
  background: #0b5394; color: white !important; text-decoration: none;}
.seg-app a.seg-file:hover {background: #083d6d;}
</style>"""


class Controls:
    """The widgets of the left side; `box` holds them all."""

    def __init__(self, labels: Sequence[str]):
        self.example = widgets.Dropdown(
            options=[("-", None), *((name, name) for name in EXAMPLES)], description="Example", style=NAMES, layout=WIDE
        )
        self.upload = widgets.FileUpload(
            accept=".png,.jpg,.jpeg,.tif,.tiff", multiple=False, description="Upload a picture", layout=WIDE
        )
        self.picture = widgets.HTML()
        self.model = widgets.Dropdown(options=list(labels), description="Model", style=NAMES, layout=WIDE)
        self.other = widgets.Dropdown(options=[NOTHING, *labels], description="Compare with", style=NAMES, layout=WIDE)
        self.fits = widgets.HTML()
        self.patch = widgets.BoundedIntText(
            PATCH, min=32, max=4096, step=32, description="Patch, pixels", style=NAMES, layout=WIDE,
            tooltip="Side of the square that the model sees at once, in pixels",
        )  # fmt: skip
        self.overlap = widgets.IntSlider(
            OVERLAP, min=0, max=50, step=5, description="Overlap, %", style=NAMES, layout=WIDE,
            tooltip="Share of a patch's side that it has in common with its neighbour, in per cent",
        )  # fmt: skip
        self.threshold = widgets.FloatSlider(
            0.0, min=0, max=0.99, step=0.01, description="Threshold", style=NAMES, layout=WIDE, continuous_update=False,
            tooltip="Where the most probable class has a lower probability than this, a pixel gets no class (255)",
        )  # fmt: skip
        self.run = widgets.Button(description="▶ Run", button_style="primary", layout=widgets.Layout(flex="1"))
        self.stop = widgets.Button(description="■ Stop", disabled=True, layout=widgets.Layout(flex="1"))
        self.progress = widgets.FloatProgress(0, min=0, max=1, layout=WIDE)
        self.done = widgets.HTML()
        self.pickers: dict[str, widgets.ColorPicker] = {}
        self.colours = widgets.VBox(layout=WIDE)
        self.box = widgets.VBox(
            [
                heading("1 · Picture"),
                self.example,
                self.upload,
                widgets.HTML(f'<div class="seg-small">{escape(limits())}</div>'),
                self.picture,
                heading("2 · Model"),
                self.model,
                self.other,
                self.fits,
                heading("3 · Settings"),
                self.patch,
                self.overlap,
                self.threshold,
                widgets.HBox([self.run, self.stop]),
                self.progress,
                self.done,
                heading("Colours"),
                self.colours,
            ],
            layout=widgets.Layout(width="340px", flex="0 0 340px"),
        )
        self.box.add_class("seg-left")

    def show_colours(self, colours: dict[str, str], changed) -> None:
        """A picker for each class, name: colour; `changed(name, colour)` is called when a person picks another one."""
        self.pickers = {}
        for name, colour in list(colours.items())[:MOST_COLOURS]:
            picker = widgets.ColorPicker(value=colour, description=name, style=NAMES, layout=WIDE)
            picker.observe(lambda change, name=name: changed(name, change["new"]), "value")
            self.pickers[name] = picker
        self.colours.children = tuple(self.pickers.values())

    def busy(self, running: bool) -> None:
        """While something runs there is a Stop, and nothing else that would start another."""
        for widget in (self.run, self.example, self.upload, self.model, self.other):
            widget.disabled = running
        self.stop.disabled = not running


def limits() -> str:
    """What may be uploaded here. JupyterLab ends the connection for more than 10 MB, where nobody has raised that."""
    served = os.environ.get("SERVER_SOFTWARE", "").startswith("voila/")
    return LIMITS if served else f"{LIMITS}. In JupyterLab 10 MB, unless it was started with more; make app takes all."


def heading(text: str) -> widgets.HTML:
    return widgets.HTML(f"<h2>{escape(text)}</h2>")
