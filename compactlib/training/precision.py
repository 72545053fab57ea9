"""Where bfloat16 is worth its loss of digits."""

import torch

CPU_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")  # of x86; of other processors nothing was measured here


def in_bf16(precision: str, device: torch.device) -> bool:
    """Whether a recipe's `precision` ("fp32", "bf16" or "auto") means bfloat16 on `device`.

    "auto" does where the device has instructions for it. Elsewhere it is emulated, on a CPU at a ninth of the speed of
    fp32. A PyTorch that does not know its CPU's instructions counts as without.
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = getattr(torch.cpu, "get_capabilities", dict)() if device.type == "cpu" else {}
    return any(known.get(name, False) for name in CPU_INSTRUCTIONS)
