"""Looking into a trained model: attention maps, pooling weights, parameters and multiply-adds.

The attention of the forward pass is a fused operation that never holds its weights. Here they are computed beside it,
from the query and key that a hook picks up, so that a normal forward pass stays what it is. A model may stand in
wrappers (torch.compile, DataParallel): what is looked at is inside.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from compactlib.models.compact_transformer import CompactTransformer
from compactlib.models.encoder import SeqPool
from compactlib.models.swin import SwinEncoder
from compactlib.models.wrappers import unwrap


@torch.no_grad()
def attention_maps(model: CompactTransformer, images: Tensor) -> Tensor:
    """Attention of every layer and head for images (b, c, H, W): (b, depth, heads, n, n).

    Row i holds how much token i takes from each token, and sums to one. With a class token n is 1 + tokens, and row 0
    is the class token's. Computed in eval mode; the model's mode is put back.
    """
    model, maps = unwrap(model), []

    def keep(block_attention: nn.Module):
        def hook(_linear: nn.Module, _inputs: tuple, qkv: Tensor) -> None:
            q, k, _ = block_attention.split_heads(qkv)
            maps.append((q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1))

        return hook

    hooks = [block.attn.qkv.register_forward_hook(keep(block.attn)) for block in model.blocks]
    try:
        _eval_forward(model, model.forward_features, images)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(maps, dim=1)


@torch.no_grad()
def window_attention_maps(model: SwinEncoder, images: Tensor, stage: int, block: int) -> Tensor:
    """Attention inside the windows of one block of a Swin Transformer, or of Swin-Unet's encoder: (b, w, heads, n, n).

    Windows are in raster order of the (shifted, in every second block) map, tokens in raster order of the window. Row i
    holds how much token i takes from each token of its window, and sums to one. Computed in eval mode; the model's mode
    is put back.
    """
    model = unwrap(model)
    attention = model.layers[stage].blocks[block].attn
    maps = []

    def keep(module: nn.Module, inputs: tuple[Tensor, Tensor | None]) -> None:
        windows, mask = inputs
        q, k, _ = module.split_heads(windows)
        maps.append(module.weights(q, k, mask))

    hook = attention.register_forward_pre_hook(keep)
    try:
        _eval_forward(model, model.encode, images)
    finally:
        hook.remove()
    return maps[0].unflatten(0, (len(images), -1))


@torch.no_grad()
def pool_weights(model: CompactTransformer, images: Tensor) -> Tensor:
    """The weight that SeqPool gives each token, as a picture: (b, rows, columns) of the token grid, sum one an image.

    Raises TypeError for a model without SeqPool.
    """
    model = unwrap(model)
    if not isinstance(model.pool, SeqPool):
        raise TypeError(f"this model pools with {type(model.pool).__name__}; only pool='seq' has weights to show")
    tokens = _eval_forward(model, model.forward_features, images)
    return model.pool.weights(tokens).unflatten(1, model.tokenizer.grid(*images.shape[2:]))


def count_parameters(model: nn.Module, trainable_only: bool = False) -> int:
    """Number of parameters, frozen ones (a sinusoidal table) included unless `trainable_only`."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)


@torch.no_grad()
def count_macs(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Multiply-adds of convolutions and matrix products, attention too, for one image (channels, height, width)."""
    model = unwrap(model)
    parameter = next(model.parameters())
    image = torch.zeros(1, *image_shape, device=parameter.device, dtype=parameter.dtype)
    # The counter sees matrix products; the plain form of attention is made of them, the fused kernels are not.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        _eval_forward(model, model, image)
    return counter.get_total_flops() // 2  # one multiply-add is two floating-point operations


def _eval_forward(model: nn.Module, function, images: Tensor) -> Tensor:
    with eval_mode(model):
        return function(images)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Within `with`, the model is in eval mode; afterwards each of its modules is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
