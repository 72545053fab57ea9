"""What is seen of the processes below this one."""

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from compactlib.lab import processes


def test_the_workers_of_a_pool_are_found_and_a_plain_child_is_not():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(abs, -1).result()
        expected = set(pool._processes)
        found = {process.pid for process in processes.workers()}
    child.communicate(b"\n")
    assert found == expected


def test_memory_and_processor_time_of_a_block_are_seen():
    with processes.watch() as usage:
        held = np.ones(100 << 20, np.uint8)
        while held.sum() and usage.cpu_seconds < 0.2:
            pass
    assert usage.seconds >= 0.1 and usage.cpu_seconds >= 0.2
    with processes.watch() as after:
        size = held.nbytes
    assert after.cpu_seconds < usage.cpu_seconds
    assert usage.python_mib > size / 2**20 and usage.jvm_mib == 0
