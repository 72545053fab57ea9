"""The Java that Spark would start."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

OLDEST_JAVA = 17


def java_available() -> bool:
    """Whether Spark would find a Java that it can use: $JAVA_HOME's, else the one on the PATH."""
    return (java_version() or 0) >= OLDEST_JAVA


def java_version() -> int | None:
    """The major version of the Java that Spark would start (8 and older call themselves 1), or None without any."""
    path = shutil.which(_java())
    return _version_of(path) if path else None


def check_java() -> None:
    """RuntimeError without a Java that Spark can use."""
    if java_available():
        return
    version = java_version()
    raise RuntimeError(
        f"Spark needs Java {OLDEST_JAVA} or newer, and `{_java()} -version` "
        f"{'finds none' if version is None else f'is Java {8 if version == 1 else version}'}; install a JDK (Debian, "
        "Ubuntu: openjdk-17-jre-headless; conda: openjdk=17) or set JAVA_HOME"
    )


def _java() -> str:
    """The command that Spark starts."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"


@functools.cache
def _version_of(java: str) -> int | None:
    """17 for Java 17.0.2, 1 for Java 8 (1.8); None if it does not run."""
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', done.stderr + done.stdout)
    return int(found[1]) if found and done.returncode == 0 else None
