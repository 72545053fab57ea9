"""What Spark and its workers say went wrong, as a sentence: the cause, without Java's and Python's stack traces."""

import logging
import re

from compactlib.spark.measure import TaskError, failure

SECRET = re.compile(r"(?i)secret|password|token")  # in the names of settings that nobody else should read
LONGEST = 500  # characters
GOES_ON = "the same call goes on with what is left"
_CLASS = r"(?:(?:[a-z]\w*\.)+[A-Z][\w$]*: )*"  # java.util.concurrent.ExecutionException:
_EMPTY = r"(An error occurred while calling|\s*at |\s*\.\.\. \d+ more|Driver stacktrace)"  # lines that say nothing


def explained(error: BaseException, alive: bool, log: str = "") -> BaseException:
    """A task's own error, where an exception that came through Spark holds one; else what it says, as a TaskError.

    alive: whether its JVM and its context are. log: what the JVM has printed.
    """
    text = str(error)
    if found := failure(text):
        return found
    if "Python worker exited unexpectedly" in text:
        sentence = (
            "the Python worker of a task was killed as often as Spark tries a task (is there enough memory? a master "
            f"of local[N] tries once, local[N,4] four times); {GOES_ON}"
        )
    elif killed := re.search(r"Application has been killed. Reason: (.+)", log):
        sentence = f"Spark's master has ended the application: {killed[1].strip()} {GOES_ON}"
    elif not alive or jvm_is_gone(error):
        sentence = f"Spark has ended (was its JVM killed, or stopped from elsewhere?); in a new session {GOES_ON}"
    else:
        sentence = f"Spark gave up: {cause(text)}"
    return TaskError(sentence, details=text)


def cause(text: str) -> str:
    """The cause in the text of an exception that came through Spark, on one line."""
    if "java.lang.OutOfMemoryError" in text:
        return "its JVM ran out of memory; give it more: session(..., driver_memory='4g'), spark.executor.memory"
    if "No space left on device" in text:
        return (
            "No space left on device, in the folder that Spark uses for itself; make room there, or name another in "
            "the environment variable SPARK_LOCAL_DIRS"
        )
    if found := re.search(r'Cannot run program "(.+?)"', text):
        return (
            f"the workers cannot start Python: there is no {found[1]} on their machines; name the interpreter as they "
            "know it: session(..., python=...)"
        )
    # A traceback of Python's ends with the line that counts.
    if tracebacks := re.findall(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(\S.*)", text):
        return f"a worker says {_short(tracebacks[-1])}"
    lines = [line for line in text.splitlines() if line.strip() and not re.match(_EMPTY, line)]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    chosen = causes[-1] if causes else lines[0] if lines else text
    chosen = re.sub(r"^.*most recent failure: Lost task .*?\(.*?executor \S+\): ", "", chosen)
    return _short(re.sub(rf"^(Caused by: |: )?{_CLASS}", "", chosen))


def jvm_is_gone(error: BaseException) -> bool:
    """Whether this is what py4j says once the JVM has ended."""
    from py4j.protocol import Py4JError, Py4JJavaError, Py4JNetworkError

    if isinstance(error, (Py4JNetworkError, ConnectionError)):
        return True
    # Of a call that was under way py4j knows no more than its name.
    return isinstance(error, Py4JError) and not isinstance(error, Py4JJavaError) and "\n" not in str(error).strip()


def without_py4j(record: logging.LogRecord) -> bool:
    """A filter for the root logger, to which py4j writes a traceback for every call to a JVM that has ended."""
    return "py4j" not in record.pathname


def _short(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
