"""Swin Transformer from scratch.

Source: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (arXiv 2103.14030),
Section 3.1, in the order in which an image meets the pieces: patch embedding, patch merging, the stage, the model. The
block with its shifted windows (Section 3.2) is in `swin_block.py`.

    224 x 224 image -> 56 x 56 tokens of 96 -> 28 x 28 of 192 -> 14 x 14 of 384 -> 7 x 7 of 768    (tiny, window 7)

Shapes in comments: b images, H x W tokens of width d.
"""

from collections.abc import Iterator
from typing import Any

import torch
from einops import rearrange
from timm.layers import to_2tuple
from torch import Tensor, nn

from compactlib.models.arguments import at_least
from compactlib.models.contract import Model
from compactlib.models.features import Stages
from compactlib.models.positions import resize_pos_embed
from compactlib.models.swin_sizes import resized_window, stage_grids
from compactlib.models.swin_stage import PatchEmbed, PatchMerging, SwinStage, init_weights

# ---- Patch embedding ------------------------------------------------------------------------------------------------


# ---- Patch merging, stages, the model -------------------------------------------------------------------------------


class SwinEncoder(Stages, Model):
    """Patch embedding and stages: what the classifier and Swin-Unet share. The arguments are those of the two.

    Images (b, in_chans, *img_size) -> tokens (b, H, W, num_features) of the last stage, after the last norm.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 4,
        in_chans: int = 3,
        embed_dim: int = 96,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        num_heads: tuple[int, ...] = (3, 6, 12, 24),
        window_size: int = 7,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        ape: bool = False,
        patch_norm: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
    ):
        super().__init__()
        at_least(1, patch_size=patch_size, in_chans=in_chans, embed_dim=embed_dim, window_size=window_size)
        at_least(1, **{f"depths[{i}]": depth for i, depth in enumerate(depths)})
        if len(depths) != len(num_heads) or not depths:
            raise ValueError(f"depths={depths} and num_heads={num_heads} must name the same stages, at least one")
        self.img_size = to_2tuple(img_size)
        at_least(1, height=self.img_size[0], width=self.img_size[1])
        self.patch_size, self.in_chans, self.embed_dim = patch_size, in_chans, embed_dim
        self.window_size = window_size
        self.grids = stage_grids(self.img_size, patch_size, len(depths), window_size)  # (grid, window) of each stage
        self.num_features = embed_dim * 2 ** (len(depths) - 1)

        self.patch_embed = PatchEmbed(patch_size, in_chans, embed_dim, patch_norm)
        (rows, columns), _ = self.grids[0]
        self.absolute_pos_embed = nn.Parameter(torch.zeros(1, rows * columns, embed_dim)) if ape else None
        self.pos_drop = nn.Dropout(drop_rate)
        # Stochastic depth rises linearly over all blocks, from 0 to drop_path_rate.
        rates = iter(drop_path_rate * i / max(1, sum(depths) - 1) for i in range(sum(depths)))
        self.drop_paths = [[next(rates) for _ in range(depth)] for depth in depths]
        self.block_settings = dict(mlp_ratio=mlp_ratio, qkv_bias=qkv_bias, drop=drop_rate, attn_drop=attn_drop_rate)
        self.num_heads = tuple(num_heads)
        self.layers = nn.ModuleList(
            self.new_stage(i, downsample=PatchMerging(embed_dim * 2**i) if i < len(depths) - 1 else None)
            for i in range(len(depths))
        )
        self.norm = nn.LayerNorm(self.num_features)

    def new_stage(self, i: int, **change: nn.Module | None) -> SwinStage:
        """Stage `i`, or its mirror image in a decoder, with its own weights."""
        grid, window = self.grids[i]
        dim, heads = self.embed_dim * 2**i, self.num_heads[i]
        return SwinStage(dim, grid, heads, window, self.drop_paths[i], **change, **self.block_settings)

    def set_input_size(self, img_size: int | tuple[int, int] | None = None, window_size: int | None = None) -> None:
        """Make the model take images of another size, or windows of another side, in place.

        Without `window_size` windows grow with the image, as in timm, where such windows come out even; else they stay
        as they are. Tables of relative positions are interpolated to the windows, an absolute one to the grid.

        Raises:
            ValueError: a size that patches or windows do not divide; names sizes that work. Nothing has changed then.
        """
        new_size = self.img_size if img_size is None else to_2tuple(img_size)
        stages = len(self.grids)
        if window_size is None:
            window_size = resized_window(self.img_size, new_size, self.patch_size, stages, self.window_size)
        at_least(1, window_size=window_size)
        old, self.grids = self.grids, stage_grids(new_size, self.patch_size, stages, window_size)
        self.img_size, self.window_size = new_size, window_size
        self.respec(img_size=new_size, window_size=window_size)
        for i, stage in self.numbered_stages():
            stage.set_grid(*self.grids[i])
        if (table := self.absolute_pos_embed) is not None:
            resized = resize_pos_embed(table.data, old[0][0], self.grids[0][0], 0)
            self.absolute_pos_embed = nn.Parameter(resized, requires_grad=table.requires_grad)

    def numbered_stages(self) -> Iterator[tuple[int, SwinStage]]:
        """Each stage with the number of its resolution."""
        yield from enumerate(self.layers)

    # The stages as timm's `features_only` has them

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """Channels, reduction and name of each stage's map, before it is merged."""
        return [
            dict(num_chs=self.embed_dim * 2**i, reduction=self.patch_size * 2**i, module=f"layers.{i}")
            for i in range(len(self.layers))
        ]

    def stage_maps(self, x: Tensor) -> Iterator[Tensor]:
        """Images -> the map of each stage, (b, channels, H, W), in order."""
        x = self.embed(x)
        for stage in self.layers:
            x = stage.attend(x)
            yield rearrange(x, "b h w d -> b d h w")
            x = x if stage.downsample is None else stage.downsample(x)

    def keep_stages(self, count: int) -> None:
        """Drop the stages after the first `count`, the norm and the head."""
        self.layers, self.norm, self.head = self.layers[:count], nn.Identity(), nn.Identity()
        self.layers[-1].downsample = None

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Groups of weights from the image to the logits, for timm's layer-wise learning rates. Patch merging belongs
        to the stage that it makes the map of, as in timm."""
        merging = [(rf"^layers\.{i}\.downsample", (i + 1,) if coarse else (i + 1, 0)) for i in range(len(self.layers))]
        blocks = r"^layers\.(\d+)" if coarse else r"^layers\.(\d+)\.blocks\.(\d+)"
        return {
            "stem": r"^(?:patch_embed|absolute_pos_embed)",
            "blocks": [*merging, (blocks, None), (r"^norm\.", (99999,))],  # 99999: timm's "with those before"
        }

    def no_weight_decay(self) -> set[str]:
        """Names of the tables of positions, which the authors do not decay; timm's optimizers ask for them."""
        tables = ("relative_position_bias_table", "absolute_pos_embed")
        return {name for name, _ in self.named_parameters() if name.endswith(tables)}

    def embed(self, x: Tensor) -> Tensor:
        """Images -> the tokens that enter the first stage, (b, H, W, embed_dim)."""
        self._check_images(x)
        x = self.patch_embed(x)  # (b, c, H P, W P) -> (b, H, W, d)
        if self.absolute_pos_embed is not None:
            x = x + self.absolute_pos_embed.unflatten(1, self.grids[0][0])
        return self.pos_drop(x)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Images -> the last stage's tokens, and the tokens at the start of every stage, each (b, H, W, d)."""
        x, starts = self.embed(x), []
        for stage in self.layers:
            starts.append(x)
            x = stage(x)  # (b, H, W, d) -> (b, H / 2, W / 2, 2 d), the last stage (b, H, W, d)
        return self.norm(x), starts

    def _check_images(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != self.in_chans:
            raise ValueError(f"expected images (batch, {self.in_chans}, height, width), got {tuple(x.shape)}")
        if tuple(x.shape[2:]) != self.img_size:
            raise ValueError(
                f"this model was built for images of {self.img_size} pixels, got {tuple(x.shape[2:])}: resize them, "
                f"or call model.set_input_size({tuple(x.shape[2:])})"
            )


class SwinTransformer(SwinEncoder):
    """Image classifier: images (b, in_chans, *img_size) -> logits (b, num_classes).

    Args:
        img_size: side of the square image in pixels, or (height, width).
        patch_size: side of a patch in pixels.
        in_chans: channels of the image.
        num_classes: outputs; 0 leaves the head out, and the model returns the pooled tokens (b, num_features).
        embed_dim: width of the first stage; each stage has twice the width of the one before.
        depths, num_heads: blocks and heads of each stage.
        window_size: side of a window in tokens. A stage whose map is no larger has one window, and no shift.
        mlp_ratio: hidden width of the MLP over the stage's width.
        qkv_bias: a bias in the projection to query, key and value.
        ape: an absolute positional embedding beside the relative one.
        patch_norm: LayerNorm after the patch embedding.
        drop_rate, attn_drop_rate, drop_path_rate: dropout after the embedding, projections and MLP layers; dropout of
            the attention; stochastic depth of the last block, rising linearly from 0.

    Raises:
        ValueError: sizes that patches or windows do not divide (names sizes that work), or images of another size.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 4,
        in_chans: int = 3,
        num_classes: int = 1000,
        embed_dim: int = 96,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        num_heads: tuple[int, ...] = (3, 6, 12, 24),
        window_size: int = 7,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        ape: bool = False,
        patch_norm: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
    ):
        super().__init__(
            img_size, patch_size, in_chans, embed_dim, depths, num_heads, window_size, mlp_ratio, qkv_bias, ape,
            patch_norm, drop_rate, attn_drop_rate, drop_path_rate
        )  # fmt: skip
        at_least(0, num_classes=num_classes)
        self.num_classes = num_classes
        self.head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        self.apply(init_weights)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (b, c, *img_size) -> tokens after the last norm (b, H, W, num_features)."""
        return self.encode(x)[0]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Tokens (b, H, W, d) -> logits (b, num_classes), or their mean (b, d) with `pre_logits`."""
        x = x.mean(dim=(1, 2))
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    # timm's contract for a classifier

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the last layer by a fresh one with `num_classes` outputs (0: none)."""
        self.num_classes = num_classes
        self.respec(num_classes=num_classes)
        self.head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        self.head.apply(init_weights)
        self.head.to(self.norm.weight)
