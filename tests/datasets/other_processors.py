"""Run a drawing as an older processor would: without the vector instructions that NumPy chooses at run time."""

import json
import os
import subprocess
import sys

import numpy as np

CODE = """
import hashlib, importlib, json
draw = getattr(importlib.import_module("compactlib.datasets.drawn.{name}"), "{name}")
digest = lambda array: hashlib.sha256(array.tobytes()).hexdigest()[:32]
print(json.dumps([[digest(array) for array in draw(*arguments)] for arguments in {arguments}]))
"""


def checksums_without(name: str, arguments: list[tuple]) -> list[list[str]]:
    """The checksums of what the drawing of this name returns for each of `arguments`, in a process whose NumPy
    uses its baseline instructions only (no AVX, no fused multiply-add)."""
    umath = (np._core if hasattr(np, "_core") else np.core)._multiarray_umath
    chosen = [feature for feature in umath.__cpu_dispatch__ if umath.__cpu_features__.get(feature)]
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(chosen)}
    code = CODE.format(name=name, arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
