"""The named models of the paper (Section 3.2, Tables 5 and 6) in timm's registry.

    family _ layers _ tokenizer _ image size [_ sine] [_ data set]

`vit_7_4_32`: 7 layers, 4 x 4 patches, 32-pixel images. `cct_7_3x1_32`: one 3 x 3 convolution. The names are those of
the authors' code, and the sizes that only the paper's tables have (patches of 2, 8 and 16, one 7 x 7 convolution)
follow suit. In the authors' code `cct_*_sine` and `cvt_*_sine` build a learnable embedding, because the argument gets
lost on its way; here `sine` is sinusoidal.
"""

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from compactlib.models.checkpoints import official_state_dict
from compactlib.models.compact_transformer import CompactTransformer
from compactlib.models.official import load_official
from compactlib.models.registry import register, register_class

# layers: width, heads, mlp_ratio (Table 5; 12 layers is ViT-Base)
SIZES = {
    2: dict(embed_dim=128, num_heads=2, mlp_ratio=1.0),
    4: dict(embed_dim=128, num_heads=2, mlp_ratio=1.0),
    6: dict(embed_dim=256, num_heads=4, mlp_ratio=2.0),
    7: dict(embed_dim=256, num_heads=4, mlp_ratio=2.0),
    12: dict(embed_dim=768, num_heads=12, mlp_ratio=4.0),
    14: dict(embed_dim=384, num_heads=6, mlp_ratio=3.0),
}
VIT_LITE = [(2, 4), (4, 4), (6, 4), (7, 4), (6, 8), (7, 8), (6, 16), (7, 16), (12, 16)]  # (layers, patch)
CVT = [(2, 4), (4, 4), (6, 4), (7, 4), (6, 8), (7, 8), (7, 2), (7, 16)]
CCT = [(2, 3, 2), (4, 3, 2), (6, 3, 1), (6, 3, 2), (7, 3, 1), (7, 3, 2), (7, 7, 1)]  # (layers, kernel, convolutions)


def _variants() -> dict[str, dict]:
    """Name -> the arguments of CompactTransformer."""
    table = {}
    for family, sizes, pool in (("vit", VIT_LITE, "cls"), ("cvt", CVT, "seq")):
        for depth, patch in sizes:
            table[f"{family}_{depth}_{patch}_32"] = dict(
                img_size=32, tokenizer="patch", kernel_size=patch, depth=depth, pool=pool, **SIZES[depth]
            )

    def cct(depth: int, kernel: int, convs: int, img_size: int, num_classes: int) -> dict:
        conv = dict(tokenizer="conv", kernel_size=kernel, num_convs=convs, pool="seq")
        return dict(img_size=img_size, num_classes=num_classes, depth=depth, **conv, **SIZES[depth])

    for depth, kernel, convs in CCT:
        table[f"cct_{depth}_{kernel}x{convs}_32"] = cct(depth, kernel, convs, 32, 10)
    table["cct_7_7x2_224"] = cct(7, 7, 2, 224, 102)
    table |= {f"{name}_sine": {**arguments, "pos_embed": "sine"} for name, arguments in table.items()}
    table["cct_7_3x1_32_c100"] = cct(7, 3, 1, 32, 100)
    table["cct_7_3x1_32_sine_c100"] = {**cct(7, 3, 1, 32, 100), "pos_embed": "sine"}
    table["cct_14_7x2_224"] = cct(14, 7, 2, 224, 1000)
    table["cct_14_7x2_384"] = cct(14, 7, 2, 384, 1000)
    table["cct_14_7x2_384_fl"] = cct(14, 7, 2, 384, 102)
    return table


VARIANTS = _variants()


def _load(model: CompactTransformer, name: str) -> CompactTransformer:
    return load_official(model, official_state_dict(name))


def _data(name: str) -> dict:
    """Mean and standard deviation of the images that the authors trained the named model on."""
    if "_32" not in name:
        return dict(mean=IMAGENET_DEFAULT_MEAN, std=IMAGENET_DEFAULT_STD)
    if name.endswith("_c100"):
        return dict(mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761))
    return dict(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))  # CIFAR-10


for _name, _arguments in VARIANTS.items():
    register(_name, CompactTransformer, _arguments, _load, _data(_name))
register_class("compact_transformer", CompactTransformer)
