"""A Spark session with defaults that fit a laptop; a cluster's master is an argument, and nothing else changes."""

import importlib.metadata
import logging
import os
import secrets
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from compactlib.spark.java import OLDEST_JAVA, check_java, java_available, java_version
from compactlib.spark.master import check_master, check_spark_home, patience
from compactlib.spark.said import SECRET, cause, jvm_is_gone, without_py4j
from compactlib.workers import cores

__all__ = ["OLDEST_JAVA", "active_or_new", "java_available", "java_version", "jvm_log", "session"]

if TYPE_CHECKING:
    from py4j.java_gateway import JVMView
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

# The driver hands out tasks and holds no pixels: one thread of garbage collection and the quick compiler keep its
# memory and its share of the processor small.
JAVA_OPTIONS = "-Xms128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:MaxMetaspaceSize=256m -XX:-UsePerfData"

CLIENT = "org.apache.spark.deploy.client.StandaloneAppClient$ClientEndpoint"  # talks to a standalone master

_jvm_log: IO[bytes] | None = None  # what the JVM of this process writes to its stdout and stderr
_scratch: tempfile.TemporaryDirectory | None = None  # deleted with this process


def session(
    master: str = "local[2,4]",
    *,
    app: str = "compact-transformers",
    driver_memory: str = "1g",
    python: str = sys.executable,
    ship: bool = True,
    **config: str,
) -> "SparkSession":
    """A Spark session for `patchify` and `segment`; the running one, if it was started with the same settings.

    master: "local[N,4]" (this machine: N cores, a task whose worker is killed is tried 4 times; plain local[N] tries
    once), or a cluster's, "spark://host:7077". driver_memory: heap of the JVM. python: the interpreter of the workers,
    as a cluster's nodes know it. ship: send this package to the workers of a cluster. config: more settings of Spark,
    `**{"spark.executor.memory": "4g"}`; they come before the defaults (no UI, and with a local master nothing that
    listens beyond this machine).

    What the JVM prints goes to a log that `jvm_log` reads, not to this process's stderr. RuntimeError, with the cause,
    if Spark cannot start here; ValueError if one with other settings is running.
    """
    _check_libraries()
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    if running := _running():
        _check_same(running, {"spark.master": master, "spark.driver.memory": driver_memory, **config})
        return running
    _end_jvm()
    check_master(master)
    check_java()
    check_spark_home()
    global _jvm_log
    _jvm_log = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the JVM)
    settings = {**_settings(master, driver_memory), "spark.app.name": app, **config}
    # Not those that are secret: they would stand in the JVM's command line, for all to read.
    conf = SparkConf().setAll([(name, value) for name, value in settings.items() if not SECRET.search(name)])
    logging.getLogger().addFilter(without_py4j)
    try:
        with _environment(master, python):
            gateway = launch_gateway(conf, {"stdout": _jvm_log, "stderr": _jvm_log})
            conf.setAll(list(settings.items()))
            _tell_of_executors(gateway.jvm)
            with patience(master, gateway.proc, partial(jvm_log, 400)):
                context = SparkContext(conf=conf, gateway=gateway)
            context.setLogLevel(settings.get("spark.log.level", "ERROR"))
            if ship and not _on_this_machine(master):
                context.addPyFile(_zipped_package())
            return SparkSession.builder.getOrCreate()
    except Exception as error:
        if type(error) is RuntimeError:
            raise  # a sentence of ours
        known = isinstance(error, Py4JError) and not jvm_is_gone(error)
        why = f": {cause(str(error))}" if known else f"; the end of its log:\n{jvm_log()}"
        raise RuntimeError(f"Spark did not start with master={master!r}{why}") from error


def active_or_new(workers: int | None = None) -> "SparkSession":
    """The session that is running, whoever started it; else a new local one with `workers` cores (default: all)."""
    return _running() or session(f"local[{workers or cores()},4]")


def jvm_log(lines: int = 20) -> str:
    """The last lines that Spark's JVM, or a worker of a local master, printed."""
    if _jvm_log is None:
        return ""
    _jvm_log.seek(0)
    return "\n".join(_jvm_log.read().decode(errors="replace").splitlines()[-lines:])


