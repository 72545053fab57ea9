"""The Swin Transformer block: cutting a map into windows, shifting them, attention with relative position bias.

Source: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (arXiv 2103.14030),
Section 3.2 and Figures 2 and 4. The model around it is in `swin.py`.

Shapes in comments: b images, H x W tokens of width d, h heads, w windows an image, n = M x M tokens a window.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.layers import DropPath, Mlp, resize_rel_pos_bias_table
from torch import Tensor, nn

# ---- Windows, their shift, and the mask that the shift needs --------------------------------------------------------


def window_partition(x: Tensor, window: int) -> Tensor:
    """Cut a map into windows of M x M tokens: (b, H, W, d) -> (b w, n, d), windows in raster order."""
    return rearrange(x, "b (gh mh) (gw mw) d -> (b gh gw) (mh mw) d", mh=window, mw=window)


def window_reverse(windows: Tensor, window: int, height: int, width: int) -> Tensor:
    """Put windows together again: (b w, n, d) -> (b, H, W, d). The inverse of `window_partition`."""
    return rearrange(
        windows,
        "(b gh gw) (mh mw) d -> b (gh mh) (gw mw) d",
        gh=height // window,
        gw=width // window,
        mh=window,
        mw=window,
    )


def shift_mask(height: int, width: int, window: int, shift: int) -> Tensor:
    """What is added to the scores after a cyclic shift (Figure 4): (w, n, n), 0 or -100.

    The shift brings rows and columns from the far side of the image into the last windows. -100 stands where a token
    of one side meets one of the other: next to each other in the window, but not in the image.
    """
    side = [(torch.arange(s) >= s - window).int() + (torch.arange(s) >= s - shift).int() for s in (height, width)]
    region = 3 * side[0][:, None] + side[1]  # (H, W): numbers the up to 9 pieces that the shift puts together
    region = window_partition(region[None, :, :, None], window).squeeze(-1)  # (w, n)
    return torch.where(region[:, :, None] == region[:, None, :], 0.0, -100.0)


def relative_position_index(window: int) -> Tensor:
    """(n, n): which row of the bias table stands for the offset from token j to token i of a window.

    Offsets run from -(M - 1) to M - 1 on each axis, so the table has (2 M - 1)^2 rows.
    """
    y, x = torch.arange(window).repeat_interleave(window), torch.arange(window).repeat(window)  # (n,) of each token
    dy, dx = (axis[:, None] - axis[None, :] + window - 1 for axis in (y, x))  # each (n, n), from 0 to 2 M - 2
    return dy * (2 * window - 1) + dx


# ---- Attention with relative position bias --------------------------------------------------------------------------


class WindowAttention(nn.Module):
    """Equation 4: softmax(q k^T / sqrt(d / h) + B) v inside each window, (b w, n, d) -> (b w, n, d)."""

    def __init__(self, dim: int, window: int, num_heads: int, *, qkv_bias: bool, attn_drop: float, proj_drop: float):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"{dim} channels do not divide into num_heads={num_heads} equal heads")
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, num_heads))
        self.register_buffer("relative_position_index", relative_position_index(window), persistent=False)
        self.attn_drop = attn_drop
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    @torch.no_grad()
    def set_window(self, window: int) -> None:
        """Take windows of another size: the bias table is interpolated to their offsets, as timm does it."""
        table, index = self.relative_position_bias_table, relative_position_index(window)
        if len(index) == len(self.relative_position_index):
            return
        resized = resize_rel_pos_bias_table(table.data, (window, window), ((2 * window - 1) ** 2, self.num_heads))
        self.relative_position_bias_table = nn.Parameter(resized.to(table), requires_grad=table.requires_grad)
        self.register_buffer("relative_position_index", index.to(table.device), persistent=False)

    def bias(self, mask: Tensor | None = None) -> Tensor:
        """B, with the mask (w, n, n) added: (1, h, n, n), or (w, h, n, n) with a mask."""
        n = len(self.relative_position_index)
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()]  # (n n, h)
        bias = rearrange(bias, "(i j) h -> 1 h i j", i=n).contiguous()
        return bias if mask is None else bias + mask[:, None]

    def split_heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Windows (b w, n, d) -> query, key and value, each (b w, h, n, d / h)."""
        return rearrange(self.qkv(x), "w n (three h d) -> three w h n d", three=3, h=self.num_heads).unbind(0)

    def weights(self, q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
        """The attention itself, (b w, h, n, n): row i holds what token i takes from each token, and sums to one."""
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        bias = self.bias(mask)
        return (scores.unflatten(0, (-1, len(bias))) + bias).flatten(0, 1).softmax(dim=-1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = self.split_heads(x)
        x = (self.attend_fused if x.is_cuda else self.attend)(q, k, v, mask)
        return self.proj_drop(self.proj(rearrange(x, "w h n d -> w n (h d)")))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """The formula as it stands. B needs a gradient, and for that the CPU has no fused kernel."""
        return F.dropout(self.weights(q, k, mask), self.attn_drop, self.training) @ v

    def attend_fused(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """The same by one GPU kernel, which never holds the weights."""
        bias = self.bias(mask)
        bias = bias.expand(q.shape[0] // len(bias), *bias.shape).flatten(0, 1) if mask is not None else bias
        return F.scaled_dot_product_attention(q, k, v, bias, dropout_p=self.attn_drop if self.training else 0.0)


# ---- The block ------------------------------------------------------------------------------------------------------


class SwinBlock(nn.Module):
    """Equation 3: attention in windows, then an MLP, each with LayerNorm and residual. (b, H, W, d) -> (b, H, W, d).

    With `shift` the map is rolled up and left before it is cut and rolled back afterwards, so that tokens meet which
    the windows of the block before kept apart.
    """

    def __init__(
        self,
        dim: int,
        grid: tuple[int, int],
        num_heads: int,
        window: int,
        shift: int,
        *,
        mlp_ratio: float,
        qkv_bias: bool,
        drop: float,
        attn_drop: float,
        drop_path: float,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window, num_heads, qkv_bias=qkv_bias, attn_drop=attn_drop, proj_drop=drop)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), act_layer=nn.GELU, drop=drop)
        self.drop_path = DropPath(drop_path)
        self.set_grid(grid, window, shift)

    def set_grid(self, grid: tuple[int, int], window: int, shift: int) -> None:
        """Work on a map of `grid` tokens, in windows of another size."""
        self.window, self.shift = window, shift
        self.attn.set_window(window)
        mask = shift_mask(*grid, window, shift).to(self.norm1.weight) if shift else None
        self.register_buffer("attn_mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.shifted_windows(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def shifted_windows(self, x: Tensor) -> Tensor:
        """Shift, cut, attend, put together, shift back."""
        height, width = x.shape[1:3]
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), dims=(1, 2))
        windows = self.attn(window_partition(x, self.window), self.attn_mask)
        x = window_reverse(windows, self.window, height, width)
        return torch.roll(x, (self.shift, self.shift), dims=(1, 2)) if self.shift else x
