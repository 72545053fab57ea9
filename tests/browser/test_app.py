"""The app as its users meet it: served by the command, opened in Chromium, a picture in, the right mask out."""

import io
import re
import select
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
import tifffile
from PIL import Image
from playwright.sync_api import expect

from compactlib.app import offers
from compactlib.app.checkpoints import SHIPPED
from compactlib.datasets.drawn.aerial import aerial
from compactlib.datasets.drawn.generate import write_scene
from compactlib.paths import ROOT
from compactlib.segmentation import predict_tiled
from tests.browser.serving import PATIENCE, free_port, served, visitors


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where `python -m compactlib app` says that it is, token included."""
    runs = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "compactlib", "app", "--port", str(free_port())]
    with served(command, COMPACT_RUNS=str(runs)) as process:
        assert select.select([process.stdout], [], [], 90)[0], "the app said nothing for 90 s"
        yield re.search(r"http://127\.0\.0\.1:\d+/\?token=\S{30,}", process.stdout.readline())[0]


@pytest.fixture
def visitor(chromium, address):
    with visitors(chromium, address) as open_page:
        yield open_page


def says(page, text):
    expect(page.locator(".seg-says")).to_contain_text(text, timeout=PATIENCE)


def upload(page, path):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload a picture").click()
    chooser.value.set_files(path)


def run(page, **settings):
    for label, value in settings.items():
        page.get_by_label(label).fill(str(value))
        page.get_by_label(label).press("Enter")
    page.get_by_role("button", name="Run").click()


def download(page, name) -> tuple[str, bytes]:
    with page.expect_download() as found:
        page.get_by_role("link", name=name).first.click()
    with open(found.value.path(), "rb") as file:
        return found.value.suggested_filename, file.read()


def shown(page, number=0) -> np.ndarray:
    """The pixels of the picture on the page, as the browser has them."""
    image = page.locator("img.seg-picture").nth(number)
    data = image.evaluate("async (img) => Array.from(new Uint8Array(await (await fetch(img.src)).arrayBuffer()))")
    return np.asarray(Image.open(io.BytesIO(bytes(data))).convert("RGB")).astype(int)


def test_a_scene_goes_in_and_the_right_mask_comes_out(visitor, tmp_path):
    page, scene = visitor(), write_scene(tmp_path / "my scene.tif", 300, 420, seed=91_010)
    says(page, "Ready")
    upload(page, scene)
    says(page, "Ready")
    expect(page.locator(".seg-left")).to_contain_text("my scene.tif: 300 x 420 pixels, 3 channels, 8 bits")
    run(page, **{"Patch, pixels": 256})
    says(page, "Done: aerial-unet (shipped) in")

    offer = offers(SHIPPED)[0]
    image = aerial(300, 420, seed=91_010)[0]
    options = dict(mean=offer.mean, std=offer.std)
    mask = predict_tiled(offer.load(), image, 192, 32, "blend", **options).argmax(axis=-1)
    name, data = download(page, "(PNG)")
    assert name == "mask-my-scene-aerial-unet.png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), mask)
    name, data = download(page, "(TIFF)")
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        np.testing.assert_array_equal(tif.asarray(), mask)
        assert tif.pages[0].tags[33922].value[3:5] == (500_000.0, 5_400_000.0)  # it lies where the scene lies
    expect(page.locator("table")).to_contain_text(f"{(mask == 2).sum():,}")
    expect(page.locator("table")).to_contain_text("m²")

    overlay = shown(page)
    assert overlay.shape == (300, 420, 3) and 20 < np.abs(overlay - image).mean() < 120
    page.get_by_role("button", name="Mask", exact=True).click()
    page.wait_for_function("before => document.querySelector('img.seg-picture').src != before", arg="")
    expect(page.locator(".seg-legend")).to_contain_text("water")
    page.wait_for_timeout(500)
    assert (shown(page)[mask == 2] == [0, 114, 178]).all()  # water's colour, #0072B2

    page.get_by_label("Compare with").select_option("aerial-swin-unet (shipped)")
    run(page)
    says(page, "aerial-swin-unet (shipped) in")
    expect(page.get_by_text("The two masks differ in")).to_be_visible()
    page.get_by_role("button", name="Make a report").click()
    name, data = download(page, "Report")
    assert name.endswith(".html") and b"aerial-swin-unet" in data and b"<script" not in data


def test_mishaps_are_sentences_and_another_visitor_notices_nothing(visitor, tmp_path):
    page, other = visitor(), visitor()
    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(write_scene(tmp_path / "good.tif", 200, 200, seed=91_011).read_bytes()[:5000])
    says(page, "Ready")
    upload(page, damaged)
    says(page, "damaged.tif")
    expect(page.locator(".seg-error")).to_contain_text("cut off")

    huge = tmp_path / "huge.tif"
    with open(huge, "wb") as file:
        file.truncate(200_000_001)  # a hole: it takes no room
    upload(page, huge)
    expect(page.locator("#too-large")).to_contain_text("huge.tif has 200,000,001 bytes; expected 200,000,000 at most")

    large = tmp_path / "large.png"  # above the 10 MB at which the server would hang up, were it not told otherwise
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1900, 1900, 3), np.uint8)).save(large)
    assert large.stat().st_size > 10_800_000
    upload(page, large)
    says(page, "Ready")
    expect(page.locator("#too-large")).to_be_hidden()
    expect(page.locator(".seg-left")).to_contain_text("1,900 x 1,900 pixels")
    page.get_by_label("Model").select_option("cells-unet (shipped)")
    run(page)
    says(page, "1 channel; large.png has 3. These take it")
    page.get_by_label("Model").select_option("aerial-swin-unet (shipped)")
    page.get_by_label("Compare with").select_option("aerial-unet (shipped)")  # two models: time enough to stop them
    run(page)
    expect(page.get_by_text(re.compile(r"[1-9]\d* of \d+ patches"))).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Stop").click()
    says(page, "Stopped")

    says(other, "Ready")
    expect(other.locator(".seg-left")).to_contain_text("aerial-768")
    upload(page, tmp_path / "good.tif")
    says(page, "Ready")
    run(page)
    says(page, "Done")


def answer(url) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as found:
            return found.status, found.url
    except urllib.error.HTTPError as error:
        return error.code, error.url


def test_without_the_token_there_is_nothing(address):
    base = address.split("?")[0]
    assert "/login" in answer(base)[1] and "/login" in answer(base + "?token=wrong")[1]
    for path in ("voila/files/91_segmentation_app.ipynb", "voila/files/a.png", "voila/files/../README.md"):
        assert answer(base + path)[0] == 403
    kernel = "00000000-0000-0000-0000-000000000000"
    assert answer(f"{base}api/kernels/{kernel}")[0] == 403
    request = urllib.request.Request(address, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=20)


def test_a_taken_port_is_no_end(address):
    port = int(address.split(":")[2].split("/")[0])
    command = [sys.executable, "-m", "compactlib", "app", "--port", str(port), "--no-token"]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert select.select([process.stdout], [], [], 90)[0]
        said = process.stdout.readline()
        assert said.startswith("The segmentation app: http://127.0.0.1:") and f":{port}/" not in said
        assert "token" not in said
    finally:
        process.terminate()
        _, warned = process.communicate(timeout=30)
    assert "without a token, every user of this machine" in warned
