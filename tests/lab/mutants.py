"""Wrong answers made by machine: the solutions with one thing changed, and functions that bend a right one."""

import ast
import copy
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
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
    """The source with one thing changed: an operator, a constant (so an axis, too), a comparison, an argument, a term,
    a variable, an index, a call or a statement; or two neighbours swapped."""
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    variables = [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)]
    variables += [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    for number, node in enumerate(ast.walk(tree)):
        for field, value in ast.iter_fields(node):
            if field == "defaults":  # a check gives all arguments
                continue
            old = value if isinstance(value, list) else [value]
            changes = [[*old[:k], *new, *old[k + 1 :]] for k in range(len(old)) for new in _changes(old[k], field)]
            if field in ("args", "elts"):
                changes += [[*old[:k], old[k + 1], old[k], *old[k + 2 :]] for k in range(len(old) - 1)]
            if isinstance(value, ast.Name) and isinstance(value.ctx, ast.Load) and value.id in variables:
                changes += [[ast.Name(name)] for name in set(variables)]
            for new in changes:
                changed = copy.deepcopy(tree)
                target = list(ast.walk(changed))[number]
                setattr(target, field, new if isinstance(value, list) else new[0] if new else None)
                text = _written(changed)
                if text and text not in seen:
                    seen.add(text)
                    yield text


def _written(tree: ast.AST) -> str:
    """The program, or nothing where it is none."""
    try:
        text = ast.unparse(ast.fix_missing_locations(tree))
        compile(text, "mutant", "exec")
        return text
    except (SyntaxError, ValueError, AttributeError, TypeError):
        return ""


def _changes(node: Any, field: str) -> Iterator[list]:
    """What may stand in the place of `node`: lists of nodes; an empty one leaves it out."""
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
        case ast.Constant(value=str()) if "->" in node.value:  # for einops
            words = re.findall(r"\w+|->|\W", node.value)
            for a, b in pairwise(k for k, word in enumerate(words) if word.isalnum()):
                yield [ast.Constant("".join([*words[:a], words[b], *words[a + 1 : b], words[a], *words[b + 1 :]]))]
        case ast.Call(func=ast.Attribute()):
            yield from ([node.func.value], *([arg] for arg in node.args))
        case ast.Call():
            yield from ([arg] for arg in node.args)
        case ast.Attribute() if node.attr not in NAMES:
            yield [node.value]
        case ast.Subscript():
            yield from ([node.value], [ast.Subscript(node, ast.Slice(upper=ast.Constant(1)), ast.Load())])
        case ast.Slice():
            yield from ([ast.Slice(None, node.upper, node.step)], [ast.Slice(node.lower, None, node.step)])
        case ast.If():
            yield from (node.body, node.orelse)
        case ast.Break():
            yield [ast.Continue()]
        case str() if field in ("attr", "id") and node in NAMES:
            yield [NAMES[node]]
    if isinstance(node, ast.stmt) or (field in ("args", "keywords", "ifs") and not isinstance(node, ast.arg)):
        yield []


def bent(function: Callable, first: tuple) -> Iterator[tuple[str, Callable]]:
    """Functions that give `function`, the right answer, other inputs, or give on other results. first: some inputs."""

    def inputs(change: Callable) -> Callable:
        return lambda *given: function(*change(list(given)))

    def put(k: int, change: Callable) -> Callable:
        return inputs(lambda given: [*given[:k], _copied(change(given[k])), *given[k + 1 :]])

    for k, value in enumerate(first):
        yield f"input {k} is always the first one", put(k, lambda _, value=value: copy.deepcopy(value))
        yield from ((f"input {k}: {name}", put(k, change)) for name, change in VIEWS.items())
        for j in range(k):
            yield (
                f"inputs {j} and {k} swapped",
                inputs(lambda g, j=j, k=k: [*g[:j], g[k], *g[j + 1 : k], g[j], *g[k + 1 :]]),
            )
    for name, change in VIEWS.items():
        yield f"result: {name}", lambda *given, change=change: _copied(change(function(*given)))
    yield "result: always the first one", lambda *_: function(*copy.deepcopy(first))


def _copied(x: Any) -> Any:
    return x.copy() if isinstance(x, np.ndarray) else x  # PyTorch knows no negative strides


def _nan_in(x: Any) -> Any:
    x = torch.as_tensor(x).double()
    return torch.where(torch.arange(x.numel()).reshape(x.shape) == 0, torch.nan, x)


def _either(of_tensors: Callable, of_arrays: Callable) -> Callable:
    return lambda x: of_tensors(x) if isinstance(x, torch.Tensor) else of_arrays(x)


VIEWS: dict[str, Callable] = {
    "first item only": lambda x: [x[0]] * len(x) if isinstance(x, list) else x[[0] * len(x)],
    "second item as the first": lambda x: x[[0, *range(len(x) - 1)]],
    "backwards": _either(lambda x: x.flip(0), lambda x: x[::-1]),
    "second axis backwards": _either(lambda x: x.flip(1), lambda x: x[:, ::-1]),
    "last axis backwards": _either(lambda x: x.flip(-1), lambda x: x[..., ::-1]),
    "last axes exchanged": _either(lambda x: x.mT, lambda x: x.swapaxes(-1, -2)),
    "last axes exchanged, in the old shape": _either(
        lambda x: x.mT.reshape(x.shape), lambda x: x.swapaxes(-1, -2).reshape(x.shape)
    ),
    "sorted": _either(lambda x: x.sort(dim=-1).values, sorted),
    "rounded": _either(torch.round, np.round),
    "rounded down": _either(torch.floor, np.floor),
    "absolute": abs,
    "negative": lambda x: -x,
    "one more": lambda x: x + 1,
    "one less": lambda x: x - 1,
    "doubled": lambda x: 2 * x,
    "nothing but zeros": lambda x: 0 * x,
    "with a nan": _nan_in,
}
