"""Is this machine ready for the course?"""

import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version

from compactlib.runs.tables import Table
from compactlib.workers import cores

PACKAGES = ("torch", "torchvision", "timm", "scikit-learn", "scikit-image", "matplotlib", "papermill")
SPARK = ("pyspark", "pyarrow", "tifffile")  # for notebooks 08 and 09 only


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
    rows.append(("CPU cores", str(cores()), ""))
    gpu = _gpu()
    rows.append(("GPU", gpu or "none", "" if gpu else "not needed; the gpu profiles want one"))
    rows.append(("Java", *_java()))
    return Table(("part", "here", "note"), tuple(rows))


def _gpu() -> str | None:
    """The GPU's name as its driver gives it; PyTorch would take seconds to import."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "Apple GPU (mps)"
    if not shutil.which("nvidia-smi"):
        return None
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return ", ".join(done.stdout.split("\n")).strip(", ") or None


def _java() -> tuple[str, str]:
    """The major version of the Java that Spark would start, and what to do if it is too old or not there."""
    try:
        from compactlib.spark.session import OLDEST_JAVA, java_version  # here: few notebooks need its libraries
    except ModuleNotFoundError as error:
        return "not looked for", f"{error.name} comes first; only notebooks 08 and 09 need Java"
    found = java_version()
    enough = found is not None and found >= OLDEST_JAVA
    note = "" if enough else f"only notebooks 08 and 09 need Java {OLDEST_JAVA}: {how_to_get_java()}"
    return str(found or "none"), note


def how_to_get_java() -> str:
    """What to type for Java on this system."""
    system = platform.system()
    if system == "Linux":
        return "`apt-get install openjdk-17-jre-headless`, or `conda install openjdk=17`"
    if system == "Darwin":
        return "`brew install openjdk@17`, or `conda install openjdk=17`"
    return "`conda install openjdk=17`"
