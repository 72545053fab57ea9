"""One kernel for each visitor of the app, and no more of them than this machine's memory holds."""

from typing import Any

import psutil
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError

KERNEL_BYTES = 900_000_000  # that a visitor's kernel holds: PyTorch, a model, a picture
SHARE = 0.6  # of the memory that the kernels may have together
IDLE = 300  # seconds after which a kernel that nobody looks at any more is ended


def most_kernels(memory: int | None = None) -> int:
    """How many visitors there may be at once: five with 8 GB, always at least one. memory: bytes; default: this
    machine's."""
    memory = psutil.virtual_memory().total if memory is None else memory
    return max(1, int(SHARE * memory / KERNEL_BYTES))


class Kernels(AsyncMappingKernelManager):
    """Jupyter's kernels, with a limit; the visitor who comes too late reads why."""

    async def start_kernel(self, **options: Any) -> str:
        if len(self) >= most_kernels():
            message = (
                "The segmentation app has %d visitors, as many as this machine's memory holds. Close pages that are no "
                "longer needed, and come again in a few minutes."
            )
            raise HTTPError(503, message, len(self), reason="Too many visitors")
        return await super().start_kernel(**options)
