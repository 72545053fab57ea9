"""The page: a person chooses on the left, sees on the right, and nothing that goes wrong takes the page away."""

import contextvars
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial, wraps
from html import escape
from pathlib import Path

import ipywidgets as widgets
from IPython import get_ipython

from compactlib.app import drawing
from compactlib.app.checkpoints import ModelError, Offer, channels_fit, check_fit, offers
from compactlib.app.controls import NOTHING, STYLE, Controls
from compactlib.app.examples import EXAMPLES
from compactlib.app.panels import Panels
from compactlib.app.segmenting import Stopped, plan, segment
from compactlib.app.uploads import Picture, UploadError, clean_name, read_upload

OFTEN = 0.1  # seconds between two movements of the bar, at least
TITLE = "<h1>Segmentation</h1><p>A class for every pixel, by a small network, on this machine.</p>"


def to_console(*_, **__) -> None:
    """The traceback of the exception that is being handled, for whoever runs the server and for nobody else."""
    traceback.print_exc(file=sys.__stderr__)


def discreet() -> None:
    """From now on, what fails in this kernel tells its visitor nothing of the server: no path, no line of code."""
    if (shell := get_ipython()) is not None:
        shell.showtraceback = to_console
    # ipykernel sends whatever reaches the error output to the page, and keeps a copy of the real one.
    real = getattr(sys.stderr, "_original_stdstream_copy", None)
    os.dup2(os.open(os.devnull, os.O_WRONLY) if real is None else real, 2)
    sys.stderr = sys.__stderr__


def guarded(method: Callable) -> Callable:
    """One at a time, and whatever goes wrong becomes a sentence on the page."""

    @wraps(method)
    def safe(self, *args):
        with self.lock:
            self._attempt(partial(method, self, *args))

    return safe


