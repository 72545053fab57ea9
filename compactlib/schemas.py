"""What the files of a run must look like to be read: one JSON Schema each, and one function that checks."""

import sys
from datetime import datetime
from typing import Any

# Of jsonschema's optional parts, the one for international addresses takes more than a second to import, and no schema
# here has one: this import does without it, others find it.
sys.modules.setdefault("rfc3987_syntax", None)
from jsonschema import Draft202012Validator, FormatChecker  # noqa: E402
from jsonschema.exceptions import best_match  # noqa: E402

if sys.modules["rfc3987_syntax"] is None:
    del sys.modules["rfc3987_syntax"]

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _time(value: Any) -> bool:
    return not isinstance(value, str) or bool(datetime.fromisoformat(value))


TEXT, BOOLEAN, INTEGER, OBJECT = ({"type": name} for name in ("string", "boolean", "integer", "object"))
AMOUNT = {"type": "number", "minimum": 0}
AMOUNT_OR_NONE = {"type": ["number", "null"], "minimum": 0}
COUNT_OR_NONE = {"type": ["integer", "null"], "minimum": 0}
TIME = {"type": "string", "format": "date-time"}
SCALAR = {"type": ["string", "number", "boolean", "null"]}
TEXTS = {"type": "object", "additionalProperties": TEXT}
SCALARS = {"type": "object", "additionalProperties": SCALAR}
SETTINGS = {"type": "object", "additionalProperties": {"type": [*SCALAR["type"], "array"], "items": SCALAR}}


def _exactly(fields: dict[str, Any]) -> dict[str, Any]:
    """An object with these fields and no other."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _or_none(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": ["object", "null"]}


PAPER = _exactly({"table": TEXT, "row": TEXT, "column": TEXT, "where": TEXTS})
RESULT = _exactly(
    {
        "model": TEXT, "dataset": TEXT, "value": {"type": "number"}, "metric": TEXT, "unit": TEXT,
        "params_count": COUNT_OR_NONE, "seconds": AMOUNT_OR_NONE,
        "paper": _or_none(PAPER), "comparable": BOOLEAN, "note": TEXT,
    }
)  # fmt: skip
RECORD = _exactly(  # result.json
    {
        "schema": INTEGER, "notebook": TEXT, "run": TEXT, "profile": TEXT, "overrides": SETTINGS,
        "parameters": SETTINGS, "seed": INTEGER, "data": {"type": "array", "items": OBJECT},
        "results": {"type": "array", "items": RESULT}, "versions": TEXTS,
        "code": _or_none(_exactly({"commit": TEXT, "dirty": BOOLEAN})),
        "hardware": SCALARS, "seconds": AMOUNT,
        "peak_memory": _exactly({"host_mib": AMOUNT_OR_NONE, "gpu_mib": AMOUNT_OR_NONE}),
        "command": TEXT, "started": TIME, "finished": TIME,
        "fingerprint": {**TEXTS, "type": ["object", "string", "null"]}, "complete": BOOLEAN,
    }
)  # fmt: skip
ROW = {  # a line of metrics.jsonl
    "type": "object",
    "properties": {"epoch": INTEGER},
    "required": ["epoch", "train_loss"],
    "additionalProperties": {"type": "number"},
}
TRIAL = _exactly(  # trial.json of an ablation
    {
        "settings": SETTINGS, "seed": INTEGER, "accuracy": {"type": "number", "minimum": 0, "maximum": 1},
        "params_count": INTEGER, "train_seconds": AMOUNT, "cpu_seconds": AMOUNT,
        "history": {"type": "array", "items": ROW},
    }
)  # fmt: skip


def problem(content: Any, schema: dict[str, Any]) -> str:
    """What is wrong with the content, in a sentence that begins with its place; empty if nothing is."""
    error = best_match(Draft202012Validator(schema, format_checker=FORMATS).iter_errors(content))
    if error is None:
        return ""
    place = error.json_path.removeprefix("$").removeprefix(".")
    said = error.message if len(error.message) <= 200 else f"{error.message[:200]} ..."
    return f"{place}: {said}" if place else said
