"""The notebooks of the course and their profiles: found by number or name, never guessed."""

import difflib
import glob
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compactlib.documents import YAML_BYTES, DocumentError, read_bytes, read_yaml
from compactlib.paths import NOTEBOOKS
from compactlib.runs import parameters
from compactlib.runs.parameters import Parameter, ParameterError

if TYPE_CHECKING:
    from nbformat import NotebookNode

SMOKE = "smoke"  # the profile that is the notebook's own defaults and needs no file
RESERVED = "run_dir"  # set by the runner, never by a profile


class UsageError(ValueError):
    """A notebook or a profile that does not exist."""


@dataclass(frozen=True)
class Notebook:
    """A notebook file: `03_cct.ipynb` has the stem `03_cct`, the number `03` and the name `cct`."""

    path: Path

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        return re.match(r"\d*", self.stem)[0]

    @property
    def name(self) -> str:
        return re.sub(r"^\d+_", "", self.stem)

    @property
    def is_lesson(self) -> bool:
        """Whether it teaches, with exercises and a result; from number 90 on they are tools."""
        return self.number < "90"

    @cached_property
    def node(self) -> "NotebookNode":
        """The notebook's content, in nbformat 4."""
        import nbformat

        return nbformat.read(self.path, as_version=4)

    @cached_property
    def cells(self) -> list[tuple[str, str, list[str]]]:
        """Kind, source and tags of each cell; nbformat, which also checks the outputs, takes seconds for all lessons.
        Raises UsageError for a file that is no notebook."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
            return [(c["cell_type"], "".join(c["source"]), c["metadata"].get("tags", [])) for c in found]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            why = f"{type(error).__name__}: {error}"
            raise UsageError(f"{self.path} is no notebook of format 4, or damaged ({why[:120]}).") from None

    @cached_property
    def code(self) -> list[str]:
        """The source of the code cells."""
        return [source for kind, source, _ in self.cells if kind == "code"]

    @property
    def title(self) -> str:
        """The first heading."""
        text = "\n".join(source for kind, source, _ in self.cells if kind == "markdown")
        heading = re.search(r"^#+\s*(.+)$", text, re.MULTILINE)
        return heading[1].strip() if heading else self.stem

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The declared parameters. Raises ParameterError where there is no `parameters` cell."""
        tagged = [source for _, source, tags in self.cells if "parameters" in tags]
        if len(tagged) != 1:
            raise ParameterError(f"{self.path.name} has {len(tagged)} cells tagged 'parameters', expected one.")
        return parameters.declared(tagged[0], f"The parameters cell of {self.path.name}")

    @property
    def defaults(self) -> dict[str, Any]:
        return {name: parameter.default for name, parameter in self.parameters.items()}

    def profiles(self) -> dict[str, Path]:
        """The profile files by the profile's name: `params/03_cct-cpu.yaml` is `cpu`."""
        files = (self.path.parent / "params").glob(f"{glob.escape(self.stem)}-*.yaml")
        return {file.stem.removeprefix(f"{self.stem}-"): file for file in sorted(files, key=lambda file: file.stem)}

    def matching(self, profile: str) -> list[str]:
        """The profiles that `--profile cpu` means: `cpu` and every `cpu-...`. Raises UsageError where there is none."""
        if profile == SMOKE:
            return [SMOKE]
        found = [name for name in self.profiles() if name == profile or name.startswith(f"{profile}-")]
        if not found:
            have = ", ".join([SMOKE, *self.profiles()])
            raise UsageError(f"{self.stem} has no profile '{profile}'. It has: {have}.")
        return found

    def profile(self, name: str) -> dict[str, Any]:
        """The checked values of a profile, read once. Raises ParameterError, naming the file."""
        if name not in self._read:
            self._read[name] = {} if name == SMOKE else self._profile(name)
        return self._read[name]

    @cached_property
    def _read(self) -> dict[str, dict[str, Any]]:
        return {}

    def _profile(self, name: str) -> dict[str, Any]:
        file = self.profiles()[name]
        try:
            values = read_yaml(file) or {}
        except DocumentError as error:
            raise ParameterError(str(error)) from None
        if not isinstance(values, dict):
            raise ParameterError(f"{file.name} holds a {type(values).__name__}, expected lines of 'name: value'.")
        if RESERVED in values:
            raise ParameterError(f"{file.name} sets {RESERVED}, which the runner does. Remove that line.")
        return parameters.check(self.parameters, values, file.name)

    def expectation(self, profile: str) -> str:
        """What the header comment `# expect: ...` of a profile file says, or nothing."""
        text = read_bytes(self.profiles()[profile], YAML_BYTES).decode(errors="replace")
        found = re.search(r"^#\s*expect:\s*(.+)$", text, re.MULTILINE)
        return found[1].strip() if found else ""

    def nearest_profile(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The profile that differs least from `values`, and in what `values` differ from it."""
        values = {name: value for name, value in values.items() if name != RESERVED}
        candidates = []
        for name in [SMOKE, *self.profiles()]:
            full = self.defaults | self.profile(name)
            candidates.append((name, {key: value for key, value in values.items() if full.get(key) != value}))
        return min(candidates, key=lambda candidate: len(candidate[1]))


TEMPLATE = Notebook(NOTEBOOKS / "template" / "89_template.ipynb")  # what a new lesson is copied from


def notebooks(folder: Path = NOTEBOOKS) -> list[Notebook]:
    """The numbered notebooks of a folder, in order."""
    return [Notebook(path) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))]


def find(name: str, folder: Path = NOTEBOOKS) -> list[Notebook]:
    """The notebook that `name` means: "03", "3", "03_cct", "cct" or a path; all of them for "all".

    Raises UsageError with what exists.
    """
    course = notebooks(folder)
    if name == "all" and course:
        return course
    if name.endswith(".ipynb"):
        if not Path(name).is_file():
            raise UsageError(f"There is no file {name}.")
        return [Notebook(Path(name).resolve())]
    wanted = name.zfill(2) if name.isdigit() else name
    if found := [n for n in course if wanted in (n.number, n.stem, n.name)]:
        return found
    known = ", ".join(n.stem for n in course) or f"none in {folder}"
    near = difflib.get_close_matches(name, [word for n in course for word in (n.stem, n.name)], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise UsageError(f"There is no notebook '{name}'.{hint} There are: {known}.")
