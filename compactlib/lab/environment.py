"""Is this machine ready for the course?"""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version

import torch

from compactlib.lab.tables import Table

PACKAGES = ("torch", "torchvision", "timm", "scikit-learn", "scikit-image", "matplotlib", "papermill")
SPARK = ("pyspark", "pyarrow", "tifffile")  # for notebooks 08 and 09 only
JAVA_NEEDED = 17


def ready() -> bool:
    """Whether the Python packages of all notebooks but those on Spark are here; prints what is not and what to do."""
    missing = [row[0] for row in report().rows if row[1] == "missing" and row[0] not in SPARK]
    if missing:
        print(f"missing: {', '.join(missing)}; run `make env` in the clone")
    return not missing


def report() -> Table:
    """A table of what the course uses: what is here, and what to do about what is not."""
    rows = [("Python", platform.python_version(), "")]
    for package in (*PACKAGES, *SPARK):
        try:
            rows.append((package, version(package), ""))
        except PackageNotFoundError:
            what_for = "; only notebooks 08 and 09 need it" if package in SPARK else ""
            rows.append((package, "missing", f"run `make env` in the clone{what_for}"))
    rows.append(
        ("CPU cores", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()), "")
    )
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    rows.append(("GPU", gpu, "" if torch.cuda.is_available() else "not needed; the gpu profiles want one"))
    java = java_version()
    note = (
        "" if java and java >= JAVA_NEEDED else f"only notebooks 08 and 09 need Java {JAVA_NEEDED}: {how_to_get_java()}"
    )
    rows.append(("Java", str(java or "none"), note))
    return Table(("part", "here", "note"), tuple(rows))


def java_version() -> int | None:
    """The major version of the `java` that Spark would start (JAVA_HOME, else the path), or None."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(os.path.join(home, "bin", "java") if home else "java")
    if not java:
        return None
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60)
    found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    return int(found[1]) if found else None


def how_to_get_java() -> str:
    """What to type for Java on this system."""
    system = platform.system()
    if system == "Linux":
        return "`apt-get install openjdk-17-jre-headless`, or `conda install openjdk=17`"
    if system == "Darwin":
        return "`brew install openjdk@17`, or `conda install openjdk=17`"
    return "`conda install openjdk=17`"
