"""The page, without a browser: what its widgets do, and that nothing takes it away."""

import io
import re
from datetime import datetime

import ipywidgets as widgets
import numpy as np
import pytest
from PIL import Image

from compactlib import app
from compactlib.__main__ import main
from compactlib.app import checkpoints, controls, drawing, serve, view
from compactlib.datasets.drawn.aerial import aerial
from compactlib.segmentation import predict_tiled


@pytest.fixture
def page(tmp_path, monkeypatch):
    return opened(tmp_path, monkeypatch)


def opened(tmp_path, monkeypatch):
    """A page with a small example; runs/ is empty."""
    small = {"scene": lambda: app.Picture("scene", aerial(200, 260, seed=91_001)[0], "example"), **app.EXAMPLES}
    monkeypatch.setattr(view, "EXAMPLES", small)
    monkeypatch.setattr("compactlib.app.controls.EXAMPLES", small)
    made = app.page(tmp_path)
    assert "Ready" in made.message.value
    return made


def upload(page, name, data):
    file = {"name": name, "type": "", "size": len(data), "content": memoryview(data)}
    page.controls.upload.value = (file | {"last_modified": datetime.now()},)
    page.wait(30)


def run(page):
    page.controls.run.click()
    page.wait(60)


def said(page):
    return re.sub("<[^>]*>", "", page.message.value)


def scene_png(seed=91_002):
    return drawing.png(aerial(150, 180, seed=seed)[0])


def test_a_new_page_has_its_picture_and_nothing_still_runs(page):
    """A browser misses what a thread changes while it fetches the page, and would show it half drawn and busy."""
    assert page.worker is None and page.picture.name == "scene" and "scene" in page.controls.picture.value
    assert page.controls.stop.disabled and not page.controls.run.disabled and page.panels.small is not None


def test_a_run_shows_everything(page):
    page.controls.patch.value = 128
    run(page)
    assert said(page).startswith("Done: aerial-unet (shipped) in")
    assert page.controls.progress.value == 1 and page.controls.run.disabled is False
    right = page.panels
    assert right.view.options == ("Image", "Mask", "Overlay", "Probability") and right.view.value == "Overlay"
    shown = {}
    for name in right.view.options:
        right.view.value = name
        shown[name] = right.pictures[0].value
    assert len(set(shown.values())) == 4
    share = np.asarray(Image.open(io.BytesIO(shown["Probability"])))
    np.testing.assert_array_equal(share, drawing.probability(right.found[0].shares[..., 0]))
    assert right.shown_class.value == "field" and len(np.unique(share)) > 50
    offer = next(iter(page.offers.values()))
    options = dict(mode="blend", mean=offer.mean, std=offer.std)
    scores = predict_tiled(offer.load(), page.picture.pixels, 96, 16, **options)
    np.testing.assert_array_equal(right.found[0].best, scores.argmax(axis=-1))
    assert f"{(right.found[0].best == 0).sum():,}" in right.table.value
    assert 'download="mask-scene-aerial-unet.png"' in right.files.value


def test_threshold_colours_and_opacity_change_what_is_shown(page):
    run(page)
    overlay, table = page.panels.pictures[0].value, page.panels.table.value
    page.panels.opacity.value = 0.9
    assert page.panels.pictures[0].value != overlay
    page.controls.threshold.value = 0.9
    assert "no class" in page.panels.table.value != table and "no class" in page.panels.legend.value
    page.controls.pickers["water"].value = "#123456"
    assert "#123456" in page.panels.legend.value and "#123456" in page.panels.table.value
    run(page)
    assert page.controls.pickers["water"].value == "#123456"  # the next run keeps it


def test_two_models_side_by_side_and_where_they_differ(page):
    page.controls.other.value = "aerial-swin-unet (shipped)"
    run(page)
    right = page.panels
    assert [side.layout.display for side in right.sides] == [None, None]
    assert "The two masks differ in" in right.differ.value
    right.view.value = "Difference"
    assert right.sides[1].layout.display == "none" and "differ" in right.titles[0].value
    assert right.files.value.count("download=") == 2
    right.make_report.click()
    assert 'download="report-scene-aerial-unet.html"' in right.report.value
    page.controls.other.value = "none"
    run(page)
    assert right.view.options == ("Image", "Mask", "Overlay", "Probability") and not right.differ.value


def test_a_bad_upload_is_a_sentence_and_a_good_one_works_afterwards(page):
    before = page.picture
    upload(page, "<b>bad</b>.png", scene_png()[:300])
    assert "seg-error" in page.message.value and "damaged or cut off" in said(page)
    assert page.picture is before and "<b>" not in page.message.value
    upload(page, "good.png", scene_png())
    assert page.picture.name == "good.png" and "Ready" in said(page)
    run(page)
    assert said(page).startswith("Done")


def test_a_model_for_other_channels_is_a_sentence_that_names_one_that_fits(page):
    page.controls.example.value = "cells, 512 x 512, grey"
    page.wait(30)
    assert "does not take this picture, which has 1" in page.controls.fits.value
    run(page)
    assert "These take it: aerial-swin-unet (shipped), cells-unet (shipped)" in said(page)
    page.controls.model.value = "cells-unet (shipped)"
    run(page)
    assert said(page).startswith("Done")


def test_two_models_of_other_classes_have_a_table_each(page):
    page.controls.example.value = "cells, 512 x 512, grey"
    page.wait(30)
    page.controls.model.value, page.controls.other.value = "aerial-swin-unet (shipped)", "cells-unet (shipped)"
    run(page)
    assert said(page).startswith("Done") and "Difference" not in page.panels.view.options
    assert page.panels.table.value.count("<table>") == 2 and "know other classes" in page.panels.differ.value
    assert set(page.controls.pickers) == {"field", "forest", "water", "road", "building", "background", "cell"}
    page.panels.view.value, page.panels.shown_class.value = "Probability", "cell"
    page.panels.make_report.click()
    assert "download=" in page.panels.report.value


