"""The board as a page of a notebook: choose runs above, look at them below, write them to files."""

from collections.abc import Callable
from html import escape
from pathlib import Path

import ipywidgets as widgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from compactlib.figures.basic import STYLE
from compactlib.paths import runs_dir
from compactlib.runs.board import pictures as figures
from compactlib.runs.board.records import COMMITTED, collect, select, table_of, told
from compactlib.runs.board.tables import paper_tables, whole_table
from compactlib.runs.board.talk import as_png, export
from compactlib.runs.papers import table_names
from compactlib.runs.results import Record
from compactlib.runs.tables import Table

ALL = "all"
DPI = 100  # of the pictures on the page
PICTURE = dict(width="auto", max_width="100%", object_fit="contain", align_self="flex-start")
AT_FIRST = 6  # learning curves that are drawn before anybody has chosen


class BoardPage:
    """The results board with menus. All of its state is in this object; `widget` shows it.

    runs: the folder of the runs (default: that of all runs). Results that come with the project are shown beside them.
    """

    def __init__(self, runs: str | Path | None = None):
        self.folder = Path(runs or runs_dir())
        self.records: list[Record] = []
        self.unread: list[str] = []  # what is wrong with the records that are left out
        wide = widgets.Layout(width="260px")
        self.notebook = widgets.Dropdown(description="Notebook", layout=wide, options=[ALL])
        self.data = widgets.Dropdown(description="Data", layout=wide, options=[ALL])
        self.model = widgets.Text(description="Model", placeholder="CCT-*", layout=wide, continuous_update=False)
        self.reload = widgets.Button(description="Read again", icon="refresh", tooltip="Read all runs anew")
        self.write = widgets.Button(description="Export", tooltip="Markdown, LaTeX and PNG of what is chosen")
        self.message = widgets.HTML()

        self.board = widgets.HTML()
        self.trainings = widgets.SelectMultiple(description="Trainings", rows=8, layout=widgets.Layout(width="520px"))
        self.against = widgets.ToggleButtons(options=["epoch", "seconds"], description="Over")
        self.curves = widgets.Image(format="png", layout=PICTURE)
        self.what = widgets.ToggleButtons(options=list(figures.COSTS), description="Against")
        self.accuracy = widgets.Image(format="png", layout=PICTURE)
        self.paper = widgets.Dropdown(description="Table", layout=wide)
        self.answer = widgets.HTML()
        self.tabs = widgets.Tab(
            [
                widgets.Box([self.board], layout=widgets.Layout(overflow="auto", max_height="560px")),
                widgets.VBox([widgets.HBox([self.trainings, self.against]), self.curves]),
                widgets.VBox([self.what, self.accuracy]),
                widgets.VBox([self.paper, widgets.Box([self.answer], layout=widgets.Layout(overflow="auto"))]),
            ],
            titles=["All results", "Learning curves", "Accuracy", "The paper's tables"],
        )
        choice = widgets.HBox([self.notebook, self.data, self.model])
        self.widget = widgets.VBox([choice, widgets.HBox([self.reload, self.write]), self.message, self.tabs])
        self.read()
        for menu in (self.notebook, self.data, self.model):
            menu.observe(lambda _: self.show(), "value")
        for menu in (self.trainings, self.against):
            menu.observe(lambda _: self._draw_curves(), "value")
        self.what.observe(lambda _: self._draw_accuracy(), "value")
        self.paper.observe(lambda _: self._show_paper(), "value")
        self.reload.on_click(lambda _: self.read())
        self.write.on_click(lambda _: self._export())

    def _repr_mimebundle_(self, **kwargs):
        return self.widget._repr_mimebundle_(**kwargs)

    def read(self) -> None:
        """Read all runs anew, and show them; what cannot be read is said on the page."""
        with told(unread := []):
            mine = collect(self.folder)
        self.unread = unread
        self.records = [*(record for record in collect(COMMITTED) if record not in mine), *mine]
        for menu, found in (
            (self.notebook, {record.notebook for record in self.records}),
            (self.data, {result.dataset for record in self.records for result in record.results}),
        ):
            before, menu.options = menu.value, [ALL, *sorted(found)]
            menu.value = before if before in menu.options else ALL
        self.show()

    @property
    def chosen(self) -> list[Record]:
        """The records that the menus let through."""
        pick = {
            key: "" if menu.value == ALL else menu.value
            for key, menu in (("notebook", self.notebook), ("data", self.data))
        }
        return select(self.records, **pick, model=self.model.value.strip())

    def show(self) -> None:
        """Bring everything on the page up to what is chosen."""
        chosen = self.chosen
        count = sum(len(record.results) for record in chosen)
        said = f"{count} results of {len(chosen)} runs in {self.folder.name}/ and data/results/."
        with told(unread := []):
            self._histories = figures.histories(chosen)
        self.message.value = "<br>".join(escape(line) for line in (said, *self.unread, *unread))
        self.board.value = _html(table_of(chosen))
        self.trainings.value = ()  # or the browser would look for what was chosen among the new options
        self.trainings.options = list(self._histories)
        self.trainings.value = tuple(self._histories)[:AT_FIRST]
        self._answers = paper_tables(chosen)
        before, answered = self.paper.value, list(self._answers)
        self.paper.options = [*answered, *(name for name in table_names() if name not in answered)]
        self.paper.value = before or self.paper.options[0]
        self._draw_curves()
        self._draw_accuracy()
        self._show_paper()

    def _draw_curves(self) -> None:
        curves = {name: self._histories[name] for name in self.trainings.value}
        self._draw(self.curves, bool(curves), lambda: figures.learning(curves, against=self.against.value))

    def _draw_accuracy(self) -> None:
        chosen, dataset = self.chosen, "" if self.data.value == ALL else self.data.value
        there = bool(figures.points(chosen, self.what.value, dataset))
        self._draw(self.accuracy, there, lambda: figures.accuracy_against(chosen, self.what.value, dataset=dataset))

    @staticmethod
    def _draw(image: widgets.Image, there: bool, make: Callable[[], Figure]) -> None:
        """The figure on the page; nothing where there is nothing to draw."""
        image.layout.display = None if there else "none"
        if there:
            with plt.rc_context(STYLE), plt.ioff():
                image.value = as_png(make(), DPI)

    def _show_paper(self) -> None:
        """What runs have to say to the table, and below it the table as the paper prints it."""
        name = self.paper.value
        said = _html(self._answers[name]) if name in self._answers else "<p>No run here has a number of this table.</p>"
        self.answer.value = f"{said}<h4>{escape(name)}, whole</h4>{_html(whole_table(name, self.chosen))}"

    def _export(self) -> None:
        folder = self.folder / "board"
        try:
            written = export(self.chosen, folder)
        except (ValueError, OSError) as error:
            self.message.value = escape(f"Not exported: {error}")
            return
        names = ", ".join(path.name for path in written)
        self.message.value = escape(f"Written to {self.folder.name}/{folder.name}/: {names}")


def _html(table: Table) -> str:
    return f"<style>.board td, .board th {{padding: 2px 10px}}</style><div class='board'>{table._repr_html_()}</div>"
