"""What patchify would gain from more workers: simulated on the times of real tasks, and checked on small clusters.

    python tests/benchmarks/patchify_scaling.py [--side 12000] [--workers 8 32 64] [--clusters 2 4] [--folder DIR]
    python tests/benchmarks/patchify_scaling.py --side 3000 --grid 64 56    as many tasks, quickly, to see it work
    python tests/benchmarks/patchify_scaling.py --plan-only [--plan 10000 100000 1000000]    planning alone

1. The scene of patchify_scene.py is cut on local[2,4], warm. Each task's seconds are in tasks.csv; the overhead of a
   task is what the two cores spent beside them (wall x 2 - sum, by task).
2. `compactlib.spark.scaling.simulate` deals single tasks out to more workers, the largest first; patchify gives a
   worker several at a time, which is a little less even. The scene has too few tasks for many workers, so a larger one
   is made up: as many tasks as give 3 per worker at the largest number, their times drawn with replacement from the
   measured ones (100 times; median and the lowest 5 %). So the larger scene has as many small blocks at its edges, in
   proportion, as the measured one: more than a real one. Disk and network are not in the simulation: workers do not
   share what the measured ones did not share.
3. The same job, warm, in local-cluster[N,1,1024], a fresh process each. What is held against the simulation:
   - tasks per executor (an executor of one core has one Python worker, known by its pid): each has some, none has
     more than an even share and one Spark task, which is the least that Spark hands out;
   - seconds, against `simulate` on the times that this cluster's tasks took, within a factor of 1.5 and half a second
     that a job costs on a cluster whatever its tasks are. Beside it stands what the times of local[2,4] predict: on a
     machine with fewer cores than executors each task takes longer, so the two differ, and that prediction is judged
     only where the machine has the cores;
   - bytes read per task: at most 10 % above those on local[2,4]. A worker that goes on to the block below has the
     tiles that the two share; with more workers there are fewer such pairs, down to none, which is 8.5 % more here.

4. Planning, each figure in a fresh process: seconds and megabytes above those of the imports until `patchify` would
   deal its first task, and until a plan of `segment` knows what is left; in an empty folder, and in one with a file for
   every task but one. The scene is all holes. Then the mosaic of 10^12 pixels. Wanted at 10^6: 5 s and 200 MB each.

Needs the extra `spark`, psutil, and disk for the patches: 0.6 GB at 12,000. `make bench-spark` runs it.
"""

import argparse
import csv
import math
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from patchify_tools import big_scene, cache_folder, emptied

from compactlib.raster import create_mosaic
from compactlib.spark.measure import peak_rss
from compactlib.spark.on_spark import hands_of
from compactlib.spark.scaling import simulate
from compactlib.workers import cores

PER_WORKER, DRAWS = 3, 100
HEAD = """
                                                                       seconds:  simulated on the times of
master                    tasks  MB a task  tasks per executor  even   measured  this cluster   local[2,4]"""
START = 0.5  # seconds of a job on a cluster beside its tasks
SLACK = 1.5  # the largest factor between seconds measured and simulated


def cut(pipe: Connection, scene: Path, out: Path, master: str, grid: tuple[int, int]) -> None:
    """In a process of its own: cut the scene once, for warmth, and into out/patches; send the seconds of the latter."""
    from pyspark.find_spark_home import _find_spark_home

    from compactlib.spark import patchify, session

    running = session(master)
    patchify(scene, out / "first", *grid, session=running, progress=False)
    shutil.rmtree(out / "first")
    began = time.perf_counter()
    patchify(scene, out / "patches", *grid, session=running, progress=False)
    pipe.send(time.perf_counter() - began)
    work = Path(_find_spark_home()) / "work" / running.sparkContext.applicationId
    running.stop()
    shutil.rmtree(work, ignore_errors=True)  # only a local cluster makes one


