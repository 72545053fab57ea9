"""The pieces of a Swin Transformer: patches, a stage of blocks, and the merging of patches between two stages."""

import torch
from einops import rearrange
from torch import Tensor, nn

from compactlib.models.contract import run
from compactlib.models.swin_block import SwinBlock, WindowAttention


class PatchEmbed(nn.Module):
    """Cut the image into patches and map each to d numbers, (b, c, H P, W P) -> (b, H, W, d)."""

    def __init__(self, patch_size: int, in_chans: int, dim: int, norm: bool = True):
        super().__init__()
        self.proj = nn.Conv2d(in_chans, dim, patch_size, stride=patch_size)
        self.norm = nn.LayerNorm(dim) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        # Channels-last, the layout that tokens have: all that follows reads them in order and copies nothing.
        x = self.proj(x.contiguous(memory_format=torch.channels_last))
        return self.norm(rearrange(x, "b d h w -> b h w d").contiguous())


class PatchMerging(nn.Module):
    """Join 2 x 2 neighbours to one token of twice the width: (b, H, W, d) -> (b, H / 2, W / 2, 2 d)."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # Down the column first: top left, bottom left, top right, bottom right, as the authors' weights expect.
        x = rearrange(x, "b (h p) (w q) d -> b h w (q p d)", p=2, q=2)
        return self.reduction(self.norm(x))


class SwinStage(nn.Module):
    """Blocks of one resolution, every second one shifted by half a window, and what changes the resolution after them.

    (b, H, W, d) -> whatever `downsample` or `upsample` makes of it; at most one of the two is there.
    """

    grad_checkpointing = False

    def __init__(
        self,
        dim: int,
        grid: tuple[int, int],
        num_heads: int,
        window: int,
        drop_paths: list[float],
        *,
        downsample: nn.Module | None = None,
        upsample: nn.Module | None = None,
        **block: float | bool,
    ):
        super().__init__()
        shifts = self._shifts(grid, window, len(drop_paths))
        self.blocks = nn.ModuleList(
            SwinBlock(dim, grid, num_heads, window, shift, drop_path=rate, **block)
            for shift, rate in zip(shifts, drop_paths, strict=True)
        )
        self.downsample = downsample
        self.upsample = upsample

    @staticmethod
    def _shifts(grid: tuple[int, int], window: int, depth: int) -> list[int]:
        """The shift of each block; none where one window covers the map."""
        return [0 if min(grid) <= window or i % 2 == 0 else window // 2 for i in range(depth)]

    def set_grid(self, grid: tuple[int, int], window: int) -> None:
        """Work on a map of `grid` tokens, in windows of another size."""
        for block, shift in zip(self.blocks, self._shifts(grid, window, len(self.blocks)), strict=True):
            block.set_grid(grid, window, shift)

    def attend(self, x: Tensor) -> Tensor:
        """The blocks alone, (b, H, W, d) -> (b, H, W, d)."""
        for block in self.blocks:
            x = run(block, x, again=self.grad_checkpointing)
        return x

    def forward(self, x: Tensor) -> Tensor:
        x = self.attend(x)
        change = self.downsample or self.upsample
        return x if change is None else change(x)


def init_weights(module: nn.Module) -> None:
    """The authors' start: truncated normal of 0.02 for linear layers and bias tables, biases zero."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, WindowAttention):
        nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)
    elif isinstance(getattr(module, "absolute_pos_embed", None), nn.Parameter):
        nn.init.trunc_normal_(module.absolute_pos_embed, std=0.02)
