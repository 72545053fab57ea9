"""What Spark says, as it said it (shortened), and the sentence that is made of it."""

import pytest
from py4j.protocol import Py4JError, Py4JNetworkError

from compactlib.spark import TaskError
from compactlib.spark.said import cause, explained

STAGE = """An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 0.0 failed 4 times, most recent \
failure: Lost task 0.3 in stage 0.0 (TID 7) (127.0.0.1 executor 1): {}
\tat org.apache.spark.scheduler.DAGScheduler.abortStage(DAGScheduler.scala:2935)
{}
"""
NO_PYTHON = 'java.io.IOException: Cannot run program "/opt/python": error=2, No such file or directory'
MODULE = """org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "worker.py", line 1, in <module>
    import tifffile

ModuleNotFoundError: No module named 'tifffile'
"""
SECRET = """An error occurred while calling None.org.apache.spark.api.java.JavaSparkContext.
: java.lang.IllegalArgumentException: A secret key must be specified via the spark.authenticate.secret config
\tat org.apache.spark.SecurityManager.initializeAuth(SecurityManager.scala:310)
"""
SQL = """An error occurred while calling o63.collectToPython.
: org.apache.spark.SparkException: Job 3 cancelled because SparkContext was shut down
\tat org.apache.spark.scheduler.DAGScheduler.cleanUpAfterSchedulerStop(DAGScheduler.scala:1253)
"""
FULL = STAGE.format("java.io.IOException: No space left on device", "")


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (STAGE.format(NO_PYTHON, f"Caused by: {NO_PYTHON}\n\t... 20 more"), ["/opt/python", "python="]),
        (STAGE.format(MODULE, ""), ["ModuleNotFoundError: No module named 'tifffile'"]),
        (SECRET, ["A secret key must be specified via the spark.authenticate.secret config"]),
        (SQL, ["Job 3 cancelled because SparkContext was shut down"]),
        (FULL, ["No space left on device", "SPARK_LOCAL_DIRS"]),
        (STAGE.format("java.lang.OutOfMemoryError: Java heap space", ""), ["driver_memory="]),
        (STAGE.format("x", "Caused by: java.io.IOException: java.lang.Error: the cause\n\t... 9 more"), ["the cause"]),
        (STAGE.format("java.io.IOException: of a task", ""), ["of a task"]),
        ("plain text", ["plain text"]),
        ("", []),
    ],
)
def test_the_cause_is_named_without_java_and_python(text, facts):
    for said in (cause(text), str(explained(RuntimeError(text), alive=True))):
        assert all(fact in said for fact in facts) and "\n" not in said and len(said) < 700
        assert not any(word in said for word in ("An error occurred", "Traceback", "o63", "\tat", "Caused by"))
        assert "org.apache" not in said and "java." not in said


@pytest.mark.parametrize(
    ("error", "alive", "log", "fact"),
    [
        (Py4JNetworkError("Answer from Java side is empty"), False, "", "Spark has ended"),
        (Py4JError("An error occurred while calling o107.collect"), True, "", "Spark has ended"),
        (ConnectionRefusedError("[Errno 111] Connection refused"), True, "", "Spark has ended"),
        (RuntimeError(SQL), False, "", "Spark has ended"),
        (
            RuntimeError(SQL),
            False,
            "ERROR x\nERROR StandaloneSchedulerBackend: Application has been killed. Reason: Master removed it\nmore",
            "Spark's master has ended the application: Master removed it",
        ),
    ],
)
def test_a_spark_that_has_ended_is_named(error, alive, log, fact):
    found = explained(error, alive, log)
    assert isinstance(found, TaskError) and fact in str(found) and "\n" not in str(found)
    assert "goes on with what is left" in str(found) and found.details == str(error)
