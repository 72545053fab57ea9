"""A standalone cluster on this machine: a master and workers, each a JVM, started as an administrator would."""

import contextlib
import os
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from pyspark.find_spark_home import _find_spark_home

START = 120  # seconds, on a machine that is busy with other tests


class Cluster:
    """master: its address. secret: what spark.authenticate asks for."""

    def __init__(self, folder: Path):
        self.folder, self.secret, self.master = folder, secrets.token_hex(16), ""
        self.processes: list[subprocess.Popen] = []
        # Not on a command line, where everybody could read it.
        settings = {"spark.authenticate": "true", "spark.authenticate.secret": self.secret}
        self._properties = folder / "cluster.conf"
        self._properties.touch(mode=0o600)
        self._properties.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))

    def start_master(self) -> None:
        log = self._start("master.Master", self.folder / "master.log")
        self.master = _said(log, r"Starting Spark master at (spark://\S+)")

    def start_workers(self, count: int) -> None:
        """Workers of one core each; returns when the master has them."""
        logs = []
        for number in range(len(self.processes), len(self.processes) + count):
            options = ("--cores", "1", "--memory", "600m", "--work-dir", str(self.folder / f"work{number}"))
            logs.append(self._start("worker.Worker", self.folder / f"worker{number}.log", *options, self.master))
        for log in logs:
            _said(log, r"(Successfully registered with master)")

    def _start(self, name: str, log: Path, *options: str) -> Path:
        command = [f"{_find_spark_home()}/bin/spark-class", f"org.apache.spark.deploy.{name}"]
        command += ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0", "--properties-file", self._properties]
        quick = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"
        environment = os.environ | {"SPARK_DAEMON_MEMORY": "128m", "SPARK_DAEMON_JAVA_OPTS": quick}
        environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_HOME": _find_spark_home()}
        with open(log, "wb") as file:
            started = subprocess.Popen([*command, *options], env=environment, stdout=file, stderr=file)
        self.processes.append(started)
        return log

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()  # a worker ends its executors
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


@contextlib.contextmanager
def standalone(folder: Path, workers: int) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        cluster.start_master()
        cluster.start_workers(workers)
        yield cluster
    finally:
        cluster.stop()


def _said(log: Path, pattern: str) -> str:
    """What a daemon's log says, once it does."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.05)
    raise TimeoutError(log.read_text(errors="replace"))
