"""`lab.start`: the one call in a notebook's setup cell. It checks the parameters, seeds, and opens the run folder."""

import ast
import random
import re
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from compactlib.paths import NOTEBOOKS, runs_dir
from compactlib.runs import done, folders, parameters
from compactlib.runs.catalogue import Notebook
from compactlib.runs.machine import choose_device
from compactlib.runs.parameters import Parameter, ParameterError
from compactlib.runs.plan import run_name
from compactlib.runs.run import Run
from compactlib.runs.terminal import short
from compactlib.training.subnormal import flush_subnormals

REQUIRED = {"seed": "int", "device": "str", "run_dir": "str"}
DEVICES = ("auto", "cpu", "cuda", "mps")


def start(notebook: str, namespace: dict[str, Any], ranges: Mapping[str, Collection] | None = None) -> Run:
    """Check the parameters of a notebook, set PyTorch up, seed it, NumPy and Python, and return the run.

    `notebook` is the file's stem ("03_cct"), `namespace` is `globals()`. `ranges` bounds parameters further: two
    numbers in a tuple are the lowest and the highest value allowed, any other collection holds the allowed values;
    for a list parameter they hold for each entry. Every notebook declares `seed: int`, `device: str = "auto"` and
    `run_dir: str = ""`. The content of a given `run_dir` is kept, so that training resumes there. With an empty one,
    parameters from plain papermill get the folder that the runner would give them, kept as well; without any it is an
    interactive run, which starts afresh in `runs/<notebook>/interactive` (an earlier one with a result or weights is
    kept as `interactive.old-1`, and so on).

    Prints one line, the same on every machine. Before anything is touched, raises ParameterError (a ValueError),
    FinishedRun where the folder holds a finished run, and FolderInUse where another process works in it.
    """
    known, injected = _declared(namespace)
    values = {name: namespace[name] for name in [*known, *injected] if name in namespace}
    params = parameters.check(known, values, f"{notebook} cannot start")
    limits = {"seed": (0, 2**32 - 1), "device": DEVICES, **(ranges or {})}
    _check_ranges(notebook, known, params, limits)
    device = choose_device(params["device"])
    profile, overrides = _nearest_profile(notebook, known, params)
    # Parameters that papermill injected name the experiment: its folder is kept, so that a killed one can go on.
    own_folder = run_name(profile, overrides) if injected else None
    path, lock = _open_folder(notebook, params["run_dir"], own_folder, namespace.get("_lab_run"))
    folders.write_params(path, params)
    flush_subnormals()
    random.seed(params["seed"])
    np.random.seed(params["seed"])
    torch.manual_seed(params["seed"])
    print(f"{notebook}: {len(params)} parameters ok, seed {params['seed']}")
    run = Run(
        notebook=notebook,
        name=path.name,
        path=path,
        device=device,
        params={name: value for name, value in params.items() if name != "run_dir"},
        profile=profile,
        overrides=overrides,
        started=datetime.now(UTC),
        clock=time.monotonic(),
        lock=lock,
    )
    namespace["_lab_run"] = run  # holds the folder's lock for as long as the kernel lives, and finds it on a rerun
    return run


def _declared(namespace: dict[str, Any]) -> tuple[dict[str, Parameter], list[str]]:
    """The declared parameters, and the names that papermill assigned in the cell that it injects.

    Both are read from the kernel's record of executed cells, `In`. The other source would be `__annotations__`, and
    it is the worse one: it keeps every annotation ever executed (an exercise's too, and names since deleted), from
    Python 3.14 on it is no longer filled in a module's namespace, and it cannot tell a name that papermill injected
    from a variable of the student's. It serves where there is no `In` (a script, a test).
    """
    cells = [source for source in namespace.get("In", []) if isinstance(source, str)]
    for index in reversed(range(len(cells))):
        if _annotated(cells[index]) >= set(REQUIRED):
            known = parameters.declared(cells[index])
            injected = [name for source in cells[index + 1 :] for name in _injected(source)]
            return _with_required(known), injected
    known = {}
    for name, annotation in namespace.get("__annotations__", {}).items():
        kind = parameters.type_name(annotation)
        if kind in parameters.TYPES and name in namespace:
            known[name] = Parameter(name, kind, namespace[name])
    return _with_required(known), []


