"""What patchify would gain from more workers: simulated on the times of real tasks, and checked on small clusters.

    python tests/benchmarks/patchify_scaling.py [--side 12000] [--workers 8 32 64] [--clusters 2 4] [--folder DIR]

1. The scene of patchify_scene.py is cut on local[2,4], warm, patches of 256 pixels, 224 apart. Each task's seconds are
   in tasks.csv; the overhead of a task is what the two cores spent beside them (wall x 2 - sum, by task).
2. `compactlib.spark.scaling.simulate` deals tasks out to more workers, in the order in which patchify starts them, the
   largest first. The scene has too few tasks for many workers, so a larger one is made up: as many tasks as give 3 per
   worker at the largest number, their times drawn with replacement from the measured ones (100 times; median and the
   lowest 5 %). So the larger scene has as many small blocks at its edges, in proportion, as the measured one: more than
   a real one. Disk and network are not in the simulation: workers do not share what the measured ones did not share.
3. The same job in local-cluster[N,1,1024], a fresh process each: bytes read per task must not depend on the cluster,
   and tasks per executor must fall with it (an executor of one core has one Python worker, known by its pid).

Needs the extra `spark`, psutil, and disk for the patches: 0.6 GB at 12,000. `make bench-spark` runs it.
"""

import argparse
import csv
import math
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from patchify_tools import big_scene, cache_folder, emptied

from compactlib.spark.scaling import simulate

PER_WORKER, DRAWS = 3, 100


def cut(pipe: Connection, scene: Path, out: Path, master: str, warm: bool) -> None:
    """In a process of its own: cut the scene into out/patches and send the seconds that it took."""
    from pyspark.find_spark_home import _find_spark_home

    from compactlib.spark import patchify, session

    running = session(master)
    if warm:
        patchify(scene, out / "first", session=running, progress=False)
        shutil.rmtree(out / "first")
    began = time.perf_counter()
    patchify(scene, out / "patches", session=running, progress=False)
    pipe.send(time.perf_counter() - began)
    work = Path(_find_spark_home()) / "work" / running.sparkContext.applicationId
    running.stop()
    shutil.rmtree(work, ignore_errors=True)  # only a local cluster makes one


def run(scene: Path, out: Path, master: str, warm: bool = False) -> tuple[float, list[dict[str, str]]]:
    """Seconds, and the rows of tasks.csv."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=cut, args=(theirs, scene, emptied(out), master, warm))
    process.start()
    theirs.close()
    seconds = ours.recv()
    process.join()
    with open(out / "patches" / "tasks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    emptied(out)
    return seconds, rows


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=12000)
    parser.add_argument("--workers", type=int, nargs="+", default=[8, 32, 64])
    parser.add_argument("--clusters", type=int, nargs="*", default=[2, 4], help="executors of the local clusters")
    parser.add_argument("--folder", type=Path, help="for what is written (default: the system's for temporary files)")
    args = parser.parse_args()
    scene = big_scene(args.side, cache_folder())
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="patchify-") as folder:
        out = Path(folder) / "out"
        wall, rows = run(scene, out, "local[2,4]", warm=True)
        busy = math.fsum(float(row["seconds"]) for row in rows)
        overhead = max(0.0, (2 * wall - busy) / len(rows))
        print(
            f"local[2,4]: {len(rows)} tasks, {wall:.2f} s, {busy / len(rows):.3f} s a task, {overhead:.3f} s overhead"
        )
        predict(rows, overhead, args.workers)
        print("\nmaster                    tasks  MB read per task  tasks per executor  seconds")
        per_task = []
        for executors in args.clusters:
            master = f"local-cluster[{executors},1,1024]"
            wall, rows = run(scene, out, master)
            shares = sorted(Counter(row["pid"] for row in rows).values(), reverse=True)
            per_task.append(statistics.mean(int(row["bytes_read"]) for row in rows) / 1e6)
            print(f"{master:24} {len(rows):6} {per_task[-1]:17.2f} {', '.join(map(str, shares)):>19} {wall:8.1f}")
    if per_task:
        same = max(per_task) <= 1.05 * min(per_task)
        print(f"\nbytes per task within 5 % whatever the cluster: {'PASS' if same else 'FAIL'}")


if __name__ == "__main__":
    main()
