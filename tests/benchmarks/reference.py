"""The operations of the authors' modules, written plainly, for the benchmarks to compare with.

What matters for speed and differs from `compactlib.models`: NCHW images, ReLU before the pooling, attention as an
explicit softmax of a matrix product with dropout on it. Sizes and initialisation come from the model it is made from.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compactlib.models import ClassTokenPool, CompactTransformer, PatchTokenizer


class ReferenceOperations(nn.Module):
    """Computes what `model` computes, on its own copy of the weights, with the reference's operations."""

    def __init__(self, model: CompactTransformer):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        m = self.model
        if isinstance(m.tokenizer, PatchTokenizer):
            x = m.tokenizer.proj(x)
        else:
            for conv in m.tokenizer.convs:
                x = m.tokenizer.pool(F.relu(conv(x)))
        x = x.flatten(2).transpose(1, 2)
        if isinstance(m.pool, ClassTokenPool):
            x = torch.cat([m.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        if m.pos_embed is not None:
            x = x + m.pos_embed
        x = m.pos_drop(x)
        for block in m.blocks:
            x = x + block.drop_path(self.attention(block.attn, block.norm1(x)))
            x = block.norm2(x)
            x = x + block.drop_path(block.mlp(x))
        x = m.norm(x)
        if isinstance(m.pool, ClassTokenPool):
            x = x[:, 0]
        else:
            x = torch.matmul(F.softmax(m.pool.score(x), dim=1).transpose(-1, -2), x).squeeze(-2)
        return m.head(x)

    @staticmethod
    def attention(layer: nn.Module, x: Tensor) -> Tensor:
        b, n, d = x.shape
        qkv = layer.qkv(x).reshape(b, n, 3, layer.num_heads, d // layer.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        weights = ((q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5).softmax(dim=-1)
        weights = F.dropout(weights, layer.attn_drop, layer.training)
        return layer.proj_drop(layer.proj((weights @ v).transpose(1, 2).reshape(b, n, d)))
