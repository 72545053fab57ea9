"""What befalls workers: functions that stand in for a task's own, in the workers' processes."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from compactlib.spark import cut


def killed_while_writing(marker: str, task: dict) -> dict:
    """cut_block, but the first worker that has written two strips of a part is killed."""
    statistics, calls = cut.statistics, []

    def fatal(*arguments):
        calls.append(None)
        if len(calls) == 3 and _first(marker):
            os.kill(os.getpid(), signal.SIGKILL)
        return statistics(*arguments)

    cut.statistics = fatal
    try:
        return cut.cut_block(task)
    finally:
        cut.statistics = statistics


def slow(function: Callable[[dict], dict], task: dict) -> dict:
    time.sleep(0.15)
    return function(task)


def noted(folder: str, task: dict) -> dict:
    """Leaves a file, and takes its time."""
    (Path(folder) / str(task["number"])).touch()
    time.sleep(0.3)
    return {}


def fatal(task: dict) -> dict:
    """Kills every worker that tries it."""
    if task["number"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


def loaded(task: dict) -> dict:
    """Nothing happens; what has the worker loaded?"""
    return {"doubled": 2 * task["number"], "heavy": sorted({"torch", "timm", "pandas"} & set(sys.modules))}


def failing(task: dict) -> dict:
    if task["number"] == 3:
        raise ValueError('scene.tif: line one\nand "line" two, naïve')
    return {"doubled": 2 * task["number"]}


def wrong(task: dict) -> dict:
    return {"value": 1 / task["number"]}


def _first(marker: str) -> bool:
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


VICTIMS = {
    "python": None,
    "executor": "CoarseGrainedExecutorBackend",
    "worker": "org.apache.spark.deploy.worker.Worker",
}


def struck(folder: str, function: Callable[..., dict], *arguments) -> dict:
    """The function; but the first three times, while it is at work, it loses its Python worker, its executor, and the
    worker of the cluster that started that. A file in the folder says which have been."""
    for name, command in VICTIMS.items():
        if _first(f"{folder}/{name}"):
            threading.Timer(0.02, lambda command=command: os.kill(_ancestor(command), signal.SIGKILL)).start()
            function(*arguments)
            time.sleep(2)  # it has struck; an executor may outlive its worker, and then this goes on
    return function(*arguments)


def _ancestor(command: str | None) -> int:
    """This process, or the JVM above it that runs this class."""
    process = psutil.Process()
    return process.pid if command is None else next(p.pid for p in process.parents() if command in p.cmdline())
