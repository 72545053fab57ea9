"""`make nbval` without Java: the notebooks on Spark do the same work on a pool of processes, and print other lines."""

from pathlib import Path

from compactlib.spark.session import java_available

ON_SPARK = ("08_", "09_")


def pytest_ignore_collect(collection_path: Path, config) -> bool | None:
    left_out = config.getoption("nbval", False) and collection_path.suffix == ".ipynb"
    return True if left_out and collection_path.name.startswith(ON_SPARK) and not java_available() else None


def pytest_report_header(config) -> list[str]:
    if java_available():
        return []
    return ["no Java 17: tests that need Spark are skipped, and the stored outputs of notebooks 08 and 09 not compared"]
