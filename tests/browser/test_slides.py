"""The lessons' decks in a real browser: nothing is loaded, nothing complains, every slide fits 1280 x 720 pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from compactlib.course.slides import make_deck
from compactlib.runs.catalogue import notebooks

WIDTH, HEIGHT = 1280, 720
LESSONS = [notebook for notebook in notebooks() if notebook.number < "90"]

# The blocks of the slide on screen: its headline, and what stands in its body, each with the box around all that is
# painted in it (text, pictures, formulas), and the smallest text.
MEASURE = """() => {
  const slide = Reveal.getCurrentSlide();
  const box = (rects) => rects.length ? [Math.min(...rects.map(r => r.left)), Math.min(...rects.map(r => r.top)),
    Math.max(...rects.map(r => r.right)), Math.max(...rects.map(r => r.bottom))] : null;
  const painted = (element) => {
    const rects = [], sizes = [];
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.currentNode; node; node = walker.nextNode()) {
      if (node.nodeType === Node.TEXT_NODE && node.data.trim() && !node.parentElement.closest('svg, aside')) {
        const range = document.createRange(); range.selectNodeContents(node); rects.push(...range.getClientRects());
        sizes.push([parseFloat(getComputedStyle(node.parentElement).fontSize), !!node.parentElement.closest('pre')]);
      } else if (node.nodeType === Node.ELEMENT_NODE && node.matches('img, svg, pre, td') && !node.closest('aside')) {
        rects.push(node.getBoundingClientRect());
      }
    }
    return {box: box(rects.filter(r => r.width && r.height)), sizes};
  };
  const blocks = [slide.querySelector('h1, h2'), ...slide.querySelectorAll('.body > .text, .body > .cell > *')];
  const images = [...slide.querySelectorAll('img')].map(image => {
    const room = image.getBoundingClientRect();
    const scale = Math.min(room.width / image.naturalWidth, room.height / image.naturalHeight);
    return {loaded: image.complete && image.naturalWidth > 0, width: image.naturalWidth * scale,
            height: image.naturalHeight * scale};
  });
  const formulas = [...slide.querySelectorAll('svg.formula')].filter(svg => !svg.closest('aside')).map(svg => {
    const ink = svg.getBBox(), size = svg.getBoundingClientRect();
    return Math.min(ink.width, ink.height, size.width, size.height);
  });
  const clipped = [...slide.querySelectorAll('*')].filter(element => !element.closest('svg, aside') &&
    getComputedStyle(element).overflow !== 'visible' &&
    (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1));
  return {blocks: blocks.filter(Boolean).map(painted).filter(b => b.box), images, formulas, clipped: clipped.length,
          number: box([document.querySelector('.slide-number').getBoundingClientRect()])};
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("decks")


@pytest.fixture(params=LESSONS, ids=lambda lesson: lesson.stem)
def deck(request, folder):
    return make_deck(request.param.path, folder / f"{request.param.stem}.html")


@pytest.fixture
def page(chromium):
    """A fresh page at the size of a slide; what it would complain about is in `page.complaints`."""
    context = chromium.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    page = context.new_page()
    page.complaints = []
    complain = page.complaints.append
    page.on("console", lambda message: complain(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complain(str(error)))
    page.on("requestfailed", lambda request: complain(f"failed: {request.url[:100]}"))
    page.on("request", lambda request: None if request.url.startswith("data:") else complain(request.url))
    yield page
    context.close()


def open_deck(page, deck) -> int:
    """Open the deck and return how many slides it has."""
    page.goto(deck.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    page.evaluate("document.fonts.ready.then(() => true)")
    return page.evaluate("Reveal.getTotalSlides()")


def overlap(a: list[float], b: list[float]) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > 1 and min(a[3], b[3]) - max(a[1], b[1]) > 1


def test_every_slide_loads_nothing_fits_its_frame_and_can_be_read(page, deck):
    count = open_deck(page, deck)
    assert page.evaluate("name => document.fonts.check(`30px '${name}'`)", "Source Sans Pro")
    for number in range(count):
        page.evaluate("index => Reveal.slide(index, 0, 99)", number)
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        found, where = page.evaluate(MEASURE), f"slide {number + 1} of {deck.name}"
        boxes = [block["box"] for block in found["blocks"]]
        for left, top, right, bottom in boxes:
            assert left >= 0 and top >= 0 and right <= WIDTH and bottom <= HEIGHT, f"{where}: {boxes}"
        crowded = [(a, b) for k, a in enumerate(boxes) for b in [*boxes[k + 1 :], found["number"]] if overlap(a, b)]
        assert not crowded and not found["clipped"], f"{where}: {crowded}"
        assert len(boxes) > 1, f"{where} shows nothing below its headline"
        small = [size for block in found["blocks"] for size, code in block["sizes"] if size < (14 if code else 18)]
        assert not small, f"{where} has text of {min(small)} pixels"
        for image in found["images"]:
            assert image["loaded"] and (image["width"] > 480 or image["height"] > 300), f"{where}: {image}"
        assert all(size > 2 for size in found["formulas"]), f"{where}: a formula without ink"
        pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"), np.float32)
        assert pixels[100:680].std() > 4, f"{where} is blank"
    assert page.complaints == [deck.as_uri()]


def test_arrow_keys_walk_through_the_deck(page, folder):
    count = open_deck(page, make_deck(LESSONS[1].path, folder / "walk.html"))
    steps = 0
    while not page.evaluate("Reveal.isLastSlide()") and steps < 60:
        page.keyboard.press("ArrowRight")
        steps += 1
    assert page.evaluate("Reveal.getIndices().h") == count - 1 and steps >= count - 1
    assert page.inner_text(".slide-number").replace(" ", "") == f"{count}/{count}"


def test_the_speaker_view_shows_the_notes(page, folder):
    open_deck(page, make_deck(LESSONS[1].path, folder / "speaker.html"))
    page.evaluate("Reveal.slide(1)")
    said = page.evaluate("Reveal.getCurrentSlide().querySelector('aside.notes p').textContent")
    with page.context.expect_page() as opened:
        page.keyboard.press("s")
    opened.value.wait_for_function("words => document.body.textContent.includes(words)", arg=said[:40], timeout=10_000)


def test_a_deck_prints_one_page_a_slide_with_pictures_as_large(page, folder):
    deck = make_deck(LESSONS[1].path, folder / "print.html")
    count = open_deck(page, deck)
    page.goto(f"{deck.as_uri()}?print-pdf")
    page.wait_for_function("count => document.querySelectorAll('.pdf-page').length === count", arg=count)
    sizes = page.evaluate(
        "[...document.querySelectorAll('.pdf-page img')].map(image => [image.clientWidth, image.clientHeight])"
    )
    assert len(sizes) >= 3 and all(width > 480 or height > 300 for width, height in sizes)