def _running() -> "SparkSession | None":
    """The session of this process, also from a thread that did not start it, or around a context that has none."""
    _check_libraries()
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    context = SparkContext._active_spark_context
    if context is not None and not is_alive(context):  # its JVM was killed, or its master has ended it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that it cannot be stopped as others are
            with suppress(OSError):  # the JVM's half is not there
                context.stop()
            context.stop()  # the rest of ours
        return None
    return SparkSession.builder.getOrCreate() if context is not None else None


def is_alive(context: "SparkContext") -> bool:
    """Whether a context can still run a job."""
    from py4j.protocol import Py4JError

    process = getattr(context._gateway, "proc", None)
    if context._jsc is None or (process is not None and process.poll() is not None):
        return False
    try:
        return not context._jsc.sc().isStopped()
    except (Py4JError, OSError):
        return False


def _tell_of_executors(jvm: "JVMView") -> None:
    """Have the log say when a master is asked, and what becomes of executors."""
    log4j = jvm.org.apache.logging.log4j
    log4j.core.config.Configurator.setLevel(CLIENT, log4j.Level.INFO)


def _settings(master: str, driver_memory: str) -> dict[str, str]:
    settings = {
        "spark.master": master,
        "spark.driver.memory": driver_memory,
        "spark.driver.extraJavaOptions": JAVA_OPTIONS,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.python.worker.reuse": "true",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxBytesPerBatch": str(64 << 20),
        "spark.sql.shuffle.partitions": "8",
    }
    if master.startswith("local"):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        # What listens there serves nobody else on this machine. In a JVM of its own Spark makes its own secret.
        settings["spark.authenticate"] = "true"
        if not _on_this_machine(master):
            settings["spark.authenticate.secret"] = secrets.token_hex(32)
    if not master.startswith("spark:"):  # there the log says while it starts why a master does not take it
        settings["spark.log.level"] = "ERROR"
    if _on_this_machine(master):
        settings["spark.sql.warehouse.dir"] = str(Path(_scratch_folder()) / "warehouse")  # not in the current folder
    return settings


def _on_this_machine(master: str) -> bool:
    return master == "local" or master.startswith("local[")


@contextmanager
def _environment(master: str, python: str) -> Iterator[None]:
    """What Spark reads from the environment only, while it starts."""
    wanted = {"PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": sys.executable}
    if master.startswith("local"):
        wanted["SPARK_LOCAL_IP"] = "127.0.0.1"
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _check_libraries() -> None:
    try:
        version = importlib.metadata.version("pyspark")
        pandas = importlib.metadata.version("pandas")
    except importlib.metadata.PackageNotFoundError as error:
        raise RuntimeError(f"{error.name} is not installed; run pip install 'compactlib[spark]'") from None
    if int(pandas.split(".")[0]) >= 3:
        raise RuntimeError(f"Spark {version} does not work with pandas {pandas}; run pip install 'pandas<3'")


def _check_same(running: "SparkSession", settings: dict[str, str]) -> None:
    found = {name: running.conf.get(name, None) for name in settings}
    differing = [name for name, value in settings.items() if not _same(found[name], value)]
    if differing:
        named = "; ".join(f"{name}={found[name]} there, {settings[name]} asked" for name in differing[:3])
        raise ValueError(
            f"a Spark session with other settings is running ({named}); stop it first (session.stop()), or pass it on "
            "as it is (session=...)"
        )


def _same(found: str | None, asked: str) -> bool:
    # Spark puts options of its own in front of Java's.
    return found == asked or (found or "").endswith(f" {asked}")


def _end_jvm() -> None:
    """End the JVM that a stopped session left: heap and options hold from its start on."""
    from py4j.protocol import Py4JError
    from pyspark import SparkContext

    if SparkContext._gateway is None:
        return
    process = SparkContext._gateway.proc
    with suppress(Py4JError, OSError):  # it may have ended by itself
        SparkContext._gateway.shutdown()
    SparkContext._gateway = SparkContext._jvm = None
    if process is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()


def _scratch_folder() -> str:
    global _scratch
    _scratch = _scratch or tempfile.TemporaryDirectory(prefix="compact-transformers-")
    return _scratch.name


def _zipped_package() -> str:
    """This package as a zip that Python imports from."""
    package = Path(__file__).resolve().parents[1]
    archive = Path(_scratch_folder()) / "compactlib.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(package.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                file.write(path, path.relative_to(package.parent))
    return str(archive)
