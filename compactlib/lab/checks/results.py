"""What an answer gives: called on inputs of its own, and compared with the right result in kind, shape and values."""

import dis
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor


class NotYet(AssertionError):
    """The answer is missing or wrong; the message is a hint. An AssertionError, so that nbgrader gives no point."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the hint, without the way through the library."""
        return [f"Not yet. {self}"]


def call(function: Any, *inputs: Any) -> Any:
    """The result of a student's function; NotYet if it is none, raises, or returns nothing."""
    if not callable(function):
        raise NotYet(f"Pass the function itself, not {type(function).__name__}.")
    try:
        result = function(*inputs)
    except Exception as error:
        if _is_placeholder(function, error):
            raise NotYet("The function is not written yet: replace the `...` in it.") from None
        first_line = (str(error).splitlines() or [""])[0]
        raise NotYet(f"The function stops with {type(error).__name__}: {first_line}") from error
    code = getattr(function, "__code__", None)
    if result is ... or (result is None and code and code.co_code == _empty.__code__.co_code):
        raise NotYet("The function returns nothing yet: replace the `...` in it.")
    if result is None:
        raise NotYet("The function returns nothing (None): is there a `return` on every way through it?")
    return list(result) if isinstance(result, Iterator) else result


def _empty() -> None: ...


def _is_placeholder(function: Callable, error: Exception) -> bool:
    """Whether the error is the `raise NotImplementedError` of an empty cell, and not one that PyTorch raises."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    raised_there = code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return type(error) is NotImplementedError and code is getattr(function, "__code__", None) and raised_there


def fault(result: Any, right: Any, rtol: float, atol: float, dtype: torch.dtype | None = None) -> str | None:
    """None if `result` is right; a sentence if its kind, type or shape is not; "" if only its values are not.

    NaN and infinity are right only where `right` has them. A result in half precision may be as far off as that rounds.
    """
    if isinstance(right, str):
        return None if result == right else "" if isinstance(result, str) else _expected(right, result)
    try:
        got, want = _numbers(result, right), torch.as_tensor(right).double()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return _expected(right, result)
    if dtype and got.dtype != dtype:
        return f"{_name(dtype)} is expected; this is {_name(got.dtype)}."
    if isinstance(right, (list, tuple)) and got.shape != want.shape:
        return "" if got.shape[1:] == want.shape[1:] and got.ndim == want.ndim == 2 else _expected(right, result)
    if got.shape != want.shape:
        return f"The result has shape {tuple(got.shape)}; it should be {tuple(want.shape)}."
    loose = 16 * torch.finfo(got.dtype).eps if got.is_floating_point() else 0.0
    got, finite = got.double(), want.isfinite()
    atol = max(atol, loose * want[finite].abs().max().item()) if finite.any() else atol
    if torch.allclose(got, want, rtol=max(rtol, loose), atol=atol, equal_nan=True):
        return None
    return "" if got[finite].isfinite().all() else "The result has values that are not finite (nan or inf)."


def _numbers(result: Any, right: Any) -> Tensor:
    """`result` as a tensor; TypeError where `right` is a single number and `result` is something else."""
    number = isinstance(right, (int, float))
    if number and not isinstance(result, (int, float, np.generic, np.ndarray, Tensor)):
        raise TypeError
    result = result.copy(order="C") if isinstance(result, np.ndarray) else result  # PyTorch knows no negative strides
    tensor = torch.as_tensor(result).detach().cpu().to_dense()
    if tensor.is_complex() or (number and (tensor.numel() != 1 or tensor.dtype == torch.bool)):
        raise TypeError
    return tensor.reshape(()) if number else tensor


def _expected(right: Any, result: Any) -> str:
    kinds = {str: "A name", int: "A number", float: "A number", tuple: "A pair (start, stop)", list: "A list of pairs"}
    said = " ".join(repr(result).split())
    said = said if len(said) <= 60 else type(result).__name__
    return f"{kinds.get(type(right), 'A tensor or an array of numbers')} is expected, not {said}."


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def identical(one: Any, other: Any) -> bool:
    """Whether two inputs hold the same arrays and tensors; numbers, functions and networks are not looked at."""
    if isinstance(one, (list, tuple)):
        return all(map(identical, one, other))
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    return not isinstance(one, np.ndarray) or np.array_equal(one, other)
