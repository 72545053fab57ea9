"""ViT-Lite, CVT and CCT: one model, three settings.

Source: Hassani et al., "Escaping the Big Data Paradigm with Compact Transformers" (arXiv 2104.05704). The file follows
its Section 3: the transformer backbone (3.1), SeqPool (3.3) and the model. The tokenizers (3.4) are in `tokenizers.py`,
the named sizes (3.2) in `compact_variants.py`.

                tokenizer   pool
    ViT-Lite    "patch"     "cls"
    CVT         "patch"     "seq"
    CCT         "conv"      "seq"

Shapes in comments: b images, n tokens, d = embed_dim, h heads.
"""

from typing import Any

import torch
from timm.layers import to_2tuple
from torch import Tensor, nn

from compactlib.models.arguments import at_least, one_of
from compactlib.models.contract import Model, run
from compactlib.models.encoder import ClassTokenPool, EncoderBlock, MeanPool, SeqPool
from compactlib.models.positions import is_sine_table, resize_pos_embed, sine_position_table
from compactlib.models.tokenizers import ConvTokenizer, PatchTokenizer

# ---- 3.1 Transformer-based backbone ---------------------------------------------------------------------------------


# ---- 3.3 SeqPool and what it replaces -------------------------------------------------------------------------------


# ---- The model ------------------------------------------------------------------------------------------------------


