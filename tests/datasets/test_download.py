"""Downloads against real HTTP servers on the loopback that break in the ways servers break."""

import hashlib
import multiprocessing
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compactlib.datasets import DamagedFile, File, download
from compactlib.datasets.errors import DownloadFailed
from tests.datasets.server import serving

CONTENT = np.random.default_rng(0).bytes(1_000_003)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None))


def entry(*servers, name="set.bin") -> File:
    urls = tuple(s if isinstance(s, str) else s.url + name for s in servers)
    return File(name, len(CONTENT), "md5", MD5, urls)


def fetch(file: File, folder: Path) -> Path:
    return download.fetch(file, folder / file.name, progress=False)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_whole_file_arrives_under_its_name_and_leaves_nothing_else(tmp_path):
    with serving(CONTENT) as server:
        path = fetch(entry(server), tmp_path)
        assert path.read_bytes() == CONTENT
        assert visible(tmp_path) == ["set.bin"]
        fetch(entry(server), tmp_path)
        assert server.requests == [None], "a file that is there must not be fetched again"


def test_a_cut_connection_is_continued_where_it_broke(tmp_path):
    with serving(CONTENT, cut=400_000) as server:
        assert fetch(entry(server), tmp_path).read_bytes() == CONTENT
        assert server.requests == [None, "bytes=400000-"]


def test_a_cut_connection_is_continued_at_the_next_mirror(tmp_path):
    with serving(CONTENT, cut=400_000) as first, serving(CONTENT) as second:
        assert fetch(entry(first, second), tmp_path).read_bytes() == CONTENT
        assert (first.requests, second.requests) == ([None], ["bytes=400000-"])


def test_nothing_half_written_is_left_under_the_name_and_a_later_call_continues(tmp_path):
    with serving(CONTENT, cut=1000, cuts=99) as server:
        with pytest.raises(DownloadFailed, match="ended after"):
            fetch(entry(server), tmp_path)
        assert visible(tmp_path) == ["set.bin.part"]
        server.cut = None
        assert fetch(entry(server), tmp_path).read_bytes() == CONTENT
        assert server.requests[-1] == f"bytes={download.ROUNDS * 1000}-"
        assert visible(tmp_path) == ["set.bin"]


def test_a_server_without_ranges_starts_over(tmp_path):
    (tmp_path / "set.bin.part").write_bytes(CONTENT[:5000])
    with serving(CONTENT, ranges=False) as server:
        assert fetch(entry(server), tmp_path).read_bytes() == CONTENT
        assert server.requests == ["bytes=5000-"]


def test_a_wrong_beginning_from_before_is_thrown_away(tmp_path):
    (tmp_path / "set.bin.part").write_bytes(b"x" * 5000)
    with serving(CONTENT) as server:
        assert fetch(entry(server), tmp_path).read_bytes() == CONTENT
        assert server.requests == ["bytes=5000-", None]


@pytest.mark.parametrize("before", [CONTENT, CONTENT + b"more"], ids=["complete", "too long"])
def test_a_part_that_needs_nothing_more(tmp_path, before):
    (tmp_path / "set.bin.part").write_bytes(before)
    with serving(CONTENT) as server:
        assert fetch(entry(server), tmp_path).read_bytes() == CONTENT


def test_damaged_bytes_are_not_kept_and_the_next_mirror_is_asked(tmp_path):
    with serving(CONTENT[:-1] + b"?") as bad, serving(CONTENT) as good:
        assert fetch(entry(bad, good), tmp_path).read_bytes() == CONTENT
        assert good.requests == [None], "bytes of a damaged file must not be continued"


def test_damaged_everywhere_names_file_and_checksums_and_leaves_nothing(tmp_path):
    wrong = b"<html>please log in</html>"
    with serving(wrong) as server, pytest.raises(DamagedFile) as error:
        fetch(entry(server), tmp_path)
    for part in ("set.bin", MD5, hashlib.md5(wrong).hexdigest(), server.url):
        assert part in str(error.value)
    assert visible(tmp_path) == []


def test_an_intact_file_replaces_a_damaged_one(tmp_path):
    (tmp_path / "set.bin").write_bytes(b"damaged")
    with serving(CONTENT) as server:
        assert fetch(entry(server), tmp_path).read_bytes() == CONTENT


def test_missing_at_one_mirror_busy_at_another_there_at_the_third(tmp_path):
    with serving(b"", status=404) as gone, serving(b"", status=503) as busy, serving(CONTENT) as good:
        assert fetch(entry(gone, busy, good), tmp_path).read_bytes() == CONTENT


def test_failure_has_a_reason_for_each_address_and_asks_a_dead_one_once(tmp_path):
    with socket.socket() as closed, serving(b"", status=404) as gone, serving(b"", status=503) as busy:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        refused = f"http://127.0.0.1:{closed.getsockname()[1]}/set.bin"
        with pytest.raises(DownloadFailed) as error:
            fetch(entry(refused, gone, busy), tmp_path)
    lines = {line.split(": ")[0].strip(): line for line in str(error.value).splitlines()[1:]}
    assert "no connection" in lines[refused]
    assert "404" in lines[gone.url + "set.bin"] and len(gone.requests) == 1
    assert "503" in lines[busy.url + "set.bin"] and len(busy.requests) == download.ROUNDS


def test_a_slow_server_is_left_for_the_next_which_continues(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.1)
    monkeypatch.setattr(download, "CHUNK", 10_000)
    with serving(CONTENT, pause=0.2) as slow, serving(CONTENT) as quick:
        assert fetch(entry(slow, quick), tmp_path).read_bytes() == CONTENT
        assert len(slow.requests) == 1 and int(quick.requests[0].removeprefix("bytes=")[:-1]) >= 10_000


def test_a_slow_server_is_used_when_it_is_the_only_one(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.0)
    monkeypatch.setattr(download, "SLOW", 1e12)
    with serving(CONTENT) as slow:
        assert fetch(entry(slow), tmp_path).read_bytes() == CONTENT
        assert len(slow.requests) == 1


def test_a_full_disk_is_said_as_such(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", full)
    with serving(CONTENT) as server, pytest.raises(OSError, match="No space left"):
        fetch(entry(server), tmp_path)
    assert visible(tmp_path) == ["set.bin.part"]


def test_two_processes_share_one_download(tmp_path):
    context = multiprocessing.get_context("fork")
    with serving(CONTENT, pause=0.002) as server:
        workers = [context.Process(target=fetch, args=(entry(server), tmp_path)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(30)
        assert [worker.exitcode for worker in workers] == [0, 0]
        assert (tmp_path / "set.bin").read_bytes() == CONTENT
        assert server.requests == [None]


def test_a_killed_process_leaves_a_part_that_is_continued(tmp_path):
    context = multiprocessing.get_context("fork")
    with serving(CONTENT, pause=0.02) as server:
        worker = context.Process(target=fetch, args=(entry(server), tmp_path))
        worker.start()
        part = tmp_path / "set.bin.part"
        deadline = time.monotonic() + 20
        while not (part.is_file() and part.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        worker.kill()
        worker.join(10)
        assert visible(tmp_path) == ["set.bin.part"]
        server.pause = 0.0
        assert fetch(entry(server), tmp_path).read_bytes() == CONTENT
        assert server.requests[1].startswith("bytes=")
