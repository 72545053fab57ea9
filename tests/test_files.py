"""A file is there whole or not at all."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from compactlib.files import atomic_open, atomic_write, check_room

WRITE_FOR_EVER = """
import sys
from compactlib.files import atomic_write
contents = [bytes([65 + k]) * 3_000_000 for k in range(2)]
while True:
    for content in contents:
        atomic_write(sys.argv[1], content)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    path = tmp_path / "deep" / "file"
    process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(path)])
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.01)
    for _ in range(50):
        content = path.read_bytes()
        assert len(content) == 3_000_000 and len(set(content)) == 1
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    content = path.read_bytes()
    assert len(content) == 3_000_000 and len(set(content)) == 1


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path):
    path = atomic_write(tmp_path / "file", "old")
    with pytest.raises(OSError, match="disk"), atomic_open(path) as file:
        file.write(b"ne")
        raise OSError("disk full")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_room_is_asked_of_the_disk_of_a_folder_that_is_not_there_yet(tmp_path):
    folder = tmp_path / "a" / "b"
    free = shutil.disk_usage(tmp_path).free
    check_room(folder, free // 2)
    with pytest.raises(OSError, match=r"No room in .*a.b: [\d,.]+ GB are needed and [\d,.]+ GB are free; make room or"):
        check_room(folder, 4 * free)
    assert not folder.exists()


def test_room_below_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_room("out/deep", 1)
    with pytest.raises(OSError, match="No room in out/deep: 1,000,000,000,000.0 GB are needed"):
        check_room("out/deep", 10**21)
