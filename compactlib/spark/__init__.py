"""Scenes larger than a machine: cut into patches, read back, and segmented, on Spark or on a pool of processes.

A task is a block of the scene. Its worker reads the block's window from the TIFF and writes its own part of the result;
only a row of facts travels back, never pixels. Workers that only cut patches load no PyTorch.
"""

try:
    import pyarrow as _pyarrow  # noqa: F401  (parts are Parquet files on either engine)
    import tifffile as _tifffile  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"compactlib.spark needs {error.name}, which is not installed; run pip install 'compactlib[spark]'",
        name=error.name,
    ) from None

# Modules that share a public name are imported here, at once: imported later, by anyone, the module would take the
# place of the function. So they import PyTorch and pyspark inside functions only.
from compactlib.lazy import lazy
from compactlib.spark.engine import TaskError, run_tasks
from compactlib.spark.patchify import Patches, patchify
from compactlib.spark.segment import Segmentation, segment
from compactlib.spark.session import session

# Imported when they are asked for: they need PyTorch.
_LAZY = dict.fromkeys(("PatchDataset", "read_patches"), "compactlib.spark.reading")
__getattr__, __dir__ = lazy(__name__, _LAZY | {"train_on_patches": "compactlib.spark.training"})

__all__ = [
    "PatchDataset",
    "Patches",
    "Segmentation",
    "TaskError",
    "patchify",
    "read_patches",
    "run_tasks",
    "segment",
    "session",
    "train_on_patches",
]
