"""What is seen of the processes below this one."""

import numpy as np

from compactlib.runs import processes


def test_memory_and_processor_time_of_a_block_are_seen():
    with processes.watch() as usage:
        held = np.ones(100 << 20, np.uint8)
        while held.sum() and usage.cpu_seconds < 0.2:
            pass
    assert usage.seconds >= 0.1 and usage.cpu_seconds >= 0.2
    with processes.watch() as after:
        assert after.cpu_seconds < 0.2  # what this process used before the block is not the block's
        size = held.nbytes
    assert after.cpu_seconds < usage.cpu_seconds
    assert usage.python_mib > size / 2**20 and usage.jvm_mib == 0
