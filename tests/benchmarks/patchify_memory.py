"""Peak memory of a Spark worker and of the JVM while patchify cuts a scene, at two sizes of scene.

    python tests/benchmarks/patchify_memory.py [--sides 6000 24000] [--rounds 3] [--master local[2,4]] [--folder DIR]

The scene of patchify_scene.py, patches of 256 pixels, 224 apart. Each run has a process of its own: a new JVM, new
workers. The peak is the kernel's (VmHWM in /proc, Linux): of the JVM, and of the largest Python worker, read when the
job is done, or by the worker itself at the end of a task, whichever is more. Columns are medians of the rounds, of
which the sizes take turns. Needs the extra `spark`, psutil, and disk for the patches: 2.6 GB at 24,000. `make
bench-spark` runs it.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from patchify_tools import big_scene, cache_folder, emptied, peak_mb

MOST_WORKER, MOST_JVM, MOST_GROWTH = 250, 600, 1.05


def job(pipe: Connection, scene: Path, out: Path, master: str) -> None:
    """In a process of its own: cut the scene and send (worker MB, JVM MB, driver MB, seconds)."""
    from compactlib.spark import patchify, session

    running = session(master)
    began = time.perf_counter()
    made = patchify(scene, out, session=running, progress=False)
    seconds = time.perf_counter() - began
    me = psutil.Process()
    jvm = next(process for process in me.children(recursive=True) if process.name() == "java")
    workers = [peak_mb(process) for process in jvm.children(recursive=True)]
    workers += [task["peak_rss_mb"] for task in made.tasks]
    pipe.send((max(workers), peak_mb(jvm), peak_mb(me), seconds))
    running.stop()


def run(scene: Path, out: Path, master: str) -> tuple[float, float, float, float]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=job, args=(theirs, scene, emptied(out), master))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()
        emptied(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs=2, default=[6000, 24000], metavar="PIXELS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--master", default="local[2,4]")
    parser.add_argument("--folder", type=Path, help="for what is written (default: the system's for temporary files)")
    args = parser.parse_args()
    scenes = {side: big_scene(side, cache_folder()) for side in args.sides}
    found: dict[int, list] = {side: [] for side in scenes}
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="patchify-") as folder:
        for turn in range(args.rounds):
            for side in args.sides if turn % 2 == 0 else args.sides[::-1]:
                found[side].append(run(scenes[side], Path(folder) / "out", args.master))
                print(f"  round {turn + 1}: {side} pixels, worker {found[side][-1][0]:.0f} MB", flush=True)
    medians = {side: [statistics.median(column) for column in zip(*rows, strict=True)] for side, rows in found.items()}
    print(f"\n{args.master}\n  side  worker MB    JVM MB  driver MB  seconds")
    for side, (worker, jvm, driver, seconds) in medians.items():
        print(f"{side:6} {worker:10.0f} {jvm:9.0f} {driver:10.0f} {seconds:8.1f}")
    small, large = (medians[side] for side in args.sides)
    print()
    for text, value, most in (
        ("worker, larger scene / smaller", large[0] / small[0], MOST_GROWTH),
        ("JVM, larger scene / smaller", large[1] / small[1], MOST_GROWTH),
        ("worker MB, larger scene", large[0], MOST_WORKER),
        ("JVM MB, larger scene", large[1], MOST_JVM),
    ):
        print(f"{text:32} {value:8.2f} <= {most:<6} {'PASS' if value <= most else 'FAIL'}")


if __name__ == "__main__":
    main()
