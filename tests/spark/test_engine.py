"""The same tasks on both engines: results, errors, Ctrl-C, and workers that are killed."""

import os
import signal
import threading
import time
import tracemalloc
from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compactlib.spark import TaskError, run_tasks
from compactlib.spark.engine import choose_engine
from compactlib.spark.on_spark import deal, hands_of
from tests.spark import faults


@pytest.fixture(params=["spark", "local"])
def engine(request):
    """Arguments of run_tasks for each engine."""
    if request.param == "spark":
        return {"engine": "spark", "session": request.getfixturevalue("spark"), "progress": False}
    return {"engine": "local", "workers": 2, "progress": False}


def numbered(count: int) -> list[dict]:
    return [{"number": number} for number in range(count)]


def test_results_come_in_the_order_of_the_tasks_with_their_cost(engine):
    results = run_tasks(faults.loaded, numbered(29), **engine)
    assert [result["doubled"] for result in results] == list(range(0, 58, 2))
    assert all(result["heavy"] == [] for result in results)  # a worker stays small
    assert os.getpid() not in {result["pid"] for result in results} and len({r["pid"] for r in results}) <= 2
    assert all(result["seconds"] >= 0 <= result["cpu_seconds"] for result in results)
    assert all(30 < result["peak_rss_mb"] < 250 and result["host"] for result in results)


def test_no_tasks_give_no_results(engine):
    assert run_tasks(faults.loaded, [], **engine) == []


def test_the_sentence_of_a_task_reaches_the_driver(engine):
    with pytest.raises(TaskError) as caught:
        run_tasks(faults.failing, numbered(8), **engine)
    assert str(caught.value) == 'scene.tif: line one\nand "line" two, naïve'
    assert caught.value.task == {"number": 3} and "in failing" in caught.value.details
    assert caught.value.__cause__ is None and caught.value.__suppress_context__  # no Java stack trace on the screen


def test_an_error_that_was_not_meant_for_the_user_names_its_class():
    with pytest.raises(TaskError, match="^ZeroDivisionError: division by zero$"):
        run_tasks(faults.wrong, numbered(1), "local", workers=1, progress=False)


def test_a_task_that_kills_every_worker_ends_the_job_with_a_sentence(engine):
    with pytest.raises(TaskError, match="is there enough memory"):
        run_tasks(faults.fatal, numbered(2), **engine)


def test_ctrl_c_ends_the_job(engine, tmp_path):
    def interrupt():
        while not any(tmp_path.iterdir()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_tasks(partial(faults.noted, str(tmp_path)), numbered(60), **engine)
    thread.join()
    begun = 0
    while begun < len(list(tmp_path.iterdir())):  # Spark gives its workers some seconds to end by themselves
        begun = len(list(tmp_path.iterdir()))
        time.sleep(1.5)
    assert begun < 30


def test_the_bar_counts_all_tasks(engine, capsys):
    run_tasks(faults.loaded, numbered(7), label="cutting", **{**engine, "progress": True})
    assert "cutting" in (shown := capsys.readouterr().err) and "7/7" in shown


def test_without_java_the_pool_does_the_work(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.warns(RuntimeWarning, match="Java 17 or newer, which was not found: a pool of processes"):
        results = run_tasks(faults.loaded, numbered(3), "spark", workers=1, progress=False)
    assert [result["doubled"] for result in results] == [0, 2, 4]


def test_a_java_that_is_too_old_or_broken_is_none(monkeypatch, tmp_path):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.warns(RuntimeWarning):
        assert choose_engine("spark") == "local"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    with pytest.warns(RuntimeWarning):
        assert choose_engine("spark") == "local"


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="engine='dask' is unknown; expected 'spark' or 'local'"):
        run_tasks(faults.loaded, numbered(1), "dask")


@given(st.lists(st.integers(1, 300), min_size=1, max_size=80), st.integers(1, 20))
def test_hands_are_about_as_heavy_as_one_another(weights, count):
    hands = deal(weights, min(count, len(weights)))
    assert len(hands) <= count
    assert list(chain(*sorted(hands, key=list))) == list(range(len(weights)))  # each task once, neighbours in one hand
    loads = [sum(weights[number] for number in hand) for hand in hands]
    assert loads == sorted(loads, reverse=True) and loads[-1] > 0
    assert loads[0] <= sum(weights) / min(count, len(weights)) + max(weights)


def test_tasks_of_one_weight_are_dealt_in_equal_hands():
    assert [list(hand) for hand in deal([1] * 8, 3)] == [[0, 1, 2], [5, 6, 7], [3, 4]]


def test_as_many_hands_as_tasks_are_one_each():
    hands = deal([1, 100, 1, 1], 4)
    assert [len(hand) for hand in hands] == [1, 1, 1, 1] and hands[0][0] == 1


class Made(Sequence):
    """A million tasks; says which of them have been made."""

    def __init__(self, count: int = 10**6):
        self.count, self.made = count, []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict:
        self.made.append(number)
        return {"number": number}


def test_a_million_tasks_are_dealt_without_being_made():
    tracemalloc.start()
    began = time.perf_counter()
    hands = deal(np.ones(10**6, np.int32), hands_of(10**6, cores=64))
    assert time.perf_counter() - began < 5 and tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert sum(map(len, hands)) == 10**6 and len(hands) == 10_000


def test_tasks_are_made_where_they_are_dealt(engine):
    tasks = Made(30)
    results = run_tasks(faults.loaded, tasks, weights=[1] * 30, **engine)
    assert [result["doubled"] for result in results] == list(range(0, 60, 2))
    # Spark's workers make them; the pool's are made here, when they are dealt.
    assert tasks.made == ([] if engine["engine"] == "spark" else list(range(30)))
