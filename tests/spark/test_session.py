"""The session: its defaults, what it refuses, and what it sends to a cluster."""

import importlib.metadata
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from compactlib.spark import session
from compactlib.spark.session import _settings, _zipped_package, active_or_new, java_available, jvm_log


def test_the_defaults_fit_a_laptop(spark):
    context = spark.sparkContext
    assert context.master == "local[2,4]" and context.defaultParallelism == 2
    assert context.uiWebUrl is None
    assert spark.conf.get("spark.driver.host") == spark.conf.get("spark.driver.bindAddress") == "127.0.0.1"
    assert context.pythonExec == sys.executable  # the workers' interpreter is this one
    assert spark.conf.get("spark.sql.execution.arrow.maxBytesPerBatch") == str(64 << 20)
    assert "PYSPARK_PYTHON" not in os.environ
    python = spark.range(1).rdd.map(lambda _: (sys.executable, sys.version_info[:2])).collect()
    assert python == [(sys.executable, sys.version_info[:2])]


def test_the_running_session_is_used_if_it_is_what_is_asked(spark):
    assert session("local[2,4]") is spark and active_or_new(7) is spark
    with pytest.raises(
        ValueError, match=r"other settings is running \(spark\.driver\.memory=1g there, 2g asked\); stop it"
    ):
        session("local[2,4]", driver_memory="2g")
    with pytest.raises(ValueError, match=r"spark\.master=local\[2,4\] there, local\[3,4\] asked"):
        session("local[3,4]")
    with pytest.raises(ValueError, match=r"spark\.ui\.enabled=false there, true asked"):
        session("local[2,4]", **{"spark.ui.enabled": "true"})


def test_another_thread_finds_the_running_session(spark):
    with ThreadPoolExecutor(1) as threads:
        found = threads.submit(session, "local[2,4]").result()
    assert found.sparkContext is spark.sparkContext and spark.range(3).count() == 3


def test_a_cluster_is_not_told_to_look_for_its_driver_at_home():
    assert "spark.driver.host" in _settings("local-cluster[2,1,1024]", "1g")
    assert "spark.driver.host" not in _settings("spark://host:7077", "1g")


def test_the_package_that_a_cluster_gets_can_be_imported(tmp_path):
    archive = _zipped_package()
    code = "import compactlib.spark.cut as cut; print(cut.__file__)"
    environment = os.environ | {"PYTHONPATH": archive}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(archive)


def test_without_java_the_sentence_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr("pyspark.SparkContext._active_spark_context", None)
    monkeypatch.setattr("pyspark.SparkContext._gateway", None)
    assert not java_available()
    with pytest.raises(
        RuntimeError, match=r"Spark needs Java 17 or newer, and `.*bin/java -version` finds none; install"
    ):
        session()


def test_pandas_3_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"pandas": "3.0.1", "pyspark": "4.3.0"}[name])
    with pytest.raises(RuntimeError, match="Spark 4.3.0 does not work with pandas 3.0.1; run pip install 'pandas<3'"):
        session()


def test_a_start_that_fails_shows_the_end_of_the_log(tmp_path):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    version = """[ "$1" = -version ] && echo 'openjdk version "21"' && exit"""
    java.write_text(f"#!/bin/sh\n{version}\necho 'no memory for the heap' >&2\nexit 1\n")
    java.chmod(0o755)
    code = "from compactlib.spark import session\ntry: session()\nexcept RuntimeError as error: print(error)"
    environment = os.environ | {"JAVA_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Spark did not start with master='local[2,4]'; the end of its log:")
    assert "no memory for the heap" in done.stdout and done.stderr == ""


def test_what_a_worker_prints_goes_to_the_log(spark, capfd):
    spark.range(1).rdd.foreach(lambda _: os.write(2, b"a word from a worker\n"))
    assert "a word from a worker" in jvm_log()
    assert capfd.readouterr().err == ""
