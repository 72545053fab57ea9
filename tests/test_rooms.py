"""The house: who may import whom, how long a file is, and which commands do without PyTorch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from compactlib.paths import ROOT

PACKAGE = ROOT / "compactlib"
# A room imports from those before it. What belongs to no room (files, documents, paths ...) is for all.
ROOMS = ("models", "raster", "datasets", "segmentation", "training", "spark", "figures", "runs", "lab", "course", "app")
LONGEST, LAB = 260, 900  # lines
HEAVY = ("torch", "timm", "torchvision", "matplotlib", "pyspark", "skimage", "sklearn", "papermill", "nbconvert")


@cache
def modules() -> dict[str, Path]:
    """The file of each module, by its whole name."""
    files = {path: path.relative_to(ROOT).with_suffix("").parts for path in PACKAGE.rglob("*.py")}
    return {".".join(parts).removesuffix(".__init__"): path for path, parts in files.items()}


def room(module: str) -> str:
    """The room of a module, "" for what belongs to none."""
    part = module.split(".")[1] if "." in module else ""
    return part if part in ROOMS else ""


def floor(module: str) -> int:
    """The place of its room in ROOMS, -1 for what belongs to none."""
    return ROOMS.index(room(module)) if room(module) else -1


def imports(module: str, path: Path, everywhere: bool) -> Iterator[str]:
    """The modules of this project that a module imports: at its top, or `everywhere` in it; not for type checkers."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    todo: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if everywhere or isinstance(node, ast.If | ast.Try):
            todo += ast.iter_child_nodes(node)
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            base = base if node.level else node.module or ""
            names = [f"{base}.{name}" if f"{base}.{name}" in modules() else base for name in names]
        yield from (name for name in names if name.split(".")[0] == "compactlib")


def test_no_room_imports_against_the_floors():
    top = {"compactlib.__main__", "compactlib.commands"}  # they know everything
    top |= {"compactlib", "compactlib.lab.app", "compactlib.lab.student"}  # addresses from before there were rooms
    against = {
        (module, other)
        for module, path in modules().items()
        for other in imports(module, path, everywhere=True)
        if module not in top and floor(other) > floor(module)
    }
    assert not against


def test_no_private_name_leaves_its_room():
    private = []
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and room(node.module or "") not in ("", room(module)):
                private += [(module, alias.name) for alias in node.names if alias.name.startswith("_")]
    assert not private


def test_no_circle_of_imports():
    needs = {module: {*imports(module, path, everywhere=False)} - {module} for module, path in modules().items()}
    for package in [module for module, path in modules().items() if path.name == "__init__.py"]:
        for module, found in needs.items():  # a package that offers its modules is no circle: Python allows it
            if module.startswith(f"{package}."):
                found.discard(package)
    while free := [module for module, found in needs.items() if not found & needs.keys()]:
        for module in free:
            del needs[module]
    assert not needs


def test_files_are_short_and_lab_is_small():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert not {path.name: count for path, count in lines.items() if count > LONGEST}
    assert sum(count for path, count in lines.items() if path.is_relative_to(PACKAGE / "lab")) <= LAB


@pytest.mark.parametrize(
    "command", ["list", "list 03", "doctor", "board", "run 03 --set nosuch=1", "sweep notebooks/params/no.yaml --list"]
)
def test_a_command_that_needs_no_pytorch_does_not_import_it(command, tmp_path):
    code = (
        "import sys; from compactlib.__main__ import main; status = main(sys.argv[1:]);"
        f"print(status, [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    arguments = [*command.split(), "--runs", str(tmp_path)] if command == "board" else command.split()
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    expected = 2 if "no" in command else 0
    assert done.stderr.splitlines()[-1] == f"{expected} []", done.stderr


def test_the_rooms_of_a_setup_cell_import_no_pictures_no_spark_and_no_notebooks():
    code = "import sys; from compactlib import datasets, lab, models, training; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"matplotlib", "pyspark", "skimage", "nbformat"} & {*found.stdout.split()}
