"""Positional embeddings: the sinusoidal table, and a learned table carried over to another image size."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


def sine_position_table(num_tokens: int, dim: int) -> Tensor:
    """Sinusoidal positions (1, num_tokens, dim): channels 2i and 2i+1 hold sin and cos of p / 10000^(2i / dim).

    Source: Vaswani et al. 2017, Section 3.5. Row 0 is position 0.
    """
    position = torch.arange(num_tokens, dtype=torch.float64)[:, None]
    channel = torch.arange(dim)
    angle = position / 10000 ** (2 * (channel // 2) / dim)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()[None]


def is_sine_table(table: Tensor) -> bool:
    """Whether positions (1, num_tokens, dim) are the sinusoids, whatever the parameter that holds them is called."""
    return torch.allclose(table.cpu(), sine_position_table(*table.shape[1:]), atol=1e-4)


def resize_pos_embed(table: Tensor, old_grid: tuple[int, int], new_grid: tuple[int, int], num_prefix: int) -> Tensor:
    """Interpolate positions (1, num_prefix + rows * columns, d) to another grid, as the authors' code does.

    Bilinear, without antialiasing; the first `num_prefix` rows (class token) are kept as they are.
    """
    prefix, grid = table[:, :num_prefix], table[:, num_prefix:]
    grid = rearrange(grid, "1 (h w) d -> 1 d h w", h=old_grid[0])
    grid = F.interpolate(grid, size=new_grid, mode="bilinear", align_corners=False)
    return torch.cat([prefix, rearrange(grid, "1 d h w -> 1 (h w) d")], dim=1)