def run(scene: Path, out: Path, master: str, grid: tuple[int, int]) -> tuple[float, list[dict[str, str]]]:
    """Seconds, and the rows of tasks.csv."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=cut, args=(theirs, scene, emptied(out), master, grid))
    process.start()
    theirs.close()
    seconds = ours.recv()
    process.join()
    with open(out / "patches" / "tasks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    emptied(out)
    return seconds, rows


def in_order(rows: list[dict[str, str]]) -> list[float]:
    """Seconds of the tasks, the largest first."""
    tasks = sorted(rows, key=lambda row: -int(row["patches"]))
    return [float(row["seconds"]) for row in tasks]


def spark_task(tasks: int, executors: int) -> int:
    """The most of our tasks that one of Spark's holds: see `run_on_spark`."""
    return -(-tasks // hands_of(tasks, executors))


def predict(rows: list[dict[str, str]], overhead: float, numbers: list[int]) -> None:
    """Print what the measured tasks, and those of a larger scene, would make of more workers."""
    tasks = sorted(((int(row["patches"]), float(row["seconds"])) for row in rows), reverse=True)
    count = PER_WORKER * max(numbers)
    print(f"\nworkers  efficiency: this scene, {len(rows)} tasks  a larger one, {count} tasks: median  lowest 5 %")
    rng = np.random.default_rng(0)
    for workers in numbers:
        found = []
        for _ in range(DRAWS):
            drawn = sorted(rng.choice(tasks, count).tolist(), reverse=True)
            found.append(simulate([seconds for _, seconds in drawn], workers, overhead).efficiency)
        here = simulate([seconds for _, seconds in tasks], workers, overhead).efficiency
        print(f"{workers:7} {here:32.2f} {statistics.median(found):34.2f} {np.quantile(found, 0.05):11.2f}")


def compare(executors: int, measured: tuple, here: tuple, overhead: float) -> list[tuple[str, bool]]:
    """Print a cluster's job beside its simulation, and return what must hold. measured: seconds and rows of the job,
    here: those of local[2,4]."""
    (wall, rows), (_, rows_here) = measured, here
    shares = sorted(Counter((row["host"], row["pid"]) for row in rows).values(), reverse=True)
    mb, mb_here = (statistics.mean(int(row["bytes_read"]) for row in each) / 1e6 for each in (rows, rows_here))
    own, predicted = (simulate(in_order(each), executors, overhead).makespan for each in (rows, rows_here))
    even = len(rows) / executors
    name = f"local-cluster[{executors},1,1024]"
    print(
        f"{name:24} {len(rows):6} {mb:10.2f} {', '.join(map(str, shares)):>19} {even:5.1f} {wall:10.2f} {own:13.2f} "
        f"{predicted:12.2f}"
    )
    most = even + spark_task(len(rows), executors)
    checks = [
        (f"an executor has at most {most:.1f} tasks: {shares[0]}", shares[0] <= most),
        (f"all {executors} executors have tasks: {len(shares)}", len(shares) == executors),
        (f"{wall:.2f} s, its own times give {own:.2f}", own / SLACK <= wall <= SLACK * own + START),
        (f"{mb:.2f} MB a task, {mb_here:.2f} on local[2,4]", mb <= 1.10 * mb_here),
    ]
    if executors <= cores():
        near = predicted / SLACK <= wall <= SLACK * predicted + START
        checks.append((f"{wall:.2f} s, the times of local[2,4] predict {predicted:.2f}", near))
    return [(f"{name}: {text}", holds) for text, holds in checks]


class Planned(Exception):
    """Tasks would be dealt now."""


def plan_patches(folder: Path, count: int) -> Callable[[], object]:
    """About `count` parts of 16 x 16 patches of one pixel."""
    from compactlib.spark import patchify

    scene, side = folder / "scene.tif", 16 * math.isqrt(count)
    if not scene.exists():
        create_mosaic(scene, side, side, tile=16)

    def stop(*_, **__):
        raise Planned

    sys.modules["compactlib.spark.patchify"].run_tasks = stop

    def plan() -> None:
        with suppress(Planned):
            patchify(scene, folder / "out", 1, 1, engine="local", progress=False)

    return plan


def plan_mask(folder: Path, count: int) -> Callable[[], object]:
    """About `count` blocks of a mask."""
    from compactlib.spark.segment_tasks import BlockTasks

    side = math.isqrt(count)

    def plan() -> None:
        tasks = BlockTasks((side * 1024, side * 1024), (1024, 1024), folder / "blocks")
        np.flatnonzero(~tasks.marked())

    return plan


def make_mosaic(folder: Path, count: int) -> Callable[[], object]:
    """`count` x `count` pixels. What it would take when full is not asked of the disk."""
    sys.modules["compactlib.raster.mosaic"].check_room = lambda *_: None
    return lambda: create_mosaic(folder / "mosaic.tif", count, count)


def measure(pipe: Connection, make: Callable, folder: Path, count: int) -> None:
    """In a process of its own: send seconds, those of the processor, and megabytes above what was held before."""
    plan = make(folder, count)
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on (Linux)
    before, began, cpu = peak_rss(), time.perf_counter(), time.process_time()
    plan()
    pipe.send((time.perf_counter() - began, time.process_time() - cpu, (peak_rss() - before) / 1e6))


def fill(folder: Path, count: int) -> None:
    """A file for every task but the last of `plan_patches` and `plan_mask`."""
    side = math.isqrt(count)
    for name in ("out/parts", "blocks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for row in range(side):
        for column in range(side - (row == side - 1)):
            for name in (
                f"out/parts/scene-000-block-{16 * row:04d}-{16 * column:04d}.parquet",
                f"blocks/{row:04d}-{column:04d}.json",
            ):
                os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY, 0o644))


