"""What the commands `scene`, `patchify` and `segment` of `python -m compactlib` do; each returns the exit status.

PyTorch is loaded by `segment` only.
"""

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compactlib.datasets.drawn.generate import write_scene
from compactlib.spark.engine import choose_engine
from compactlib.spark.measure import Result
from compactlib.spark.patchify import patchify
from compactlib.spark.session import session


def scene_command(out: Path, mask: Path | None, **options: Any) -> int:
    """`scene`: a made-up aerial scene, and its mask if asked."""
    began = time.perf_counter()
    write_scene(out, mask=mask, progress=True, **options)
    files = [path for path in (out, mask) if path]
    sizes = ", ".join(f"{path} ({_size(path.stat().st_size)})" for path in files)
    print(f"{sizes}: {options['height']} x {options['width']} pixels, {time.perf_counter() - began:.1f} s")
    return 0


def patchify_command(
    scenes: list[str],
    out: Path,
    masks: list[str] | None,
    engine: str,
    workers: int | None,
    master: str | None,
    **options: Any,
) -> int:
    """`patchify`: the folder of patches, or what was missing of it."""
    began = time.perf_counter()
    with _workers(engine, workers, master) as where:
        made = patchify(scenes, out, mask=masks, **options, **where)
    parts = _how_many(made.parts, made.done_before, "part")
    print(f"{out}: {made.patches:,} patches, {parts}, {_size(made.bytes)}, {time.perf_counter() - began:.1f} s")
    _print_cost(made.tasks)
    return 0


def segment_command(
    scene: str,
    out: Path,
    models: list[str],
    engine: str,
    workers: int | None,
    master: str | None,
    **options: Any,
) -> int:
    """`segment`: the mask of a scene, or the blocks that were missing of it."""
    from compactlib.spark.segment import segment

    began = time.perf_counter()
    with _workers(engine, workers, master) as where:
        made = segment(scene, models if len(models) > 1 else models[0], out, **options, **where)
    files = ", ".join(str(path) for path in (made.mask, made.probabilities) if path)
    blocks = _how_many(made.blocks, made.done_before, "block")
    print(f"{files}: {made.classes} classes, {blocks}, {time.perf_counter() - began:.1f} s")
    _print_cost(made.tasks)
    return 0


@contextmanager
def _workers(engine: str, workers: int | None, master: str | None) -> Iterator[dict[str, Any]]:
    """The arguments that say who does the work. Stops the Spark session, if one was started for it."""
    if master is not None and engine != "spark":
        raise ValueError(f"--master {master} is Spark's; leave out --engine {engine}, or the master")
    if workers is not None and (master is not None or workers < 1):
        wanted = "1 or more" if master is None else "the workers of --master, so leave one of the two out"
        raise ValueError(f"--workers {workers}: expected {wanted}")
    if master is None:  # who names a master means it: without Java that is an error, not another engine
        with warnings.catch_warnings(record=True) as notices:
            warnings.simplefilter("always")
            engine = choose_engine(engine)
        for notice in notices:
            print(f"Notice: {notice.message}.", file=sys.stderr)
    before = _running()
    try:
        started = session(master) if master is not None else None
        yield {"engine": engine, "session": started, "workers": workers}
    finally:
        running = _running()
        if running is not None and running is not before:
            running.stop()


def _running() -> Any:
    """The Spark session of this process, or None."""
    if "pyspark.sql" not in sys.modules:
        return None
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession()


def _how_many(count: int, before: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}" + (f" ({before} done before)" if before else "")


def _print_cost(tasks: list[Result]) -> None:
    """What the tasks of this call read, and the most memory that one of their workers held."""
    if not tasks:
        return
    read, decoded, needed = (
        sum(task[name] for task in tasks) for name in ("bytes_read", "decoded_pixels", "needed_pixels")
    )
    share = f"decoded {decoded / needed:.2f} pixels for each one needed; " if needed else ""
    peak = max(task["peak_rss_mb"] for task in tasks)
    print(f"Read {_size(read)}, {share}peak memory of a worker {peak:.0f} MB.")


def _size(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
