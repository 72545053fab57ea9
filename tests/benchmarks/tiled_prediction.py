"""Seconds and peak memory of tiled prediction, here against MONAI's sliding-window inference.

    python tests/benchmarks/tiled_prediction.py [--size 2048] [--window 256 512] [--overlap 0.25] [--rounds 5]

The same padded U-Net, windows of the same size and overlap, one window at a time, fp32. Here: predict_tiled, mode
"blend" (Hann); there: sliding_window_inference, mode "gaussian". Both take a uint8 image (H, W, C) in memory and give
float32 scores. The two sides take turns; the ratio is the median of the ratios of the turns. Memory is what the
prediction adds, at its peak, to a fresh process for each side (Linux). Needs the extra `bench`.
"""

import argparse
import multiprocessing
import statistics
import time
from pathlib import Path

import numpy as np
import timm
import torch

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.segmentation import predict_tiled

MEAN, STD = 0.5, 0.25


def here(model: torch.nn.Module, image: np.ndarray, window: int, overlap: float) -> np.ndarray:
    halo = round(window * overlap / 2)
    return predict_tiled(model, image, window - 2 * halo, halo, "blend", mean=MEAN, std=STD, batch_size=1)


@torch.inference_mode()
def there(model: torch.nn.Module, image: np.ndarray, window: int, overlap: float) -> np.ndarray:
    from monai.inferers import sliding_window_inference

    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    x = ((x - MEAN) / STD).contiguous()
    scores = sliding_window_inference(x, window, 1, model, overlap=overlap, mode="gaussian")
    return scores[0].permute(1, 2, 0).numpy()


SIDES = (here, there)


def scene(args: argparse.Namespace) -> tuple[torch.nn.Module, np.ndarray]:
    """The model, in eval mode, and a uint8 image."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = timm.create_model("unet", in_chans=args.channels, num_classes=args.classes, width=args.width).eval()
    shape = (args.size, args.size, args.channels)
    return model, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def peak(args: argparse.Namespace, side: int, window: int) -> float:
    """MB that a prediction adds to the peak of this process."""
    model, image = scene(args)
    with torch.inference_mode():  # what the first step of a model keeps, and MONAI's import, count for neither
        model(torch.zeros(1, args.channels, 64, 64))
    SIDES[side](model, image[:64, :64], 32, args.overlap)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    before = resident("VmRSS")
    SIDES[side](model, image, window, args.overlap)
    return resident("VmHWM") - before


def resident(name: str) -> float:
    """MB of memory of this process: VmRSS is what it holds, VmHWM the most since the peak was forgotten."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[name].split()[0]) / 1024


def compare(args: argparse.Namespace, window: int) -> tuple[list[float], float, list[float]]:
    """Median seconds of both sides, median ratio there / here, and peak MB of both sides."""
    model, image = scene(args)
    results = [side(model, image[:300, :300], 128, args.overlap) for side in SIDES]
    np.testing.assert_allclose(results[0][:60, :60], results[1][:60, :60], rtol=1e-3, atol=1e-3)  # in one window only
    seconds = [[], []]
    for turn in range(args.rounds):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):  # who comes first changes, too
            start = time.perf_counter()
            SIDES[side](model, image, window, args.overlap)
            seconds[side].append(time.perf_counter() - start)
    ratio = statistics.median(b / a for a, b in zip(*seconds, strict=True))
    fresh = multiprocessing.get_context("spawn")
    memory = []
    for side in (0, 1):
        with fresh.Pool(1) as pool:
            memory.append(pool.apply(peak, (args, side, window)))
    return [statistics.median(s) for s in seconds], ratio, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--window", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--overlap", type=float, default=0.25)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    print(
        f"torch {torch.__version__}, CPU, {args.threads} threads; {args.size} x {args.size} x {args.channels} uint8, "
        f"U-Net of width {args.width}, overlap {args.overlap}"
    )
    print(f"{'window':>6} {'here s':>8} {'MONAI s':>8} {'ratio':>6} {'here MB':>8} {'MONAI MB':>9}")
    for window in args.window:
        (ours, theirs), ratio, memory = compare(args, window)
        print(f"{window:6} {ours:8.2f} {theirs:8.2f} {ratio:6.2f} {memory[0]:8.0f} {memory[1]:9.0f}", flush=True)


if __name__ == "__main__":
    main()
