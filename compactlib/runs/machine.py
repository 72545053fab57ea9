"""What a run has to remember about the machine, the code and the libraries that made it."""

import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from compactlib.paths import ROOT
from compactlib.workers import cores

if TYPE_CHECKING:  # who only asks for versions does not wait for PyTorch
    import torch

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "scikit-learn", "compactlib")


def versions() -> dict[str, str]:
    """Python and the libraries that numbers depend on, those that are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # torchvision, say, is no part of every environment; a missing entry says so
    return found


def code_version() -> dict[str, str | bool] | None:
    """The git commit of the clone and whether files differ from it; None outside a clone or without git."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        return None

    def git(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, errors="replace", check=False
        )

    commit = git("rev-parse", "HEAD")
    if commit.returncode:  # a repository without a commit yet
        return None
    return {"commit": commit.stdout.strip(), "dirty": bool(git("status", "--porcelain").stdout.strip())}


def hardware(device: "torch.device") -> dict[str, str | int | None]:
    """Processor, cores this process may use, PyTorch's threads, the GPU if the run uses one, and whether what the run
    uses has instructions for bfloat16 (then `precision="auto"` takes it)."""
    import torch

    from compactlib.training.precision import in_bf16

    return {
        "device": device.type,
        "cpu": _cpu_model(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "bf16": in_bf16("auto", device),
        "system": f"{platform.system()} {platform.machine()}",
    }


def hardware_line(facts: dict) -> str:
    """One line for a person: `cpu: AMD EPYC 7763, 2 cores, 2 threads`."""
    model = facts.get("gpu") or facts.get("cpu")
    return f"{facts.get('device')}: {model}, {facts.get('cores')} cores, {facts.get('threads')} threads"


def peak_memory(device: "torch.device") -> dict[str, float | None]:
    """The most memory this process held so far, in MiB: main memory (None on Windows) and the GPU's (None without)."""
    gpu = None
    if device.type == "cuda":
        import torch

        gpu = torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform == "win32":
        return {"host_mib": None, "gpu_mib": gpu}
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return {"host_mib": round(host, 1), "gpu_mib": None if gpu is None else round(gpu, 1)}


def choose_device(name: str) -> "torch.device":
    """`auto` is cuda, then mps, then cpu, whatever is there. Raises ValueError for one that is asked for and absent."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, available in there.items() if available))
    if not there.get(name, False):
        have = ", ".join(kind for kind, available in there.items() if available)
        raise ValueError(f"device: '{name}' was asked for, and PyTorch finds only: {have}. Write device = \"auto\".")
    return torch.device(name)


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
