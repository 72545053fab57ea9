"""`doctor`: what it says with and without Java, and with a package missing."""

import subprocess
import sys

import pytest

from compactlib.runs import environment


@pytest.fixture
def java(tmp_path, monkeypatch):
    """A `java` that prints what the real one prints for a version."""

    def make(version: str) -> None:
        path = tmp_path / "bin" / "java"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
        path.chmod(0o755)
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    return make


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("21", 21), ("11.0.2", 11)])
def test_the_version_of_java(java, version, major):
    java(version)
    name, here, note = environment.report().rows[-1]
    assert (name, here) == ("Java", str(major))
    assert ("17" in note and "openjdk" in note) is (major < 17)


def test_without_java_it_says_what_needs_it_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    name, here, note = environment.report().rows[-1]
    assert (name, here) == ("Java", "none") and "08 and 09" in note and "install" in note


def test_a_java_that_does_not_run_is_none(java, tmp_path):
    java("17.0.15")
    with open(tmp_path / "bin" / "java", "a") as script:
        script.write("exit 1\n")
    assert environment.report().rows[-1][1] == "none"


def test_to_look_for_java_loads_no_spark(java):
    java("21")
    code = "import sys; from compactlib.spark.session import java_version; print(java_version(), *sys.modules)"
    found, *modules = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert found == "21" and not {"pyspark", "torch"} & set(modules)


def test_without_the_libraries_of_spark_java_is_not_looked_for(monkeypatch):
    for name in ("compactlib.spark", "compactlib.spark.session"):
        monkeypatch.delitem(sys.modules, name, raising=False)  # as if nobody had imported them yet
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert environment.report().rows[-1] == (
        "Java",
        "not looked for",
        "pyarrow comes first; only notebooks 08 and 09 need Java",
    )


def test_what_only_spark_needs_may_be_missing(monkeypatch, capsys):
    monkeypatch.setattr(environment, "SPARK", ("no-such-spark",))
    assert environment.ready() is True and capsys.readouterr().out == ""
    assert ("no-such-spark", "missing", "run `make env` in the clone; only notebooks 08 and 09 need it") in (
        environment.report().rows
    )


def test_a_missing_package_is_named(monkeypatch, capsys):
    monkeypatch.setattr(environment, "PACKAGES", ("torch", "no-such-package"))
    assert environment.ready() is False
    assert capsys.readouterr().out == "missing: no-such-package; run `make env` in the clone\n"
