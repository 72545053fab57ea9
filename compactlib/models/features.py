"""timm's `features_only`: the maps of a network's stages instead of its logits."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from timm.models._features import FeatureGetterNet, feature_take_indices
from torch import Tensor, nn


class Stages:
    """For models whose stages have maps of their own. A subclass has `feature_info` (timm's: channels, reduction and
    name of each), `stage_maps` (images -> the maps in order) and `keep_stages` (drop what comes after the first n)."""

    def stage_maps(self, x: Tensor) -> Iterator[Tensor]:
        """Images (b, c, H, W) -> the map of each stage, (b, channels, H / reduction, W / reduction), in order."""
        raise NotImplementedError(f"{type(self).__name__} has no stages")

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """The maps of the stages `indices` (an int: of so many last ones; None: of all), each (b, c, h, w), or
        (b, h, w, c) with output_fmt="NHWC". Without `intermediates_only`: what forward_features gives, and the maps.

        ValueError for `norm`: a stage's map has no norm of its own.
        """
        if norm or output_fmt not in ("NCHW", "NHWC"):
            raise ValueError(f"norm={norm}, output_fmt={output_fmt!r}: expected norm=False, and 'NCHW' or 'NHWC'")
        wanted, last = feature_take_indices(len(self.feature_info), indices)
        maps = list(islice(self.stage_maps(x), last + 1))
        maps = [
            maps[i].permute(0, 2, 3, 1) if output_fmt == "NHWC" else maps[i] for i in range(last + 1) if i in wanted
        ]
        return maps if intermediates_only else (self.forward_features(x), maps)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop what the stages `indices` do not need. Returns them as numbers counted from 0."""
        wanted, last = feature_take_indices(len(self.feature_info), indices)
        self.keep_stages(last + 1)
        return wanted


def features_only(model: nn.Module, name: str, out_indices: Any = None) -> nn.Module:
    """timm's wrapper that answers with the maps of the stages `out_indices` (None: all), and has `feature_info`.

    Raises:
        ValueError: a model without stages.
    """
    if not isinstance(model, Stages):
        raise ValueError(
            f"features_only: {name} has one map of tokens and no stages of several resolutions; a U-Net's encoder, "
            "Swin Transformer, Swin-Unet's encoder and ResNet have"
        )
    config = model.pretrained_cfg
    features = FeatureGetterNet(model, out_indices=len(model.feature_info) if out_indices is None else out_indices)
    features.pretrained_cfg = config | {"num_classes": 0, "classifier": None}
    features.in_chans = model.in_chans
    return features
