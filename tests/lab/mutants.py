"""Wrong answers made by machine: the solutions with one thing changed, and functions that bend a right one."""

import ast
import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

OPERATORS = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Add, ast.Div], ast.Div: [ast.Mult, ast.FloorDiv],
    ast.FloorDiv: [ast.Div, ast.Mult], ast.Mod: [ast.FloorDiv], ast.Pow: [ast.Mult], ast.MatMult: [ast.Mult],
    ast.BitAnd: [ast.BitOr, ast.BitXor], ast.BitOr: [ast.BitAnd, ast.BitXor], ast.BitXor: [ast.BitAnd, ast.BitOr],
    ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt, ast.GtE], ast.Gt: [ast.GtE, ast.Lt], ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq, ast.GtE, ast.LtE], ast.NotEq: [ast.Eq], ast.And: [ast.Or], ast.Or: [ast.And],
}  # fmt: skip
NAMES = {"max": "min", "min": "max", "sum": "mean", "mean": "sum", "all": "any", "any": "all", "argmax": "argmin",
         "var": "std", "sorted": "list", "enumerate": "list", "zeros_like": "ones_like", "eye": "ones"}  # fmt: skip


def mutants(source: str) -> Iterator[str]:
    """The source with one thing changed: an operator, a constant (so an axis, too), a comparison, an argument, a term, an
    index, a call or a statement; or two arguments, operands or names swapped."""
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    for number, node in enumerate(ast.walk(tree)):
        for field, value in ast.iter_fields(node):
            if field == "defaults":  # a check gives all arguments
                continue
            children = value if isinstance(value, list) else [value]
            for k, child in enumerate(children):
                for new in _changes(node, field, child):
                    changed = copy.deepcopy(tree)
                    target = next(each for n, each in enumerate(ast.walk(changed)) if n == number)
                    if isinstance(value, list):
                        getattr(target, field)[k : k + 1] = new
                    else:
                        setattr(target, field, new[0] if new else None)
                    yield from _written(changed, seen)
            for k in range(len(children) - 1):
                if field in ("args", "elts", "keywords") and isinstance(value, list):
                    changed = copy.deepcopy(tree)
                    items = getattr(next(each for n, each in enumerate(ast.walk(changed)) if n == number), field)
                    if items and not isinstance(items[0], ast.arg):
                        items[k], items[k + 1] = items[k + 1], items[k]
                        yield from _written(changed, seen)


def _written(tree: ast.AST, seen: set[str]) -> Iterator[str]:
    try:
        text = ast.unparse(ast.fix_missing_locations(tree))
        compile(text, "mutant", "exec")
    except (SyntaxError, ValueError, AttributeError, TypeError):
        return
    if text not in seen:
        seen.add(text)
        yield text


def _changes(parent: ast.AST, field: str, node: Any) -> Iterator[list]:
    """What may stand in the place of `node`: each a list of nodes; an empty one leaves the place empty."""
    for operator in OPERATORS.get(type(node), []):
        yield [operator()]
    match node:
        case ast.BinOp():
            yield from ([node.left], [node.right], [ast.BinOp(node.right, node.op, node.left)])
        case ast.UnaryOp():
            yield [node.operand]
        case ast.IfExp():
            yield from ([node.body], [node.orelse], [ast.IfExp(node.test, node.orelse, node.body)])
        case ast.Compare():
            yield from ([ast.UnaryOp(ast.Not(), node)], [ast.Constant(True)], [ast.Constant(False)])
        case ast.Constant(value=bool()):
            yield [ast.Constant(not node.value)]
        case ast.Constant(value=int() | float()):
            yield from ([ast.Constant(each)] for each in (node.value + 1, node.value - 1, -node.value, node.value / 2))
        case ast.Constant(value=str()) if "->" in node.value:
            words = re.findall(r"\w+|->|\W", node.value)
            places = [k for k, word in enumerate(words) if word.isalnum()]
            for a, b in zip(places, places[1:], strict=False):
                swapped = words.copy()
                swapped[a], swapped[b] = words[b], words[a]
                yield [ast.Constant("".join(swapped))]
        case ast.Call():
            yield from ([arg] for arg in node.args)
            if isinstance(node.func, ast.Attribute):
                yield [node.func.value]
        case ast.Attribute() | ast.Name() if getattr(node, "attr", getattr(node, "id", "")) in NAMES:
            renamed = copy.deepcopy(node)
            setattr(renamed, "attr" if hasattr(node, "attr") else "id", NAMES[getattr(node, "attr", "") or node.id])
            yield [renamed]
        case ast.Attribute():
            yield [node.value]
        case ast.Subscript():
            yield from ([node.value], [ast.Subscript(node, ast.Slice(upper=ast.Constant(1)), ast.Load())])
        case ast.Slice():
            yield from ([ast.Slice(None, node.upper, node.step)], [ast.Slice(node.lower, None, node.step)])
        case ast.If():
            yield from (node.body, node.orelse)
        case ast.Break():
            yield [ast.Continue()]
    if isinstance(node, ast.stmt) or (field in ("args", "keywords", "ifs") and not isinstance(node, ast.arg)):
        yield []
    if isinstance(parent, ast.Return) and isinstance(node, ast.expr):
        yield [ast.UnaryOp(ast.USub(), node)]


