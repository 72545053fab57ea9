"""What befalls workers: functions that stand in for a task's own, in the workers' processes."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

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
