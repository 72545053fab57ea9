"""A notebook to a deck: nbconvert's slides exporter with a template that needs no network."""

from pathlib import Path
from typing import Any

import nbformat
from jinja2 import pass_context
from nbconvert.exporters import SlidesExporter
from traitlets import default

from compactlib.course.slides import assets, pictures, standalone, text
from compactlib.course.slides.errors import SlideError
from compactlib.course.slides.outputs import take_outputs
from compactlib.files import atomic_write

HERE = Path(__file__).parent
SHOWN = ["text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/plain"]  # and no script


def make_deck(notebook: Path, target: Path, *, executed: Path | None = None) -> Path:
    """Write the notebook as a deck of slides to the HTML file `target` and return it.

    Nothing is executed. The outputs are those of the finished run `executed`, where its code is the notebook's, and the
    stored ones otherwise. Raises SlideError, naming the notebook, where a formula cannot be
    drawn, no cell begins a slide, or the deck would load something from elsewhere.
    """
    notebook = Path(notebook)
    node = nbformat.read(notebook, as_version=4)
    if executed is not None:
        take_outputs(node, executed)
    try:
        page, _ = DeckExporter().from_notebook_node(
            node, resources={"metadata": {"name": notebook.stem, "path": str(notebook.parent)}}
        )
        if addresses := standalone.outside(page):
            listed = ", ".join(address[:80] for address in addresses[:3])
            raise SlideError(f"the deck would load {listed}. Take the address out of the cell's text or output")
    except SlideError as error:
        raise SlideError(f"{notebook.name} cannot become slides: {error}.") from error
    return atomic_write(target, page)


class DeckExporter(SlidesExporter):
    """`SlidesExporter` with our template: reveal.js inlined, formulas drawn, paragraphs as speaker notes."""

    export_from_notebook = ""  # not in JupyterLab's menu

    @default("template_name")
    def _template_name_default(self) -> str:
        return "deck"

    @default("extra_template_basedirs")
    def _extra_template_basedirs_default(self) -> list[str]:
        return [str(HERE)]

    @property
    def default_config(self) -> Any:
        config = super().default_config
        config.NbConvertBase.display_data_priority = SHOWN
        return config

    def default_filters(self) -> Any:
        yield from super().default_filters()
        yield "markdown2html", markdown_to_html
        yield "size", pictures.size
        yield "html_size", pictures.html_size
        yield "ratio", pictures.ratio
        yield "is_sentence", pictures.is_sentence

    def _init_resources(self, resources: dict | None) -> dict:
        resources = super()._init_resources(resources)
        resources["deck"] = {"scripts": assets.scripts(), "style": assets.style(), "notices": assets.notices()}
        return resources


@pass_context
def markdown_to_html(context: Any, source: str) -> str:
    """`text.render` for the cell that the template is at."""
    folder = context.get("resources", {}).get("metadata", {}).get("path", "")
    return text.render(source, context.get("cell", {}).get("attachments"), folder)
