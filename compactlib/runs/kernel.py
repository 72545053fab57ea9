"""A kernel of this very interpreter, whatever kernels the user has installed under the name `python3`."""

import sys

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

NAME = "python3"
# Where the environment names another one (MPLBACKEND=Agg in containers and on clusters), pictures would be lost.
BACKEND = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


def manager_class(env: dict[str, str] | None = None) -> type[AsyncKernelManager]:
    """A kernel manager for `sys.executable`; `env` is added to the kernel's environment. Pictures go into the notebook,
    whatever MPLBACKEND says.

    Nothing is installed. Jupyter prefers a kernel spec in the user's home to the environment's own, and such a spec
    may well start another Python, so no spec is looked up at all.
    """
    quiet = "--IPKernelApp.log_level=50"  # the kernel's own log would run into the progress line
    spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", quiet, "-f", "{connection_file}"],
        display_name="Python 3",
        language="python",
        env=BACKEND | (env or {}),
        metadata={"supported_encryption": ["curve"]},
    )

    class Specs(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            return spec

    class Manager(AsyncKernelManager):
        @default("kernel_spec_manager")
        def _specs(self) -> KernelSpecManager:
            return Specs(parent=self)

    return Manager