def test_stop_ends_the_run_and_the_page_goes_on(page, monkeypatch):
    page.controls.model.value, page.controls.overlap.value = "aerial-swin-unet (shipped)", 50
    real = view.segment

    def stopped_at_once(*args, **options):
        page.controls.stop.click()
        return real(*args, **options)

    monkeypatch.setattr(view, "segment", stopped_at_once)
    run(page)
    assert said(page).startswith("Stopped") and page.panels.found == [] and not page.controls.run.disabled
    monkeypatch.setattr(view, "segment", real)
    run(page)
    assert said(page).startswith("Done")


def test_whatever_a_run_raises_is_a_sentence(page, monkeypatch):
    for error, expected in ((ZeroDivisionError("<i>"), "ZeroDivisionError"), (MemoryError(), "not enough memory")):
        monkeypatch.setattr(view, "segment", lambda *args, error=error, **options: (_ for _ in ()).throw(error))
        run(page)
        assert expected in said(page) and "<i>" not in page.message.value and not page.controls.run.disabled
    monkeypatch.setattr(page.panels, "draw", lambda *args: 1 / 0)
    page.panels.opacity.value = 0.1
    assert "ZeroDivisionError" in said(page)


def test_two_runs_at_once_on_one_page_are_refused(page, monkeypatch):
    go = view.threading.Event()
    monkeypatch.setattr(view, "segment", lambda *args, **options: go.wait(20))
    page.controls.run.click()
    page.start()
    assert "still running" in said(page)
    go.set()
    page.wait(20)


def test_two_pages_in_one_kernel_do_not_disturb_each_other(tmp_path, monkeypatch):
    one, two = opened(tmp_path, monkeypatch), opened(tmp_path, monkeypatch)
    upload(two, "other.png", scene_png())
    one.controls.run.click()
    two.controls.threshold.value = 0.9
    two.controls.run.click()
    one.controls.stop.click()  # of the other page: no matter whether this one was stopped in time
    one.wait(60), two.wait(60)
    assert said(two).startswith("Done") and "no class" in two.panels.table.value
    run(one)
    assert one.picture.name == "scene" and two.picture.name == "other.png"
    assert one.panels.found[0].best.shape == (200, 260) and "no class" not in one.panels.table.value
    two.controls.show_colours({"water": "#000000"}, two.pick)
    assert one.colours["water"] != "#000000"


def test_without_a_model_the_page_opens_and_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path)
    page = opened(tmp_path, monkeypatch)
    run(page)
    assert "no model to choose" in said(page)


def test_the_limit_of_jupyterlab_is_told_where_it_holds(monkeypatch):
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    assert controls.limits() == app.LIMITS
    monkeypatch.delenv("SERVER_SOFTWARE")
    assert "In JupyterLab 10 MB" in controls.limits()


def test_it_shows_itself_as_a_widget(page):
    data = page._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert isinstance(page.widget, widgets.VBox)


# The command


@pytest.mark.parametrize(
    ("ip", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("host", False)]
)
def test_what_is_loopback(ip, loopback):
    assert serve.is_loopback(ip) is loopback
    assert ("can be reached from other machines" in serve._warning(ip, True)) is not loopback
    assert "token" in serve._warning(ip, False)
    assert ("proxy" in serve._warning(ip, False, proxied=True)) is loopback


@pytest.mark.parametrize(
    ("given", "origin", "path"),
    [
        ("/", "", "/"),
        ("/user/ann/proxy/absolute/8866", "", "/user/ann/proxy/absolute/8866/"),
        ("/user/ann%40uni.org/proxy/8866/", "", "/user/ann%40uni.org/proxy/8866/"),
        ("https://Hub.example.org", "https://hub.example.org", "/"),
        ("http://hub.example.org:8000/user/ann/", "http://hub.example.org:8000", "/user/ann/"),
    ],
)
def test_where_a_proxy_shows_the_page(given, origin, path):
    assert serve.behind(given) == (origin, path)


@pytest.mark.parametrize(
    "given",
    ["", "user/ann", "hub.example.org/user", "//hub/user", "ftp://hub/x", "/a b", "/a?b", "/a#b", "/../a", "/a//b",
     "https:///a", "/<script>", "/a%2e%2e//b"],
)  # fmt: skip
def test_what_is_no_address_of_a_page_is_a_sentence(given, capsys):
    with pytest.raises(ValueError, match="expected a path such as /user/ann/proxy/8866/"):
        serve.behind(given)
    assert main(["app", f"--base-url={given}"]) == 2
    assert "--base-url: the base URL is" in capsys.readouterr().err


def test_the_page_shows_its_cell_and_no_other():
    from nbformat.v4 import new_code_cell, new_notebook

    cells = [new_code_cell("secret"), new_code_cell("page", metadata={"app": True})]
    assert [c.source for c in serve.only_the_page(None, new_notebook(cells=cells), "").cells] == ["page"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "70000"], "expected 1 to 65535"),
        (["--ip", "300.1.1.1"], "cannot listen on"),
    ],
)
def test_a_wrong_call_is_a_sentence(arguments, told, capsys, monkeypatch):
    def refuse(*args):
        raise OSError("Name or service not known")

    monkeypatch.setattr(serve, "serve", refuse)
    assert main(["app", *arguments]) == 2
    assert told in capsys.readouterr().err