class Page:
    """The segmentation page of one person. All of its state is in this object; `widget` shows it.

    runs: the folder in which saved models are looked for (default: that of all runs).
    """

    def __init__(self, runs: Path | None = None):
        self.lock, self.stop, self.worker = threading.RLock(), threading.Event(), None
        self.offers: dict[str, Offer] = {offer.label: offer for offer in offers(runs)}
        self.picture: Picture | None = None
        self.colours: dict[str, str] = {}
        self.controls, self.panels = Controls(list(self.offers)), Panels()
        self.message = widgets.HTML(layout=widgets.Layout(width="auto"))
        body = widgets.HBox([self.controls.box, self.panels.box])
        self.widget = widgets.VBox([widgets.HTML(STYLE + TITLE), self.message, body])
        self.widget.add_class("seg-app")
        self.controls.example.value = first = next(iter(EXAMPLES))
        self._connect()
        # Not in the background: what changes while a browser fetches the page's state may never reach it.
        self._attempt(lambda: self._show(EXAMPLES[first]()))

    def _repr_mimebundle_(self, **kwargs):
        return self.widget._repr_mimebundle_(**kwargs)

    def wait(self, timeout: float | None = None) -> None:
        """Return when what runs in the background has ended, or after `timeout` seconds."""
        if self.worker is not None:
            self.worker.join(timeout)

    def say(self, text: str, error: bool = False) -> None:
        """A sentence at the top of the page."""
        kind = ' seg-error" role="alert' if error else '" role="status'
        self.message.value = f'<div class="seg-says{kind}">{escape(text)}</div>' if text else ""

    def _connect(self) -> None:
        left, right = self.controls, self.panels
        left.example.observe(self.load_example, "value")
        left.upload.observe(self.load_upload, "value")
        left.run.on_click(self.start)
        left.stop.on_click(lambda _: self.stop.set())
        for menu in (left.model, left.other):
            menu.observe(self.show_fit, "value")
        left.threshold.observe(self.redraw, "value")
        for widget in (right.view, right.opacity, right.shown_class):
            widget.observe(self.draw, "value")
        right.make_report.on_click(self.make_report)

    # Pictures

    @guarded
    def load_example(self, _=None) -> None:
        name = self.controls.example.value
        if name is not None:
            self.say(f"Drawing: {name} ...")
            self._background(lambda: self._show(EXAMPLES[name]()))

    @guarded
    def load_upload(self, change) -> None:
        if not change["new"]:
            return
        file = change["new"][0]
        name, data = file["name"], bytes(file["content"])
        self.controls.upload.value = ()  # forget it: it may be large, and the next one may have the same name
        self.controls.example.value = None
        self.say(f"Reading {clean_name(name)} ...")
        self._background(lambda: self._show(read_upload(name, data)))

    @guarded
    def _show(self, picture: Picture) -> None:
        small = drawing.thumbnail(picture.pixels)
        self.picture = picture
        self.panels.show_picture(small, str(picture))
        lines = [str(picture), *picture.remarks]
        if picture.pixel_area:
            lines.append(f"A pixel is {picture.pixel_area:g} m².")
        self.controls.picture.value = "".join(f"<p>{escape(line)}</p>" for line in lines)
        self.say("Ready. Choose a model and press Run.")
        self.show_fit()

    @guarded
    def show_fit(self, _=None) -> None:
        lines = []
        for label in self._chosen():
            offer = self.offers[label]
            classes = ", ".join(map(str, offer.facts.get("classes") or ()))
            lines.append(f"{offer.family} for {offer.in_chans} channel{'s'[: offer.in_chans - 1]}: {classes}")
            if self.picture is not None and not channels_fit(offer, self.picture.pixels):
                lines.append(f"It does not take this picture, which has {self.picture.pixels.shape[2]}.")
        self.controls.fits.value = "".join(f'<div class="seg-small">{escape(line)}</div>' for line in lines)

    # A run

    @guarded
    def start(self, _=None) -> None:
        if self.picture is None:
            raise UploadError("There is no picture yet: choose an example or upload one.")
        chosen, settings = self._chosen(), (self.controls.patch.value, self.controls.overlap.value)
        if not chosen:
            raise ModelError("There is no model to choose: train one (notebook 09), then open this page again.")
        self.say("Running ...")
        self._background(lambda: self._run(self.picture, [self.offers[label] for label in chosen], *settings))

    def _run(self, picture: Picture, chosen: list[Offer], patch: int, overlap: int) -> None:
        models = [offer.load() for offer in chosen]
        for offer, model in zip(chosen, models, strict=True):
            check_fit(offer, model, picture, list(self.offers.values()))
        plans = [plan(model, picture.pixels.shape, patch, overlap) for model in models]
        found, moved = [], 0.0
        for offer, model, cut in zip(chosen, models, plans, strict=True):

            def tick(done: int, total: int, offer=offer) -> None:
                nonlocal moved
                if time.monotonic() - moved > OFTEN or done == total:
                    moved = time.monotonic()
                    self.controls.progress.value = (len(found) + done / total) / len(chosen)
                    self.controls.done.value = f"{escape(offer.label)}: {done} of {total} patches"

            found.append(segment(picture, offer, model, cut, stop=self.stop, on_tile=tick, longest=drawing.SHOWN))
        self._show_found(found)

    @guarded
    def _show_found(self, found: list) -> None:
        names = list(dict.fromkeys(name for run in found for name in run.classes))
        fresh = dict(zip(names, drawing.class_colours(names), strict=True))
        self.colours = {name: self.colours.get(name, colour) for name, colour in fresh.items()}
        self.controls.show_colours(self.colours, self.pick)
        self.panels.show_found(found)
        self.redraw()
        self.say(f"Done: {', '.join(f'{run.offer.label} in {run.seconds:.1f} s' for run in found)}.")

    # What is shown of it

    @guarded
    def pick(self, name: str, colour: str) -> None:
        self.colours[name] = colour
        self.redraw()

    @guarded
    def draw(self, _=None) -> None:
        if self.panels.small is not None:
            self.panels.draw(self.colours, self.controls.threshold.value)

    @guarded
    def redraw(self, _=None) -> None:
        self.draw()
        if self.panels.found:
            self.panels.tabulate(self.colours, self.controls.threshold.value)

    @guarded
    def make_report(self, _=None) -> None:
        self.panels.offer_report(self.colours, self.controls.threshold.value)

    # In the background

    def _background(self, work: Callable[[], None]) -> None:
        """Do `work` in a thread, so that the page answers meanwhile; its end, good or bad, is said on the page."""
        if self.worker is not None and self.worker.is_alive() and self.worker is not threading.current_thread():
            raise ModelError("Something is still running: wait for it, or press Stop.")
        self.stop.clear()
        self.controls.progress.value, self.controls.done.value = 0, ""
        self.controls.busy(True)
        context = contextvars.copy_context()  # so that messages to the page know which request they belong to
        self.worker = threading.Thread(target=context.run, args=(self._work, work), daemon=True)
        self.worker.start()

    def _work(self, work: Callable[[], None]) -> None:
        try:
            self._attempt(work)
        finally:
            self.controls.busy(False)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Stopped:
            self.controls.progress.value = 0
            self.say("Stopped. What was shown before is still there.")
        except (UploadError, ModelError) as error:
            self.say(str(error), error=True)
        except MemoryError:
            self.say("There is not enough memory for that: take a smaller picture or smaller patches.", error=True)
        except Exception as error:  # the page has to live on
            to_console()
            self.say(f"That did not work ({type(error).__name__}). Try again, or choose another.", error=True)

    def _chosen(self) -> list[str]:
        """Labels of the one or two models that are chosen."""
        labels = [self.controls.model.value, self.controls.other.value]
        return [label for label in labels if label not in (None, NOTHING)]


def page(runs: Path | None = None) -> Page:
    """A new page, with a state of its own; see `Page`."""
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        discreet()
    return Page(runs)