class CompactTransformer(Model):
    """Image classifier of the compact family: images (b, in_chans, H, W) -> logits (b, num_classes).

    Args:
        img_size: side of the square image in pixels, or (height, width).
        in_chans: channels of the image.
        num_classes: outputs; 0 leaves the head out, and the model returns the pooled tokens (b, embed_dim).
        tokenizer: "conv" (CCT) or "patch" (ViT-Lite, CVT).
        num_convs: convolutions of the "conv" tokenizer; "patch" has one whatever this says.
        kernel_size: side of the convolution, or of the patch, in pixels.
        stride, padding: of the tokenizer's convolutions; None takes the rule written at the tokenizer.
        embed_dim, depth, num_heads, mlp_ratio: width, layers, heads, and hidden width of the MLP over embed_dim.
        pool: "seq" (SeqPool), "cls" (class token) or "avg" (mean of the tokens).
        pos_embed: "learnable", "sine" (a frozen parameter) or "none". Without one, any image size works at run time.
        dynamic_img_size: take any image size at run time, with the positions interpolated to it at every call.
        drop_rate, attn_drop_rate, drop_path_rate: dropout after the positions, projections and MLP layers; dropout of
            the attention; stochastic depth of the last layer, rising linearly from 0.

    Raises:
        ValueError: an unknown choice, sizes that do not divide, or images the model was not built for.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 32,
        in_chans: int = 3,
        num_classes: int = 10,
        tokenizer: str = "conv",
        num_convs: int = 2,
        kernel_size: int = 3,
        stride: int | None = None,
        padding: int | None = None,
        embed_dim: int = 128,
        depth: int = 2,
        num_heads: int = 2,
        mlp_ratio: float = 1.0,
        pool: str = "seq",
        pos_embed: str = "learnable",
        dynamic_img_size: bool = False,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.1,
        drop_path_rate: float = 0.1,
    ):
        super().__init__()
        one_of("tokenizer", tokenizer, ("conv", "patch"))
        one_of("pool", pool, ("seq", "cls", "avg"))
        one_of("pos_embed", pos_embed, ("learnable", "sine", "none"))
        at_least(1, in_chans=in_chans, num_convs=num_convs, kernel_size=kernel_size, embed_dim=embed_dim)
        at_least(1, depth=depth, num_heads=num_heads, stride=1 if stride is None else stride)
        at_least(0, num_classes=num_classes, padding=0 if padding is None else padding)
        self.img_size = to_2tuple(img_size)
        self.in_chans = in_chans
        self.num_classes = num_classes
        self.num_features = self.embed_dim = embed_dim
        self.pos_embed_type = pos_embed
        self.dynamic_img_size = dynamic_img_size

        if tokenizer == "conv":
            self.tokenizer = ConvTokenizer(in_chans, embed_dim, num_convs, kernel_size, stride, padding)
        else:
            self.tokenizer = PatchTokenizer(in_chans, embed_dim, kernel_size, stride, padding)
        num_tokens = self.grid_size[0] * self.grid_size[1]
        if num_tokens < 1:
            raise ValueError(f"img_size={self.img_size} leaves no token; use larger images or a smaller kernel_size")

        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim)) if pool == "cls" else None
        self.pos_embed = self._new_positions(num_tokens + self.num_prefix_tokens)
        self.pos_drop = nn.Dropout(drop_rate)
        drop_path = torch.linspace(0, drop_path_rate, depth).tolist()
        self.blocks = nn.ModuleList(
            EncoderBlock(embed_dim, num_heads, mlp_ratio, drop_rate, attn_drop_rate, drop_path[i]) for i in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim)
        self.pool = {"seq": lambda: SeqPool(embed_dim), "cls": ClassTokenPool, "avg": MeanPool}[pool]()
        self.head = nn.Linear(embed_dim, num_classes) if num_classes else nn.Identity()
        self.apply(_init_weights)

    @property
    def grid_size(self) -> tuple[int, int]:
        """Rows and columns of image tokens for images of `img_size`."""
        return self.tokenizer.grid(*self.img_size)

    @property
    def num_prefix_tokens(self) -> int:
        """Tokens before the image's own: 1 with a class token, else 0."""
        return 0 if self.cls_token is None else 1

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (b, c, H, W) -> tokens after the last norm (b, n, d), n = 1 + H' W' with a class token."""
        self._check_images(x)
        grid = self.tokenizer.grid(*x.shape[2:])
        x = self.tokenizer(x)  # (b, c, H, W) -> (b, n, d)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)  # (b, n, d) -> (b, 1 + n, d)
        if self.pos_embed is not None:
            x = x + self._positions(grid)
        x = self.pos_drop(x)
        for block in self.blocks:
            x = run(block, x, again=self.grad_checkpointing)
        return self.norm(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Tokens (b, n, d) -> logits (b, num_classes), or the pooled tokens (b, d) with `pre_logits`."""
        x = self.pool(x)
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
        self.head = nn.Linear(self.embed_dim, num_classes) if num_classes else nn.Identity()
        self.head.apply(_init_weights)
        self.head.to(self.norm.weight)

    def no_weight_decay(self) -> set[str]:
        """Positions and class token, as in timm's ViT. The authors decay them, and so does `fit`."""
        return {name for name in ("pos_embed", "cls_token") if getattr(self, name) is not None}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Groups of weights from the image to the logits, for timm's layer-wise learning rates."""
        return {
            "stem": r"^(?:cls_token|pos_embed|tokenizer)",
            "blocks": [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))],  # 99999: timm's word for "with those before"
        }

    def set_input_size(self, img_size: int | tuple[int, int]) -> None:
        """Make the model take images of another size: a learned embedding is interpolated, a sinusoid made anew."""
        old_grid, new_grid = self.grid_size, self.tokenizer.grid(*to_2tuple(img_size))
        self.img_size = to_2tuple(img_size)
        self.respec(img_size=self.img_size)
        if self.pos_embed is None or old_grid == new_grid:
            return
        if is_sine_table(self.pos_embed.data):
            table = sine_position_table(new_grid[0] * new_grid[1] + self.num_prefix_tokens, self.embed_dim)
        else:
            table = resize_pos_embed(self.pos_embed.data, old_grid, new_grid, self.num_prefix_tokens)
        self.pos_embed = nn.Parameter(table.to(self.pos_embed), requires_grad=self.pos_embed.requires_grad)

    def _new_positions(self, num_rows: int) -> nn.Parameter | None:
        if self.pos_embed_type == "none":
            return None
        if self.pos_embed_type == "sine":
            return nn.Parameter(sine_position_table(num_rows, self.embed_dim), requires_grad=False)
        return nn.Parameter(nn.init.trunc_normal_(torch.zeros(1, num_rows, self.embed_dim), std=0.2))

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        """The positional embedding of `grid` tokens, (1, n, d); interpolated where they are not the model's own."""
        if grid == self.grid_size:
            return self.pos_embed
        return resize_pos_embed(self.pos_embed, self.grid_size, grid, self.num_prefix_tokens)

    def _check_images(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != self.in_chans:
            raise ValueError(f"expected images (batch, {self.in_chans}, height, width), got {tuple(x.shape)}")
        if self.pos_embed is not None and tuple(x.shape[2:]) != self.img_size and not self.dynamic_img_size:
            raise ValueError(
                f"this model has a positional embedding for {self.img_size} pixels, got {tuple(x.shape[2:])}: call "
                f"model.set_input_size({tuple(x.shape[2:])}) to resize it, or build the model with "
                "dynamic_img_size=True or pos_embed='none'"
            )


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
