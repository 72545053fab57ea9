"""The pieces of the compact transformers: attention, the encoder's block, and three ways to pool its tokens."""

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.layers import DropPath, Mlp
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention, softmax(q k^T / sqrt(d / h)) v, of tokens (b, n, d) -> (b, n, d). qkv has no bias."""

    def __init__(self, dim: int, num_heads: int, *, attn_drop: float = 0.0, proj_drop: float = 0.0):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"embed_dim={dim} does not divide into num_heads={num_heads} equal heads")
        self.num_heads = num_heads
        self.attn_drop = attn_drop
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def split_heads(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(b, n, 3 d) -> query, key and value, each (b, h, n, d / h)."""
        return rearrange(qkv, "b n (three h d) -> three b h n d", three=3, h=self.num_heads).unbind(0)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split_heads(self.qkv(x))
        dropout = self.attn_drop if self.training else 0.0
        if x.device.type == "cpu" and (dropout or q.dtype == torch.bfloat16):
            # The fused CPU kernel knows no dropout, and takes five times as long in bfloat16 (16 tokens, both ways).
            weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)).softmax(dim=-1)  # (b, h, n, n)
            x = F.dropout(weights, dropout) @ v
        else:
            x = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        return self.proj_drop(self.proj(rearrange(x, "b h n d -> b n (h d)")))


class EncoderBlock(nn.Module):
    """One encoder layer: attention and MLP with LayerNorm, residual and stochastic depth, (b, n, d) -> (b, n, d).

    As in the authors' code, the second residual starts from the *normed* tokens, not from the sum before the norm as in
    the usual pre-norm block. Trained weights depend on it.
    """

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float, drop: float, attn_drop: float, drop_path: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, num_heads, attn_drop=attn_drop, proj_drop=drop)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), act_layer=nn.GELU, drop=drop)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        x = self.norm2(x)
        return x + self.drop_path(self.mlp(x))


class SeqPool(nn.Module):
    """Equation 1: z = softmax(g(x)^T) x, an average of the tokens with learned weights. (b, n, d) -> (b, d)."""

    def __init__(self, dim: int):
        super().__init__()
        self.score = nn.Linear(dim, 1)  # g

    def weights(self, x: Tensor) -> Tensor:
        """The weight of each token, (b, n); the weights of an image sum to one."""
        return self.score(x).squeeze(-1).softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        return (self.weights(x).unsqueeze(1) @ x).squeeze(1)  # (b, 1, n) @ (b, n, d) -> (b, d)


class ClassTokenPool(nn.Module):
    """The state of the class token, which is token 0. (b, 1 + n, d) -> (b, d)."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0]


class MeanPool(nn.Module):
    """Global average pooling: every token counts the same. (b, n, d) -> (b, d)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=1)