def _with_required(known: dict[str, Parameter]) -> dict[str, Parameter]:
    wrong = [f"{name}: {kind}" for name, kind in REQUIRED.items() if name not in known or known[name].type != kind]
    if wrong:
        raise ParameterError(
            f"The parameters cell has to declare {', '.join(wrong)}. Run the notebook from its first cell; the setup "
            "cell passes globals() to lab.start."
        )
    return known


def _annotated(source: str) -> set[str]:
    """The names that a cell assigns with a type hint; none if it does not parse (a magic, a typing error)."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return set()
    return {node.target.id for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}


def _injected(source: str) -> list[str]:
    """The names in a cell that papermill injected: it starts with the comment `# Parameters`."""
    return re.findall(r"^(\w+) = ", source, re.MULTILINE) if source.startswith("# Parameters\n") else []


def _check_ranges(
    notebook: str, known: Mapping[str, Parameter], params: Mapping[str, Any], ranges: Mapping[str, Collection]
) -> None:
    problems = []
    for name, allowed in ranges.items():
        if name not in known:
            raise ParameterError(f"ranges: {parameters.unknown(name, known)}")
        bounds = isinstance(allowed, tuple) and len(allowed) == 2 and all(isinstance(b, (int, float)) for b in allowed)
        for value in params[name] if isinstance(params[name], list) else [params[name]]:
            if bounds and not allowed[0] <= value <= allowed[1]:
                problems.append(f"{name}: {short(value)} is out of range, expected {allowed[0]} to {allowed[1]}.")
            elif not bounds and value not in allowed:
                problems.append(
                    f"{name}: {short(value)} is not allowed, expected one of {', '.join(map(str, allowed))}."
                )
    if problems:
        raise ParameterError("\n".join([f"{notebook} cannot start:", *problems]))


def _open_folder(notebook: str, run_dir: str, own: str | None, previous: Run | None) -> tuple[Path, Any]:
    """Take the run folder. A second interactive kernel gets a folder of its own instead of an error."""
    if previous is not None:
        previous.lock.release()
    if run_dir or own:
        path = Path(run_dir).expanduser().resolve() if run_dir else runs_dir() / notebook / own
        # A runner that was killed leaves its kernel alive for a moment: give it time to notice and end.
        lock = folders.lock(path, folders.KERNEL_LOCK, seconds=folders.PATIENCE)
        if finished := done.record_in(path):
            lock.release()
            raise folders.FinishedRun(
                f"{path} holds a finished run, which stays as it is. `{finished.command} --force` repeats it and keeps "
                "the old one beside it; to run the notebook elsewhere, give its parameter run_dir another folder."
            )
        folders.keep(path / folders.RESULT)  # of an earlier attempt that the runner knows nothing of
        return path, lock
    for name in [folders.INTERACTIVE, *(f"{folders.INTERACTIVE}-{n}" for n in range(2, 10))]:
        path = runs_dir() / notebook / name
        try:
            lock = folders.lock(path, folders.KERNEL_LOCK)
        except folders.FolderInUse:
            continue
        folders.start_afresh(path)
        return path, lock
    raise folders.FolderInUse(f"Nine kernels have {notebook} open. Shut some down.")


def _nearest_profile(notebook: str, known: dict[str, Parameter], params: dict) -> tuple[str, dict[str, Any]]:
    """Which profile the values come from, whoever passed them; told by the values, as plain papermill says nothing."""
    for folder in (Path.cwd(), NOTEBOOKS):  # JupyterLab and the runner start a kernel in the notebook's folder
        if (file := folder / f"{notebook}.ipynb").is_file():
            return Notebook(file).nearest_profile(params)
    defaults = {name: parameter.default for name, parameter in known.items()}
    changed = {name: value for name, value in params.items() if name != "run_dir" and defaults[name] != value}
    return "smoke", changed
