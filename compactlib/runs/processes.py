"""The processes below this one (Spark's JVM, Python workers of Spark or of a pool), and what they use in a cell."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

INTERVAL = 0.05  # seconds between two looks


@dataclass
class Usage:
    """What the block of `watch` used: wall and processor seconds, and the most memory held at once, MiB."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    jvm_mib: float = 0.0
    python_mib: float = 0.0
    _before: dict[int, float] = field(default_factory=dict, repr=False)
    _cpu: dict[int, float] = field(default_factory=dict, repr=False)

    def look(self) -> None:
        """Read memory and processor time of this process and all below it."""
        memory = {"java": 0.0, "python": 0.0}
        for process in [here := psutil.Process(), *here.children(recursive=True)]:
            try:
                with process.oneshot():
                    times, kind = process.cpu_times(), "java" if "java" in process.name() else "python"
                    self._cpu[process.pid] = times.user + times.system
                    memory[kind] += process.memory_info().rss / 2**20
            except psutil.NoSuchProcess:
                continue
        self.jvm_mib, self.python_mib = max(self.jvm_mib, memory["java"]), max(self.python_mib, memory["python"])
        self.cpu_seconds = sum(spent - self._before.get(pid, 0.0) for pid, spent in self._cpu.items())


@contextmanager
def watch() -> Iterator[Usage]:
    """Measure a block: `with watch() as usage: ...`; `usage` is complete when the block has ended.

    Memory is looked at 20 times a second, so a peak shorter than that may be missed; python_mib is the sum over this
    process and its Python workers.
    """
    usage, ended = Usage(), threading.Event()
    usage.look()
    usage._before, usage.cpu_seconds = dict(usage._cpu), 0.0  # until the second look, nothing was used

    def look_again() -> None:
        while not ended.wait(INTERVAL):
            usage.look()

    thread = threading.Thread(target=look_again, daemon=True)
    thread.start()
    began = time.perf_counter()
    try:
        yield usage
    finally:
        usage.seconds = time.perf_counter() - began
        ended.set()
        thread.join()
        usage.look()
