"""A sweep's file: one notebook, one profile, and a grid of what changes from run to run. All of it is checked here,
and every mistake reported, before the first run starts.

    notebook: 03_cct            # number, name or stem
    profile: cpu-cifar10        # default: smoke
    set: {epochs: 5}            # the same in every run
    grid:                       # every combination, the first name varies slowest
      seed: [0, 1, 2]
    runs:                       # each is combined with the whole grid
      - {depth: 2, num_convs: 1}
      - {depth: 4}
    evidence:                   # what the runs are to show; `compactlib.runs.evidence` says what it must hold
      question: Does a convolutional tokenizer help on small data?
      metric: test accuracy
      baselines: [logistic regression]
      selection: nothing was chosen; one setting for all models

All but the notebook may be left out.
"""

import difflib
import itertools
import json
import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from compactlib.documents import DocumentError, read_yaml
from compactlib.paths import NOTEBOOKS
from compactlib.runs import catalogue, evidence, parameters
from compactlib.runs.catalogue import RESERVED, SMOKE, Notebook, UsageError
from compactlib.runs.parameters import Parameter, ParameterError
from compactlib.runs.plan import Job, run_name
from compactlib.runs.run import as_text
from compactlib.runs.terminal import short

KEYS = ("notebook", "profile", "set", "grid", "runs", "evidence")
MOST_RUNS = 10_000  # of one file
MOST_PROBLEMS = 20  # that are said at once


def read(file: Path, *, runs: Path, folder: Path = NOTEBOOKS) -> list[Job]:
    """The jobs of a sweep's file, in order: each of `runs` with every combination of `grid`, the first name slowest.

    `runs` is the folder of all run folders, `folder` the one of the notebooks. Raises UsageError with every mistake
    that can be told at once.
    """
    content = _content(file)
    problems = [_unknown_key(key) for key in content if key not in KEYS]
    notebook, profile = _notebook(content, folder, problems), content.get("profile", SMOKE)
    fixed = _mapping(content, "set", "{epochs: 5}", problems)
    grid = _grid(content, problems)
    listed = _runs(content, problems)
    problems += _twice(fixed, grid, listed)
    if "evidence" in content:
        problems += [f"evidence: {problem}." for problem in evidence.problems(content["evidence"])]
    jobs = []
    if notebook:
        try:
            known = notebook.parameters
            problems += _profile(notebook, profile)
        except ParameterError as error:  # of the notebook's parameters cell, or of the profile's file
            raise UsageError("\n".join([f"{file} cannot run:", *problems, str(error)])) from None
        if too_many := _too_many(grid, listed):
            problems.append(too_many)
        elif wrong := _values(known, fixed, grid, listed):
            problems += [*_first(wrong), parameters.listing(known.values())]
        if not problems:
            jobs = _jobs(notebook, profile, _combinations(fixed, grid, listed), runs)
            problems += _first(_same(jobs))
    if problems:
        raise UsageError("\n".join([f"{file} cannot run:", *problems]))
    return jobs


def asked(file: Path) -> dict[str, Any] | None:
    """The block `evidence` of a file that `read` has checked; None without one."""
    return _content(file).get("evidence")


def _content(file: Path) -> dict[str, Any]:
    """What the file holds."""
    if not file.exists():
        raise UsageError(f"There is no file {file}. A sweep is a YAML file such as notebooks/params/sweep-*.yaml.")
    try:
        content = read_yaml(file)
    except DocumentError as error:
        raise UsageError(str(error)) from None
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise UsageError(f"{file} holds {found}, expected lines of 'key: value' with the keys {', '.join(KEYS)}.")
    return content


