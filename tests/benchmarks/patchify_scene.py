"""Seconds and CPU seconds of cutting a scene into patches, here against other ways of doing it.

    python tests/benchmarks/patchify_scene.py [--side 12000] [--rounds 3] [--ways spark pool ...] [--folder DIR]

An RGB uint8 TIFF of side x side pixels in deflate tiles of 512, patches of 256 pixels, 224 apart. Sessions and pools
live in one process per way, and a first round, which does not count, warms all of them. The ways take turns, in an
order that alternates; ratios are the medians of the ratios to `pool` within a round. CPU seconds are those of the way's
process and all that it started, the JVM and the Python workers included.

    spark             compactlib.spark.patchify on a warm session, local[2,4]
    pool              hand-tuned pool of 2 warm processes: reads blocks of 16 x 16 patches through tifffile's segments
                      with a cache of tiles, the same statistics, Parquet parts through pyarrow; no Spark, no manifest
    local             compactlib.spark.patchify, engine="local": starts its processes in every call
    pool_npy          the pool with .npy files and without statistics, for information
    report            the course's source: sc.parallelize([image]).flatMap(split).collect(), with a heap of 8 GB
    report_2g         the same with 2 GB
    report_broadcast  its second form: the image broadcast, the patches collected; with 8 GB. All three write nothing
    patchify_package  the package patchify and one .npy file (pip install --no-deps patchify; it asks for NumPy 1)
    dask              dask.array with overlap, one .npy file a chunk of 16 x 16 patches, 2 threads
    numpy_loop        imread, slice, one .npy file a patch

spark, pool, local, pool_npy, patchify_package and dask flush each file to the disk (fsync) before it gets its name;
numpy_loop does not flush. Ways that drop the margins cut fewer patches; the column says how many. The folder is emptied
between the ways. Needs the extras `spark` and `bench`, psutil, and about 6 times the patches' size in memory for the
ways that hold the picture. `make bench-spark` runs it.
"""

import argparse
import importlib.util
import multiprocessing
import os
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import tifffile
from patchify_tools import big_scene, cache_folder, cpu_seconds, emptied, family
from patchify_ways import STEP, WAYS

PATIENCE = 1800  # seconds for one run


class Way:
    """A way in a process of its own, which lives until it fails or is closed."""

    def __init__(self, name: str, log: Path):
        self.name, self.failed = name, ""
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(name, theirs, log))
        self.process.start()
        theirs.close()

    def run(self, scene: Path, out: Path) -> tuple[int, float, float] | None:
        """Patches, wall and CPU seconds; None if it failed: `failed` then says how."""
        try:
            self.pipe.send((scene, emptied(out)))
            if not self.pipe.poll(PATIENCE):
                raise TimeoutError(f"no result after {PATIENCE} s")
            found = self.pipe.recv()
        except (OSError, EOFError) as error:
            found = str(error) or "its process died"
        emptied(out)
        os.sync()  # what one way left to be written must not slow the next
        if isinstance(found, str):
            self.failed = found
            self.close()
            return None
        return found

    def close(self) -> None:
        """End its process, which ends what it started; where it does not, all of them are killed."""
        if self.process.is_alive():
            self.pipe.send(None)
            self.process.join(30)
        if self.process.is_alive():
            for member in family(psutil.Process(self.process.pid)):
                member.kill()
        self.process.join()


def serve(name: str, pipe: Connection, log: Path) -> None:
    """In the way's process: run it for each scene that comes, and answer with what it took or with what went wrong."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)  # the JVM's warnings
    me = psutil.Process()
    while job := pipe.recv():
        scene, out = job
        wall, cpu = time.perf_counter(), cpu_seconds(me)
        try:
            patches = WAYS[name](scene, out)
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            told = next((line for line in lines if "OutOfMemory" in line), (lines or [type(error).__name__])[0])
            pipe.send(f"died after {time.perf_counter() - wall:.0f} s: {told[:90]}")
        else:
            pipe.send((patches, time.perf_counter() - wall, cpu_seconds(me) - cpu))


def measure(names: list[str], rounds: int, scene: Path, folder: Path) -> dict[str, list | str]:
    """(patches, wall, CPU) of each way in each round; a way that fails has its reason in place of them."""
    ways = {name: Way(name, folder / f"{name}.log") for name in names}
    results: dict[str, list | str] = {name: [] for name in names}
    for turn in range(rounds + 1):  # round 0 warms up
        for name in names if turn % 2 else names[::-1]:  # who comes first changes, too
            if name not in ways:
                continue
            found = ways[name].run(scene, folder / "out")
            if found is None:
                results[name] = ways.pop(name).failed
                continue
            print(f"  round {turn}: {name:17} {found[1]:7.2f} s {found[2]:7.2f} CPU-s", flush=True)
            if turn:
                results[name].append(found)
    for way in ways.values():
        way.close()
    return results


def ratio(results: dict[str, list | str], a: str, b: str, which: int) -> float | None:
    """Median over the rounds of a / b; which: 1 for wall, 2 for CPU. None if one of them has no result."""
    sides = results.get(a), results.get(b)
    if not all(isinstance(side, list) and side for side in sides):
        return None
    return statistics.median(x[which] / y[which] for x, y in zip(*sides, strict=True))


def show(results: dict[str, list | str]) -> None:
    print("\nway                patches   wall s    CPU-s  wall/pool  CPU/pool")
    for name, found in results.items():
        if isinstance(found, str):
            print(f"{name:17} {found}")
            continue
        wall, cpu = (statistics.median(row[k] for row in found) for k in (1, 2))
        against = [ratio(results, name, "pool", k) for k in (1, 2)]
        columns = " ".join(f"{value:10.2f}" if value else f"{'-':>10}" for value in against)
        print(f"{name:17} {found[0][0]:8} {wall:8.2f} {cpu:8.2f} {columns}")


def judge(results: dict[str, list | str]) -> None:
    """The targets of the project, each with what was found."""
    targets = [
        ("spark <= 1.15 x the pool's wall", ratio(results, "spark", "pool", 1), 1.15),
        ("spark <= 1.2 x the pool's CPU", ratio(results, "spark", "pool", 2), 1.2),
        ("spark <= 1/5 of the CPU of report", ratio(results, "spark", "report", 2), 0.2),
    ]
    for name in ("patchify_package", "dask", "numpy_loop"):
        targets.append((f"spark faster than {name}", ratio(results, "spark", name, 1), 1.0))
    print()
    for text, found, most in targets:
        verdict = "not measured" if found is None else f"{found:.3f}  {'PASS' if found <= most else 'FAIL'}"
        print(f"{text:45} {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=12000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--folder", type=Path, help="for what is written (default: the system's for temporary files)")
    args = parser.parse_args()
    if args.side < STEP:
        parser.error(f"--side {args.side}: expected {STEP} pixels or more")
    names = [name for name in args.ways if name != "patchify_package" or importlib.util.find_spec("patchify")]
    if len(names) < len(args.ways):
        print("patchify_package is left out: pip install --no-deps patchify")
    scene = big_scene(args.side, cache_folder())
    print(f"{args.side} x {args.side} x 3 uint8, tifffile {tifffile.__version__}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="patchify-") as folder:
        results = measure(names, args.rounds, scene, Path(folder))
    show(results)
    judge(results)


if __name__ == "__main__":
    main()
