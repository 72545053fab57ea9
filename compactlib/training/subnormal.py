"""Numbers that are too small to be worth their time."""

import torch


def flush_subnormals() -> bool:
    """Let float32 numbers below 1.2e-38 count as zero on this CPU; False if it cannot.

    A processor computes with such numbers many times slower than with others, and a training run makes more of them the
    surer the model gets: small softmax shares, and what comes back through them. A CCT-2/3x3 of width 256 lost a third
    of its speed within eight epochs of CIFAR-10.

    The setting belongs to a thread and goes to the threads that it starts. So it has to come before the first large
    computation, with which PyTorch starts its own: `lab.start` does that in a notebook, `fit` in a script.
    """
    return torch.set_flush_denormal(True)