def _unknown_key(key: Hashable) -> str:
    near = difflib.get_close_matches(str(key), KEYS, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else " The notebook's parameters stand under 'set' or 'grid'."
    return f"There is no key {short(key)}.{hint} A sweep has the keys {', '.join(KEYS)}."


def _notebook(content: Mapping, folder: Path, problems: list[str]) -> Notebook | None:
    name = content.get("notebook")
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        problems.append(
            f"notebook is {short(name)}, expected a number, a name or a stem. Write for example notebook: 03_cct."
        )
        return None
    try:
        found = catalogue.find(str(name), folder)
    except UsageError as error:
        problems.append(str(error))
        return None
    if len(found) > 1:
        problems.append(f"notebook is '{name}', expected one notebook. Write a file for each of them.")
        return None
    return found[0]


def _profile(notebook: Notebook, profile: Any) -> list[str]:
    """The profile has to be an exact one: `cpu` for every `cpu-...` would make several sweeps."""
    have = [SMOKE, *notebook.profiles()]
    if profile not in have:
        return [f"{notebook.stem} has no profile {short(profile)}. Write one of {', '.join(have)}."]
    notebook.profile(profile)
    return []


def _mapping(content: Mapping, key: str, example: str, problems: list[str]) -> dict:
    """The mapping under a key; {} where there is none, or where it is something else."""
    value = content.get(key)
    if value is None or isinstance(value, dict):
        return value or {}
    problems.append(
        f"{key} is a {type(value).__name__}, expected names with values. Write for example {key}: {example}."
    )
    return {}


def _grid(content: Mapping, problems: list[str]) -> dict[str, list]:
    grid = _mapping(content, "grid", "{seed: [0, 1, 2]}", problems)
    for name, values in grid.items():
        if not isinstance(values, list):
            found = short(values)
            problems.append(f"grid: {name} is {found}, expected a list. Write {name}: [{found}], or move it to 'set'.")
        elif not values:
            problems.append(f"grid: {name} is an empty list, which makes no run. Name its values, or leave {name} out.")
    return {name: values for name, values in grid.items() if isinstance(values, list)}


def _runs(content: Mapping, problems: list[str]) -> list[dict]:
    listed = content.get("runs")
    if listed is None:
        return [{}]
    if not isinstance(listed, list) or not listed or not all(isinstance(settings, dict) for settings in listed):
        problems.append(
            f"runs is {short(listed)}, expected a list of settings. Write for example runs: [{{depth: 2}}]."
        )
        return [{}]
    return listed


def _twice(fixed: Mapping, grid: Mapping, listed: list[dict]) -> list[str]:
    """A name may be set in one place only: nobody can see which of two goes first."""
    in_runs = dict.fromkeys(name for settings in listed for name in settings)
    places = {"set": fixed, "grid": grid, "runs": in_runs}
    names = dict.fromkeys(itertools.chain(*places.values()))
    found = {name: [place for place, there in places.items() if name in there] for name in names}
    return [
        f"{name} is set in {' and in '.join(where)}. Keep one of them."
        for name, where in found.items()
        if len(where) > 1
    ]


def _too_many(grid: Mapping[str, list], listed: list[dict]) -> str:
    """A sentence about a grid that nobody means to run; empty for another. Nothing of it is made before."""
    lengths = {name: len(values) for name, values in grid.items()}
    count = len(listed) * math.prod(lengths.values())
    if count <= MOST_RUNS:
        return ""
    factors = [f"{n:,} in runs" for n in [len(listed)] if n > 1] + [f"{n:,} of {name}" for name, n in lengths.items()]
    return (
        f"These are {count:,} runs ({' x '.join(factors)}), expected at most {MOST_RUNS:,}. "
        "Leave values out, or divide the sweep among several files."
    )


def _first(problems: list[str]) -> list[str]:
    """The first problems of many."""
    more = len(problems) - MOST_PROBLEMS
    return [*problems[:MOST_PROBLEMS], *([f"... and {more:,} more."] if more > 0 else [])]


def _values(known: Mapping[str, Parameter], fixed: Mapping, grid: Mapping, listed: list[dict]) -> list[str]:
    """What is wrong with single names and values, each said once."""
    entries = [("set", name, value) for name, value in fixed.items()]
    entries += [("grid", name, value) for name, values in grid.items() for value in values]
    entries += [(f"runs, no. {i}", n, v) for i, settings in enumerate(listed, start=1) for n, v in settings.items()]
    return list(dict.fromkeys(p for place, name, value in entries if (p := _value(known, place, name, value))))


def _value(known: Mapping[str, Parameter], place: str, name: Any, value: Any) -> str | None:
    if name == RESERVED:
        return f"{place}: {name} is set by the runner. --runs DIR says where the runs go."
    try:
        value = parameters.check(known, {name: value}, place)[name]
        same = parameters.parse_text(known[name], as_text(value).strip()) == value
    except ParameterError as error:
        lines = str(error).removesuffix(parameters.listing(known.values())).strip()
        return f"{place}: {lines.removeprefix(f'{place}:').strip()}"
    return None if same else f"{place}: {name} is {short(value)}, which --set cannot say. Write it in a profile's file."


def _combinations(fixed: dict, grid: dict[str, list], listed: list[dict]) -> list[dict[str, Any]]:
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    return [{**fixed, **settings, **point} for settings in listed for point in points]


def _jobs(notebook: Notebook, profile: str, settings: list[dict[str, Any]], runs: Path) -> list[Job]:
    """As `plan` makes them: a run of a sweep and the same run started by hand share a folder."""
    checked = [parameters.check(notebook.parameters, values, notebook.stem) for values in settings]
    return [Job(notebook, profile, each, runs / notebook.stem / run_name(profile, each)) for each in checked]


def _same(jobs: list[Job]) -> list[str]:
    """Runs with the same parameters, whatever they are called: the default, written out, is no other run."""
    problems, first = [], {}
    for number, job in enumerate(jobs, start=1):
        before, other = first.setdefault(json.dumps(job.params, sort_keys=True), (number, job))
        if other is not job:
            names = job.name if job.name == other.name else f"{other.name} and {job.name}"
            problems.append(f"Runs {before} and {number} are the same ({names}). Remove one of them.")
    return problems