def in_process(make: Callable, folder: Path, count: int) -> tuple[float, float, float]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=measure, args=(theirs, make, folder, count))
    process.start()
    theirs.close()
    found = ours.recv()
    process.join()
    return found


def planning(counts: list[int], folder: Path) -> list[tuple[str, bool]]:
    """Print what planning costs, and return what must hold."""
    checks = []
    print("\n    tasks           what                  seconds      CPU      MB")
    for count in counts:
        at = emptied(folder / str(count))
        for what in ("plan", "plan and scan"):
            if what != "plan":
                fill(at, count)
            for make in (plan_patches, plan_mask):
                seconds, cpu, mb = in_process(make, at, count)
                print(f"{count:9,}  {make.__name__:14} {what:20} {seconds:8.2f} {cpu:8.2f} {mb:7.0f}")
                checks.append(
                    (f"{make.__name__}, {count:,}, {what}: {seconds:.2f} s, {mb:.0f} MB", seconds < 5 and mb < 200)
                )
        shutil.rmtree(at)
    seconds, cpu, mb = in_process(make_mosaic, emptied(folder / "mosaic"), 10**6)
    print(f"mosaic of 10^6 x 10^6 pixels: {seconds:.2f} s, {cpu:.2f} of the processor, {mb:.0f} MB")
    return [*checks, (f"mosaic: {seconds:.2f} s, {mb:.0f} MB", seconds < 5 and mb < 200)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=12000)
    parser.add_argument("--workers", type=int, nargs="+", default=[8, 32, 64])
    parser.add_argument("--clusters", type=int, nargs="*", default=[2, 4], help="executors of the local clusters")
    parser.add_argument(
        "--grid", type=int, nargs=2, default=[256, 224], metavar=("SIZE", "STEP"), help="of the patches"
    )
    parser.add_argument("--folder", type=Path, help="for what is written (default: the system's for temporary files)")
    parser.add_argument("--plan", type=int, nargs="*", default=[10**4, 10**5, 10**6], help="tasks to plan")
    parser.add_argument("--plan-only", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="patchify-plan-") as folder:
        planned = planning(args.plan, Path(folder))
    if args.plan_only:
        show(planned)
        return
    scene = big_scene(args.side, cache_folder())
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="patchify-") as folder:
        out = Path(folder) / "out"
        wall, rows = here = run(scene, out, "local[2,4]", args.grid)
        busy = math.fsum(in_order(rows))
        overhead = max(0.0, (2 * wall - busy) / len(rows))
        print(
            f"local[2,4]: {len(rows)} tasks, {wall:.2f} s, {busy / len(rows):.3f} s a task, {overhead:.3f} s overhead"
        )
        predict(rows, overhead, args.workers)
        if len(rows) < 2 * max(args.clusters, default=0):
            raise SystemExit(
                f"\n{len(rows)} tasks are too few for {max(args.clusters)} executors; take a larger --side"
            )
        print(HEAD)
        checks = []
        for executors in args.clusters:
            checks += compare(
                executors, run(scene, out, f"local-cluster[{executors},1,1024]", args.grid), here, overhead
            )
    show(planned + checks)


def show(checks: list[tuple[str, bool]]) -> None:
    print()
    for text, holds in checks:
        print(f"{'PASS' if holds else 'FAIL'}  {text}")


if __name__ == "__main__":
    main()
