"""A master and a Spark that can work: what is wrong with them is said before, or soon after, Spark is started."""

import importlib.metadata
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from compactlib.spark.said import cause

FORMS = ("local", r"local\[(\d+|\*)(, *\d+)?\]", r"local-cluster\[ *\d+ *, *\d+ *, *\d+ *\]")
HOST = r"(\[[0-9a-fA-F:]+\]|[^:,/\[\]]+):\d+"
FORMS += (rf"spark://{HOST}(,{HOST})*", "yarn", r"k8s://.+")
PROBE = 4.0  # seconds for a master's port to open, for all of its addresses together
PATIENCE = 12.0  # seconds for it to take the application once it is asked; Spark itself gives up after a minute
LOOK = 0.2  # seconds between two looks at the log


def check_master(master: str) -> None:
    """RuntimeError for a master that is none, and for spark://host:port where nobody listens."""
    known = any(re.fullmatch(form, master) for form in FORMS)
    addresses, silent = _addresses(master) if known else [], []
    if not known or any(port > 65535 for _, port in addresses):
        raise RuntimeError(
            f"master={master!r} is none that Spark knows; expected local[2,4] (this machine), or a cluster's: "
            "spark://host:7077, yarn, k8s://..."
        )
    for host, port in addresses:
        try:
            socket.create_connection((host.strip("[]"), port), PROBE / len(addresses)).close()
        except OSError as error:  # no such host, nobody there, no answer
            silent.append(f"{host}:{port}: {getattr(error, 'strerror', None) or error}")
    if addresses and len(silent) == len(addresses):
        raise RuntimeError(
            f"no Spark master answers at {master} ({'; '.join(silent)}); start it, or correct the address"
        )


def check_spark_home() -> None:
    """RuntimeError where SPARK_HOME names another version than the pyspark that is installed, or no Spark."""
    home, ours = os.environ.get("SPARK_HOME"), importlib.metadata.version("pyspark")
    if home is None:
        return
    jars = Path(home).glob("jars/spark-core_*.jar")
    there = {found[1] for jar in jars if (found := re.fullmatch(r"spark-core_[\d.]+-(.+)\.jar", jar.name))}
    if ours not in there or not Path(home, "bin", "spark-submit").is_file():
        what = f"is Spark {', '.join(sorted(there))}" if there else "is no folder of Spark"
        raise RuntimeError(
            f"SPARK_HOME={home} {what}, and pyspark {ours} is installed here; unset SPARK_HOME, or install the pyspark "
            "of that version"
        )


@contextmanager
def patience(master: str, jvm: Popen | None, log: Callable[[], str]) -> Iterator[None]:
    """Within it Spark registers with a master. One that does not take us, or does not answer for PATIENCE seconds, is
    named in a RuntimeError; the JVM is ended, because nothing else ends its waiting. log: what the JVM has printed."""
    addresses = _addresses(master)
    if not addresses or jvm is None:
        yield
        return
    done, ended = threading.Event(), threading.Event()

    def watch() -> None:
        waited = 0.0
        while waited < PATIENCE:
            if done.wait(LOOK):
                return
            printed = log()
            waited += LOOK if "Connecting to master spark://" in printed else 0
            if all(f"Failed to connect to master {host}:{port}" in printed for host, port in addresses):
                done.wait(2 * LOOK)  # for the cause to be printed
                break
        if not done.is_set():
            ended.set()
            jvm.kill()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    except Exception as error:
        if not ended.is_set():
            raise
        raise RuntimeError(f"{master} does not take this application: {_cause(log())}") from error
    finally:
        done.set()
        thread.join()


def _addresses(master: str) -> list[tuple[str, int]]:
    """Host and port of each address of a standalone master."""
    if not master.startswith("spark://"):
        return []
    pairs = (address.rsplit(":", 1) for address in master.removeprefix("spark://").split(","))
    return [(host, int(port)) for host, port in pairs]


def _cause(log: str) -> str:
    if re.search(r"SaslException|SaslMessage|[Aa]uthenticat|challenge", log):
        return (
            "it asks for a secret that is not ours, or for none; spark.authenticate and spark.authenticate.secret have "
            "to be the same there and here"
        )
    if re.search(r"InvalidClassException|StreamCorruptedException|local class incompatible", log):
        return (
            f"it is of another version of Spark than {importlib.metadata.version('pyspark')}, which is installed here"
        )
    if "Caused by: " in log:
        return cause(log)
    return f"something listens there but has not answered for {PATIENCE:.0f} s; is it a master's port (7077, not 8080)?"
