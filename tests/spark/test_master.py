"""A typing error is a sentence, and soon: masters, Javas and Sparks that are not what they should be."""

import os
import socket
import struct
import subprocess
import sys

import psutil
import pytest

from compactlib.__main__ import main
from compactlib.spark.java import check_java
from compactlib.spark.master import check_master, check_spark_home


@pytest.mark.parametrize(
    "master",
    [
        "spark:/127.0.0.1:7077",
        "spark://127.0.0.1",
        "spark://127.0.0.1:99999",
        "spark://:7077",
        "local[two]",
        "yarrn",
        "",
    ],
)
def test_what_is_no_master_is_refused_with_an_example_of_one(master):
    with pytest.raises(RuntimeError) as caught:
        check_master(master)
    assert repr(master) in str(caught.value) and "spark://host:7077" in str(caught.value)


@pytest.mark.parametrize("master", ["local", "local[2]", "local[*]", "local[2,4]", "local-cluster[2,1,1024]", "yarn"])
def test_masters_that_spark_knows_pass(master):
    check_master(master)


def test_a_port_where_nobody_listens_is_named_at_once(scene, tmp_path):
    with socket.socket() as held:  # bound, and nobody listens
        held.bind(("127.0.0.1", 0))
        master = f"spark://127.0.0.1:{held.getsockname()[1]}"
        command = [sys.executable, "-m", "compactlib", "patchify", scene, tmp_path / "out", "--master", master]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)  # a process without a session
    (said,) = done.stderr.splitlines()
    assert done.returncode == 2 and master in said and os.strerror(111) in said and not (tmp_path / "out").exists()


def test_one_master_of_two_is_enough():
    with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        check_master(f"spark://127.0.0.1:{held.getsockname()[1]},127.0.0.1:{there.getsockname()[1]}")


def test_a_java_of_another_version_is_named(monkeypatch, tmp_path):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"Java 17 or newer, and `.*bin/java -version` is Java 11"):
        check_java()


def test_a_named_master_without_java_is_no_reason_for_another_engine(monkeypatch, scene, tmp_path, capsys):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr("pyspark.SparkContext._active_spark_context", None)
    monkeypatch.setattr("pyspark.SparkContext._gateway", None)
    assert main(["patchify", str(scene), str(tmp_path / "out"), "--master", "local[2,4]"]) == 2
    assert "Java 17" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("jar", "said"), [("spark-core_2.12-3.5.1.jar", "is Spark 3.5.1"), (None, "no folder of Spark")]
)
def test_another_spark_in_spark_home_is_named(monkeypatch, tmp_path, jar, said):
    for name in ("jars", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin" / "spark-submit").touch()
    if jar:
        (tmp_path / "jars" / jar).touch()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    with pytest.raises(RuntimeError, match=f"SPARK_HOME={tmp_path} .*{said}.* unset SPARK_HOME"):
        check_spark_home()


def test_nobody_else_on_this_machine_is_served(spark):
    """Each port of Spark's own protocol answers a message without a secret by asking for one."""
    process = psutil.Process(spark.sparkContext._gateway.proc.pid)
    assert spark.conf.get("spark.authenticate") == "true"
    assert not any("secret" in word for word in process.cmdline())  # all users see it
    body, answers = b"hello", []
    for connection in process.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN:
            continue
        assert connection.laddr.ip.endswith("127.0.0.1")
        with socket.create_connection(("127.0.0.1", connection.laddr.port), 5) as client:
            client.settimeout(2)
            client.sendall(struct.pack(">qBqi", 21 + len(body), 3, 7, len(body)) + body)  # a call of a remote procedure
            try:
                answers.append(client.recv(4096))
            except TimeoutError:  # py4j's, which waits for its own token
                answers.append(b"")
    assert sum(b"SaslMessage" in answer for answer in answers) == len([a for a in answers if a]) >= 2


KILLED = """
import os, signal
from compactlib.spark import TaskError, run_tasks, session
from tests.spark import faults

if __name__ == "__main__":
    running = session("local[1,4]")
    os.kill(running.sparkContext._gateway.proc.pid, signal.SIGKILL)
    running.sparkContext._gateway.proc.wait()
    try:
        run_tasks(faults.loaded, [{"number": 1}], session=running, progress=False)
    except TaskError as error:
        print(error)
    print(run_tasks(faults.loaded, [{"number": 4}], workers=1, progress=False)[0]["doubled"])
"""


@pytest.mark.usefixtures("spark")
def test_a_killed_jvm_is_a_sentence_and_the_next_session_another(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    done = subprocess.run([sys.executable, tmp_path / "killed.py"], capture_output=True, text=True, check=True)
    said, found = done.stdout.splitlines()
    assert "has ended" in said and found == "8" and done.stderr == ""
