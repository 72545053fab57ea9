"""What importing the package does: the models are known to timm, and a process that needs no model loads none."""

import subprocess
import sys

import pytest


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_the_floor_of_rasters_loads_no_torch():
    loaded = run(
        "import sys, compactlib.raster, compactlib.spark; print(*sorted({'torch', 'timm'} & set(sys.modules)))"
    )
    assert loaded.split() == []


@pytest.mark.parametrize(
    "imports",
    [
        "import compactlib, timm",
        "import timm, compactlib",
        "import compactlib.models, timm",
        "import compactlib, importlib.util; importlib.util.find_spec('timm'); import timm",
    ],
)
def test_timm_knows_the_models_in_any_order_of_imports(imports):
    assert run(f"{imports}; print(len(timm.list_models('cct*')) > 10)").strip() == "True"
