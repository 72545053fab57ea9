"""The parameters of a notebook: read from its `parameters` cell, checked before anything is done with them.

Papermill knows no types: it only warns of an unknown name and its `-p flag false` makes the string "false", which
Python takes for true. Here the type hints of the cell are the contract, and every way of running a notebook
(the command line, plain papermill, "Run all" in JupyterLab) is held to the same one. Cells are parsed, never executed.
"""

import ast
import difflib
import io
import math
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from compactlib.documents import DIGITS
from compactlib.runs.terminal import short

SCALARS = {"int": int, "float": float, "bool": bool, "str": str}
TYPES = (*SCALARS, "list[int]", "list[float]", "list[str]")
EXAMPLES = {
    "int": "3",
    "float": "0.5",
    "bool": "true",
    "str": "text",
    "list[int]": "1,2",
    "list[float]": "0.1,0.5",
}


class ParameterError(ValueError):
    """A parameter that does not exist, or a value that does not fit."""


@dataclass(frozen=True)
class Parameter:
    """One line of the parameters cell: `epochs: int = 30  # passes over the training images`."""

    name: str
    type: str
    default: Any
    help: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.type} = {self.default!r}"


def declared(source: str, where: str = "the parameters cell") -> dict[str, Parameter]:
    """Read the typed assignments of a parameters cell, in their order.

    Raises ParameterError for anything else in the cell: a name without a type hint, an unknown type, a default that
    is not a literal or not of its own type.
    """
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise ParameterError(f"{where} is not valid Python: line {error.lineno}: {error.msg}.") from None
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring or a lone literal declares nothing
        text = ast.unparse(node)
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value):
            raise ParameterError(f"{where} has '{text}'; expected 'name: type = default  # what it is' and no more.")
        name, kind = node.target.id, type_name(ast.unparse(node.annotation))
        if kind not in TYPES:
            raise ParameterError(f"{where} has '{text}': the type is none of {', '.join(TYPES)}.")
        try:
            default = ast.literal_eval(node.value)
        except ValueError:
            raise ParameterError(f"{where} has '{text}': the default has to be a plain value.") from None
        parameter = Parameter(name, kind, default, comments.get(node.end_lineno, ""))
        found[name] = Parameter(name, kind, _typed(parameter, default), parameter.help)
    return found


def type_name(annotation: Any) -> str:
    """The name of a type hint given as a type (`int`, `list[str]`) or as text (`"int"`, `"'list[str]'"`)."""
    if isinstance(annotation, str):
        return annotation.strip("'\" ").replace(" ", "")
    return annotation.__name__ if type(annotation) is type else str(annotation)


def check(known: Mapping[str, Parameter], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check `values` against the declared parameters and return them (an int given for a float becomes a float).

    All problems are collected into one ParameterError. `where` says in it where the values come from.
    """
    problems = [unknown(name, known) for name in values if name not in known]
    checked = {}
    for name, value in values.items():
        if name in known:
            try:
                checked[name] = _typed(known[name], value)
            except ParameterError as error:
                problems.append(str(error))
    if problems:
        raise ParameterError("\n".join([f"{where}:", *problems, listing(known.values())]))
    return checked


def unknown(name: str, known: Iterable[str]) -> str:
    """A sentence about a parameter that does not exist, with the nearest one that does."""
    name = str(name) if len(str(name)) <= 100 else f"{str(name)[:100]}..."
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"There is no parameter '{name}'." + (f" Did you mean '{near[0]}'?" if near else "")


def listing(parameters: Iterable[Parameter]) -> str:
    """The known parameters with types, defaults and comments, one a line."""
    parameters = list(parameters)
    width = max((len(str(p)) for p in parameters), default=0)
    lines = [f"  {p!s:<{width}}  {p.help}".rstrip() for p in parameters]
    return "\n".join(["Known parameters:", *lines])


def parse_text(parameter: Parameter, text: str) -> Any:
    """The value that `--set name=text` means, by the declared type: `50`, `1e-3`, `true`, `digits`, `1,2` or `[1, 2]`.

    Raises ParameterError.
    """
    kind = parameter.type
    if kind in ("int", "float") and len(text) > DIGITS:
        raise ParameterError(f"{parameter.name}: a number of {len(text):,} characters, expected at most {DIGITS}.")
    if kind.startswith("list["):
        inner = Parameter(parameter.name, kind[5:-1], None)
        items = text.strip().removeprefix("[").removesuffix("]").split(",")
        return [parse_text(inner, item.strip().strip("'\"")) for item in items if item.strip()]
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "int" and re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if kind == "float" and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.IGNORECASE):
        return _typed(parameter, float(text))
    if kind == "str":
        return text
    raise ParameterError(
        f"{parameter.name}: {short(text)} is not of type {kind}. "
        f"Write for example --set {parameter.name}={_example(parameter)}."
    )


def _typed(parameter: Parameter, value: Any) -> Any:
    """Return `value` if it has the declared type, an int widened to float; raise ParameterError otherwise."""
    kind = parameter.type
    if kind.startswith("list["):
        if not isinstance(value, list):
            raise ParameterError(_mismatch(parameter, value))
        inner = Parameter(parameter.name, kind[5:-1], None)
        return [_typed(inner, item) for item in value]
    expected = SCALARS[kind]
    if type(value) is expected or (kind == "float" and type(value) is int):  # `is`: a bool is an int to isinstance
        try:
            value = expected(value)
        except OverflowError:  # a whole number beyond 1.8e308
            value = math.inf
        if kind == "float" and not math.isfinite(value):
            raise ParameterError(f"{parameter.name}: {value!r} is not a finite number.")
        return value
    raise ParameterError(_mismatch(parameter, value))


def _mismatch(parameter: Parameter, value: Any) -> str:
    name, kind, example = parameter.name, parameter.type, _example(parameter)
    text = f"{name}: {short(value)} is of type {type(value).__name__}, expected {kind}."
    if kind == "float" and isinstance(value, str) and re.fullmatch(r"[+-]?\d+e[+-]?\d+", value, re.IGNORECASE):
        return f"{text} YAML reads a number with an exponent only with a point and a sign in it: 1.0e-3, 1.0e+3."
    in_yaml = f"[{example.replace(',', ', ')}]" if kind.startswith("list[") else example
    ways = f"--set {name}={example} on the command line, '{name}: {in_yaml}' in a YAML file"
    return f"{text} Write for example {ways}, papermill -y '{name}: {in_yaml}' with plain papermill."


def _example(parameter: Parameter) -> str:
    """A value of the right type as one writes it: the default where there is one."""
    value = parameter.default
    if value in (None, "", []) and value is not False:
        return EXAMPLES.get(parameter.type, "a,b")
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
