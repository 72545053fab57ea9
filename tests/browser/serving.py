"""Pages served by a process of their own, and visitors who notice whatever the browser calls an error."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect

from compactlib.paths import ROOT

PATIENCE = 90_000  # ms: a kernel imports PyTorch first, on a machine that may have other work
expect.set_options(timeout=PATIENCE)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def served(command: list[str], **env: str) -> Iterator[subprocess.Popen]:
    """The server as a process, with its output to read; it is ended at the end."""
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **env}, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def visitors(browser: Browser, address: str) -> Iterator[Callable[[], Page]]:
    """A function that opens the page as somebody new; at the end no page may have had an error."""
    contexts, wrong = [], []

    def open_page() -> Page:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 1100}))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("requestfailed", lambda request: wrong.append(request.url))
        page.goto(address)
        return page

    try:
        yield open_page
    finally:
        for context in contexts:
            context.close()
    assert not wrong, wrong
