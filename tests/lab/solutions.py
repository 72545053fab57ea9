"""The answers of the committed notebooks, by exercise."""

import re
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange

from compactlib.runs.catalogue import TEMPLATE, notebooks

COURSE = [notebook for notebook in [*notebooks(), TEMPLATE] if notebook.is_lesson]
LESSONS = [notebook.number for notebook in COURSE]


def run_cell(source: str) -> dict[str, Any]:
    """The names that a cell defines."""
    namespace = {"np": np, "torch": torch, "F": F, "rearrange": rearrange}
    exec(source, namespace)
    return namespace


@cache
def solutions() -> dict[str, tuple[str, str, Any]]:
    """By number: the source of a solution's cell, the name of the answer, and the answer."""
    answers, solved = {}, ""
    for notebook in COURSE:
        for cell in notebook.node.cells:
            tags = cell.metadata.get("tags", [])
            if "solution" in tags and cell.cell_type == "code":
                solved = cell.source
            elif "check" in tags:
                number, name = re.search(r'lab\.check\("([\d.]+)", (\w+)\)', cell.source).groups()
                answers[number] = (solved, name, run_cell(solved)[name])
    return answers
