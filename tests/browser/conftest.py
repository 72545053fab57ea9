"""One headless Chromium for the tests that need a real browser."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Error, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)
APT = "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium"
MISSING = (
    "no Chromium was found: install one with `apt-get install chromium` (Debian), `brew install --cask chromium` "
    "(macOS) or `.venv/bin/playwright install chromium`; what needs a real browser is left out"
)


def installed(own: str) -> str | None:
    """The path of a browser on this machine, or else Playwright's `own`, where that is there."""
    return next(filter(None, map(shutil.which, NAMES)), own if Path(own).is_file() else None)


def install() -> None:
    """Once for all processes of a run: `apt-get install chromium`, where this is a Debian and we are root."""
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    with FileLock(Path(tempfile.gettempdir()) / "compactlib-tests-chromium.lock"):
        tried = Path(tempfile.gettempdir()) / "compactlib-tests-chromium.tried"
        if shutil.which("chromium") or tried.exists():
            return
        tried.touch()
        try:
            subprocess.run(["sh", "-c", APT], stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        except subprocess.TimeoutExpired:
            return


# Not of the session: while Playwright lives, its event loop counts as running, and `asyncio.run` of other tests fails.
@pytest.fixture(scope="package")
def chromium():
    """A Playwright `Browser` without a profile and without errands of its own on the network."""
    with sync_playwright() as playwright:
        path = installed(playwright.chromium.executable_path)
        if path is None:
            install()
            path = installed(playwright.chromium.executable_path)
        if path is None:
            pytest.skip(MISSING)
        try:
            sandbox = os.name != "posix" or os.geteuid() != 0  # Chromium's own refuses to work for root
            browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=sandbox, args=list(FLAGS))
        except Error as error:
            pytest.skip(f"{path} does not start, so what needs a real browser is left out: {error}")
        yield browser
        browser.close()
