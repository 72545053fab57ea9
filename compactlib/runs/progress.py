"""One line of progress for a notebook: cells done, time, the section it is in."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from tqdm import tqdm

FORMAT = "{desc} {bar:20} {n_fmt}/{total_fmt} cells [{elapsed}{postfix}]"


@contextmanager
def line(label: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar on a terminal, a plain line with the time elsewhere (a log).

    Yields a function of (cells done, cells in all, section). The clock goes on while one cell trains for hours.
    """
    with tqdm(desc=label, total=1, disable=None, bar_format=FORMAT, leave=False) as bar:
        if bar.disable:
            print(f"{label}: started {datetime.now():%H:%M:%S}", flush=True)
            yield lambda done, total, section: None
            return
        ended = threading.Event()

        def tick() -> None:
            while not ended.wait(1):
                bar.refresh()

        def show(done: int, total: int, section: str) -> None:
            bar.total, bar.n = total, done
            bar.set_postfix_str(section[:40])

        clock = threading.Thread(target=tick, daemon=True)
        clock.start()
        try:
            yield show
        finally:
            ended.set()
            clock.join()
