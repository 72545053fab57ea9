"""Images per second of one training step, here against a plain transcription of the reference operations.

    python tests/benchmarks/training_step.py [--models cct_2_3x2_32 ...] [--rounds 10] [--batch 128]

Forward, cross-entropy, backward and AdamW, fp32. The two sides take turns, so that a machine that slows down slows
both; the ratio is the median of the ratios of the turns. Before timing, both sides must give the same logits.
"""

import argparse
import copy
import statistics
import time

import timm
import torch
import torch.nn.functional as F
from reference import ReferenceOperations

import compactlib  # noqa: F401  (registers the models)


def step_seconds(model: torch.nn.Module, optimizer: torch.optim.Optimizer, images, labels, steps: int) -> float:
    """Seconds of one step, averaged over `steps`."""
    start = time.perf_counter()
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    if images.is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


def compare(name: str, batch: int, rounds: int, steps: int, device: str) -> tuple[float, float, float]:
    """(images/s here, images/s of the reference, median ratio)."""
    torch.manual_seed(0)
    model = timm.create_model(name).to(device)
    size = model.img_size[0]
    images = torch.randn(batch, 3, size, size, device=device)
    labels = torch.randint(model.num_classes, (batch,), device=device)
    sides = [model, ReferenceOperations(copy.deepcopy(model))]
    with torch.no_grad():
        torch.testing.assert_close(sides[0].eval()(images), sides[1].eval()(images), rtol=1e-3, atol=1e-4)
    pairs = [(side.train(), torch.optim.AdamW(side.parameters(), lr=1e-4)) for side in sides]
    for side, optimizer in pairs:
        step_seconds(side, optimizer, images, labels, 2)  # warm-up
    seconds = [[], []]
    for turn in range(rounds):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):  # who comes first changes, too
            seconds[side].append(step_seconds(*pairs[side], images, labels, steps))
    ours, theirs = (statistics.median(s) for s in seconds)
    return batch / ours, batch / theirs, statistics.median(b / a for a, b in zip(*seconds, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["cct_2_3x2_32", "vit_7_4_32", "cvt_7_4_32"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {args.device}, {args.threads} threads, batch {args.batch}, fp32")
    print(f"{'model':16} {'here img/s':>10} {'reference':>10} {'ratio':>6}")
    for name in args.models:
        here, reference, ratio = compare(name, args.batch, args.rounds, args.steps, args.device)
        print(f"{name:16} {here:10.0f} {reference:10.0f} {ratio:6.2f}", flush=True)


if __name__ == "__main__":
    main()