def bent(function: Callable, first: tuple) -> Iterator[tuple[str, Callable]]:
    """Functions that give `function`, the right answer, other inputs, or give on other results. first: some inputs."""
    for k, value in enumerate(first):
        yield (
            f"input {k} is always the first one",
            lambda *a, k=k, v=value: function(*a[:k], copy.deepcopy(v), *a[k + 1 :]),
        )
        for name, change in _VIEWS.items():
            yield f"input {k}: {name}", lambda *a, k=k, c=change: function(*a[:k], _seen(c, a[k]), *a[k + 1 :])
        for j in range(k):
            yield f"inputs {j} and {k} swapped", lambda *a, j=j, k=k: function(*_swapped(a, j, k))
    for name, change in _VIEWS.items():
        yield f"result: {name}", lambda *a, c=change: _seen(c, function(*a))
    yield "result: always the first one", lambda *a: function(*copy.deepcopy(first))


def _seen(change: Callable, x: Any) -> Any:
    changed = change(x)
    return changed.copy() if isinstance(changed, np.ndarray) else changed  # PyTorch knows no negative strides


def _swapped(values: tuple, j: int, k: int) -> list:
    values = list(values)
    values[j], values[k] = values[k], values[j]
    return values


def _first_item(x: Any) -> Any:
    """The first of a batch, as often as there were."""
    return [x[0]] * len(x) if isinstance(x, list) else x[[0] * len(x)]


def _nan_in(x: Any) -> Any:
    x = torch.as_tensor(x).double().clone()
    x.view(-1)[0] = torch.nan
    return x


_VIEWS: dict[str, Callable] = {
    "first item only": _first_item,
    "backwards": lambda x: x[::-1] if not isinstance(x, torch.Tensor) else x.flip(0),
    "second axis backwards": lambda x: x.flip(1) if isinstance(x, torch.Tensor) else x[:, ::-1],
    "last axis backwards": lambda x: x.flip(-1) if isinstance(x, torch.Tensor) else x[..., ::-1],
    "last axes exchanged": lambda x: x.mT if isinstance(x, torch.Tensor) else x.swapaxes(-1, -2),
    "reshaped instead of exchanged": lambda x: (
        x.mT.reshape(x.shape) if isinstance(x, torch.Tensor) else x.T.reshape(x.shape)
    ),
    "second item as the first": lambda x: x[[0, *range(len(x) - 1)]],
    "negative": lambda x: -x,
    "one more": lambda x: x + 1,
    "one less": lambda x: x - 1,
    "doubled": lambda x: 2 * x,
    "absolute": abs,
    "whole numbers": lambda x: x.round() if isinstance(x, torch.Tensor) else np.round(x),
    "rounded down": lambda x: x.floor() if isinstance(x, torch.Tensor) else np.floor(x),
    "nothing but zeros": lambda x: 0 * x,
    "with a nan": _nan_in,
    "sorted": lambda x: x.sort(dim=-1).values if isinstance(x, torch.Tensor) else sorted(x),
}
