"""A file is there whole or not at all."""

import errno
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time

import pytest

from compactlib.files import atomic_open, atomic_write, check_room, disk_full_named

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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named_with_what_to_do(tmp_path, number):
    with pytest.raises(OSError) as caught, atomic_open(tmp_path / "deep" / "file"):
        raise OSError(number, os.strerror(number))
    assert f"No room in {tmp_path / 'deep'} ({os.strerror(number)})" in str(caught.value)
    assert caught.value.errno == number and "on another disk" in str(caught.value)
    assert not list((tmp_path / "deep").iterdir())


def test_another_error_of_the_system_stays_as_it_is(tmp_path):
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), disk_full_named(tmp_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_temporary_names_cannot_be_foreseen_and_follow_no_link(tmp_path, monkeypatch):
    names = []
    for _ in range(50):
        with atomic_open(tmp_path / "file"):
            names += [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"]
    random = {name.removeprefix(f".file.{os.getpid()}-").removesuffix(".tmp") for name in names}
    assert len(random) == 50 and set(map(len, random)) == {16}  # 64 bits; notebook 08 reads the process from the name
    # Even if it were known: what a link of that name points at is not written to.
    monkeypatch.setattr(secrets, "token_hex", lambda _: "known")
    (tmp_path / "precious").write_text("mine")
    (tmp_path / f".file.{os.getpid()}-known.tmp").symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError):
        atomic_write(tmp_path / "file", "other")
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_file_may_be_read_by_whom_the_umask_lets(tmp_path):
    before = os.umask(0o027)
    try:
        assert atomic_write(tmp_path / "file", "text").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)
