"""Images per second of one training step, here, by the reference operations, and by vit-pytorch's CCT.

    python tests/benchmarks/training_step.py [--models cct_2_3x2_32 ...] [--rounds 5] [--batch 128] [--device cuda]

Forward, cross-entropy, backward and AdamW, fp32. The sides take turns, so that a machine that slows down slows all; a
ratio is the median of the ratios of the turns. Before timing, the model here and the reference operations must give the
same logits, and vit-pytorch's model must have as many parameters.

Measured on 2026-11-30 (2 cores of an AMD EPYC, torch 2.15, five minutes): cct_2_3x2_32 593 images/s, the reference
operations 420 (1.45 times), vit-pytorch 444 (1.43 times); cct_7_3x1_32 10, 9 (1.10 times) and 9 (1.04 times).
"""

import argparse
import copy
import statistics
import time

import timm
import torch
import torch.nn.functional as F
from reference import ReferenceOperations
from tqdm import tqdm

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.models import CompactTransformer, ConvTokenizer, count_parameters


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


def vit_pytorch_cct(model: CompactTransformer) -> torch.nn.Module | None:
    """The same CCT by the package vit-pytorch, with the same dropout; None for a model that it does not have."""
    if not isinstance(model.tokenizer, ConvTokenizer):
        return None
    from vit_pytorch.cct import CCT

    conv, block = model.tokenizer.convs[0], model.blocks[0]
    peer = CCT(
        img_size=model.img_size, embedding_dim=model.embed_dim, n_conv_layers=len(model.tokenizer.convs),
        kernel_size=conv.kernel_size[0], stride=conv.stride[0], padding=conv.padding[0], pooling_kernel_size=3,
        pooling_stride=2, pooling_padding=1, num_layers=len(model.blocks), num_heads=block.attn.num_heads,
        mlp_ratio=block.mlp.fc1.out_features / model.embed_dim, num_classes=model.num_classes,
        positional_embedding="learnable", dropout_rate=0.0, attention_dropout=block.attn.attn_drop,
        stochastic_depth_rate=0.1,
    )  # fmt: skip
    ours, theirs = count_parameters(model), count_parameters(peer)
    assert abs(ours - theirs) < 0.01 * ours, f"{ours:,} parameters here, {theirs:,} there"
    return peer


def compare(name: str, batch: int, rounds: int, steps: int, device: str) -> dict[str, tuple[float, float]]:
    """Side -> (images/s, median ratio of the turns, here over there)."""
    torch.manual_seed(0)
    model = timm.create_model(name)
    sides = {
        "here": model,
        "reference": ReferenceOperations(copy.deepcopy(model)),
        "vit-pytorch": vit_pytorch_cct(model),
    }
    sides = {side: module.to(device) for side, module in sides.items() if module is not None}
    size = model.img_size[0]
    images = torch.randn(batch, 3, size, size, device=device)
    labels = torch.randint(model.num_classes, (batch,), device=device)
    with torch.no_grad():
        first, second = (sides[side].eval()(images) for side in ("here", "reference"))
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4)
    pairs = {k: (side.train(), torch.optim.AdamW(side.parameters(), lr=1e-4)) for k, side in sides.items()}
    for side, optimizer in pairs.values():
        step_seconds(side, optimizer, images, labels, 2)  # warm-up
    seconds = {side: [] for side in sides}
    for turn in tqdm(range(rounds), desc=name, unit="turn", leave=False):
        for side in list(sides) if turn % 2 == 0 else list(sides)[::-1]:  # who comes first changes, too
            seconds[side].append(step_seconds(*pairs[side], images, labels, steps))
    return {
        side: (batch / statistics.median(s), statistics.median(b / a for a, b in zip(seconds["here"], s, strict=True)))
        for side, s in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["cct_2_3x2_32", "cct_7_3x1_32"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {args.device}, {args.threads} threads, batch {args.batch}, fp32")
    print(f"{'model':14} {'side':12} {'images/s':>9} {'here/there':>11}")
    for name in args.models:
        for side, (speed, ratio) in compare(name, args.batch, args.rounds, args.steps, args.device).items():
            print(f"{name:14} {side:12} {speed:9.0f} {ratio:11.2f}", flush=True)


if __name__ == "__main__":
    main()
