"""Images per second of one training step of the segmentation models, against peers of their size.

    python tests/benchmarks/segmentation_step.py [--pairs unet swin swin_unet encoder] [--rounds 10]

Forward, cross-entropy, backward and AdamW, fp32. The two sides take turns, so that a machine that slows down slows
both; the ratio is the median of the ratios of the turns, and parameters and multiply-adds stand beside it.

    unet       padded U-Net against the blocks of segmentation_models_pytorch (its decoder; its convolution blocks as a
               plain encoder with max-pooling), same widths and depth. Its decoder interpolates where ours has
               up-convolutions, so it has slightly more parameters (31.4 to 31.0 million at width 64).
    swin       our Swin Transformer against timm's, same arguments, same weights, same logits.
    swin_unet  Swin-Unet at 224 pixels against the same network of timm's Swin blocks, with the reference's order of
               operations at the end; same weights, same logits.
    encoder    Swin-Unet against timm's Swin classifier with the blocks of Swin-Unet's encoder and decoder on the same
               grids (depths 4, 4, 4, 2), and one more to have as many parameters (27 million). It has no x4 expansion
               and one logit an image where Swin-Unet has one a pixel: see the last column, which takes the
               multiply-adds out of the ratio.
"""

import argparse
import copy
import statistics
import time

import segmentation_models_pytorch as smp
import timm
import torch
import torch.nn.functional as F
from einops import rearrange
from segmentation_models_pytorch.base.modules import Conv2dReLU
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn

from compactlib.models import SwinUnet, count_macs, count_parameters, load_official


class SmpPlainUnet(nn.Module):
    """A plain U-Net of smp's parts. smp's decoder never uses the first entry of its list of maps but for its size."""

    def __init__(self, width: int, depth: int, classes: int):
        super().__init__()
        chans = [width * 2**i for i in range(depth + 1)]
        self.encoder = nn.ModuleList(
            nn.Sequential(Conv2dReLU(c_in, c_out, 3, padding=1), Conv2dReLU(c_out, c_out, 3, padding=1))
            for c_in, c_out in zip([3, *chans[:-1]], chans, strict=True)
        )
        self.decoder = UnetDecoder([3, *chans], chans[-2::-1], n_blocks=depth)
        self.head = smp.base.SegmentationHead(width, classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        maps = []
        for i, block in enumerate(self.encoder):
            x = block(F.max_pool2d(x, 2) if i else x)
            maps.append(x)
        for i, conv in enumerate(self.decoder.blocks):
            skip = maps[-2 - i]
            x = conv(x, *skip.shape[2:], skip_connection=skip)
        return self.head(x)


def same_logits(*sides: nn.Module) -> None:
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(*(side.eval()(images) for side in sides), rtol=1e-3, atol=1e-4)


def unet_pair(args: argparse.Namespace) -> tuple[nn.Module, nn.Module, int]:
    peer = SmpPlainUnet(args.width, 4, 2)
    return timm.create_model("unet", width=args.width), peer, args.unet_size


def swin_pair(args: argparse.Namespace) -> tuple[nn.Module, nn.Module, int]:
    peer = timm.create_model("swin_tiny_patch4_window7_224", drop_path_rate=0.2)
    model = load_official(timm.create_model("swin_scratch_tiny", drop_path_rate=0.2), peer.state_dict())
    same_logits(model, peer)
    return model, peer, 224


class TimmSwinUnet(nn.Module):
    """`model` with timm's blocks in place of ours, and the end as the reference has it: lay out, norm, convolution."""

    def __init__(self, model: SwinUnet):
        super().__init__()
        self.model = copy.deepcopy(model)
        for k, stage in enumerate([*self.model.layers, *self.model.layers_up[1:]]):
            i = k if k < 4 else 2 - (k - 4)  # the decoder's stages mirror 2, 1, 0
            (grid, window), heads = model.grids[i], model.num_heads[i]
            for j, block in enumerate(stage.blocks):
                dim = block.norm1.normalized_shape[0]
                drop_path = model.drop_paths[i][j]
                other = SwinTransformerBlock(dim, grid, heads, None, window, block.shift, drop_path=drop_path)
                other.load_state_dict(block.state_dict(), strict=False)  # all but its derived tables
                stage.blocks[j] = other

    def forward(self, x: Tensor) -> Tensor:
        up = self.model.up
        x = up.expand(self.model.forward_features(x))
        x = up.norm(rearrange(x, "b h w (p q d) -> b (h p) (w q) d", p=up.scale, q=up.scale))
        return self.model.output(rearrange(x, "b h w d -> b d h w"))


def swin_unet_pair(args: argparse.Namespace) -> tuple[nn.Module, nn.Module, int]:
    model = timm.create_model("swin_unet_tiny")
    peer = TimmSwinUnet(model)
    same_logits(model, peer)
    return model, peer, 224


def encoder_pair(args: argparse.Namespace) -> tuple[nn.Module, nn.Module, int]:
    settings = dict(depths=(4, 4, 5, 2), num_classes=9, drop_path_rate=0.2)
    return timm.create_model("swin_unet_tiny"), timm.create_model("swin_tiny_patch4_window7_224", **settings), 224


PAIRS = {"unet": unet_pair, "swin": swin_pair, "swin_unet": swin_unet_pair, "encoder": encoder_pair}


def step_seconds(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, steps: int) -> float:
    """Seconds of one step, averaged over `steps`. Targets: one class for each thing that the model classifies."""
    start = time.perf_counter()
    for _ in range(steps):
        logits = model(images)
        loss = F.cross_entropy(logits, torch.zeros_like(logits[:, 0], dtype=torch.long))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    if images.is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


def compare(name: str, args: argparse.Namespace) -> None:
    torch.manual_seed(0)
    *sides, size = PAIRS[name](args)
    images = torch.randn(args.batch, 3, size, size, device=args.device)
    facts = [(count_parameters(side) / 1e6, count_macs(side, (3, size, size)) / 1e9) for side in sides]
    pairs = [(s.to(args.device).train(), torch.optim.AdamW(s.parameters(), lr=1e-4)) for s in sides]
    for side, optimizer in pairs:
        step_seconds(side, optimizer, images, 2)  # warm-up
    seconds = [[], []]
    for turn in range(args.rounds):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):  # who comes first changes, too
            seconds[side].append(step_seconds(*pairs[side], images, args.steps))
    speed = [args.batch / statistics.median(s) for s in seconds]
    ratio = statistics.median(b / a for a, b in zip(*seconds, strict=True))
    params, macs = zip(*facts, strict=True)
    print(
        f"{name:10} {size:4} {speed[0]:8.2f} {speed[1]:8.2f} {ratio:6.2f}   {params[0]:6.2f} {params[1]:6.2f}   "
        f"{macs[0]:6.2f} {macs[1]:6.2f} {ratio * macs[0] / macs[1]:8.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--width", type=int, default=64, help="channels of the U-Nets' first level")
    parser.add_argument("--unet-size", type=int, default=128, help="side of the U-Nets' images")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {args.device}, {args.threads} threads, batch {args.batch}, fp32")
    print("           side  here/s   peer/s  ratio   million parameters   giga multiply-adds  ratio per multiply-add")
    for name in args.pairs:
        compare(name, args)


if __name__ == "__main__":
    main()
