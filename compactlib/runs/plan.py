"""What a call of the runner means: which notebooks, which profiles, which values. All of it is settled, and every
mistake reported, before the first kernel starts."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from compactlib.paths import NOTEBOOKS, ROOT
from compactlib.runs import catalogue, folders, parameters
from compactlib.runs.catalogue import SMOKE, Notebook, UsageError
from compactlib.runs.parameters import ParameterError
from compactlib.runs.run import as_text, command


@dataclass(frozen=True)
class Failure:
    """Why a notebook stopped: a line for the table, and a short text (the end of the traceback) for the terminal."""

    line: str
    text: str


@dataclass(frozen=True)
class Job:
    """One run: a notebook with a profile and what `--set` changes in it."""

    notebook: Notebook
    profile: str
    overrides: dict[str, Any]
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def values(self) -> dict[str, Any]:
        """What is passed to the notebook: the profile, then `--set`."""
        return self.notebook.profile(self.profile) | self.overrides

    @cached_property
    def params(self) -> dict[str, Any]:
        """All parameters as the notebook sees them, without `run_dir`."""
        return {k: v for k, v in (self.notebook.defaults | self.values).items() if k != catalogue.RESERVED}

    @property
    def command(self) -> str:
        return command(self.notebook.stem, self.profile, self.overrides)

    def fingerprint(self, library: str | None = None) -> dict[str, str]:
        """A digest each of what makes the run what it is: its code cells, its parameters, compactlib's source.

        library: what `library_digest` returned, for whoever asks for many jobs.
        """
        return {
            "cells": _digest(self.notebook.code),
            "parameters": _digest(self.params),
            "library": library or library_digest(),
        }


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def plan(
    names: Sequence[str],
    *,
    profile: str = SMOKE,
    settings: Sequence[str] = (),
    runs: Path,
    folder: Path = NOTEBOOKS,
) -> list[Job]:
    """The jobs of a call, in order, all checked. `settings` are texts `name=value`.

    `--profile cpu` stands for `cpu` and every `cpu-...`. With "all", notebooks without the profile are left out.
    Raises UsageError (names) or ParameterError (values).
    """
    jobs = []
    for name in names:
        chosen = catalogue.find(name, folder)
        for notebook in chosen:
            try:
                profiles = notebook.matching(profile)
            except UsageError:
                if len(chosen) == 1:
                    raise
                continue
            overrides = parse_settings(notebook, settings)
            for each in profiles:
                notebook.profile(each)  # raises for a file that does not fit, before anything runs
                target = runs / notebook.stem / run_name(each, overrides)
                jobs.append(Job(notebook, each, overrides, target))
    if not jobs:
        raise UsageError(f"No notebook has a profile '{profile}'. `python -m compactlib list` shows which there are.")
    return list({job.folder: job for job in jobs}.values())


def parse_settings(notebook: Notebook, settings: Sequence[str]) -> dict[str, Any]:
    """The values of `--set name=value` by the notebook's declared types. Raises ParameterError with all problems."""
    known, values, problems = notebook.parameters, {}, []
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals:
            problems.append(f"'{setting}' is no setting. Write --set name=value.")
        elif name == catalogue.RESERVED:
            problems.append(f"{name} is set by the runner. --runs DIR says where the runs go.")
        elif name in values:
            problems.append(f"{name} is set twice.")
        elif name not in known:
            problems.append(parameters.unknown(name, known))
        else:
            try:
                values[name] = parameters.parse_text(known[name], text.strip())
            except ParameterError as error:
                problems.append(str(error))
    if problems:
        listing = parameters.listing(known.values())
        raise ParameterError("\n".join([f"{notebook.stem} cannot run:", *problems, listing]))
    return values


def run_name(profile: str, overrides: dict[str, Any]) -> str:
    """The folder's name: the profile and what differs from it, in characters that every file system takes; never one
    that a folder has which was moved aside."""
    parts = [f"{name}={as_text(value)}" for name, value in sorted(overrides.items())]
    exact = "-".join([profile, *parts])
    safe = re.sub(r"[^\w.,=+-]", "_", exact, flags=re.ASCII)
    if safe == exact and len(safe) <= 100 and not folders.is_aside(Path(safe)):
        return safe
    return f"{safe[:90]}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"  # still one name for one run


def library_digest() -> str:
    """A digest of compactlib's Python files."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "compactlib").rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()
