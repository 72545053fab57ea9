"""What importing the package does: the models are known to timm, and a process that needs no model loads none."""

import subprocess
import sys

import pytest


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_a_room_is_imported_when_it_is_asked_for_and_hooks_into_no_other_import():
    code = "import sys; before = [*sys.meta_path]; import compactlib, timm; print(before == sys.meta_path);"
    code += "print([name for name in sys.modules if name.startswith('compactlib.')], compactlib.raster.__name__)"
    assert run(code).splitlines() == ["True", "['compactlib.lazy'] compactlib.raster"]


def test_the_floor_of_rasters_loads_no_torch():
    loaded = run(
        "import sys, compactlib.raster, compactlib.spark; print(*sorted({'torch', 'timm'} & set(sys.modules)))"
    )
    assert loaded.split() == []


@pytest.mark.parametrize(
    "imports",
    [
        "from compactlib import models; import timm",
        "import timm; from compactlib import models",
        "import compactlib.models, timm",
        "import timm, compactlib",
        "import compactlib, timm; compactlib.models",
    ],
)
def test_timm_knows_the_models_in_any_order_of_imports(imports):
    assert run(f"{imports}; print(len(timm.list_models('cct*')) > 10)").strip() == "True"
