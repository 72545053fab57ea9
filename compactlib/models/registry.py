"""Named models in timm's registry: one way to put them there."""

from collections.abc import Callable, Mapping

from timm.models import register_model
from torch import nn


def register(
    name: str,
    model_class: type[nn.Module],
    arguments: Mapping[str, object],
    load_weights: Callable[[nn.Module, str], nn.Module] | None,
) -> None:
    """Make `timm.create_model(name, ...)` build `model_class(**arguments)`, any argument of which can be given.

    `load_weights(model, name)` is what `pretrained=True` does; None: no weights are published, which is then an error.
    """

    def build(
        pretrained: bool = False,
        pretrained_cfg: object = None,
        pretrained_cfg_overlay: object = None,
        cache_dir: object = None,
        **overrides,
    ) -> nn.Module:
        # The four named arguments are what timm hands to every model; ours is the first, and the others must be unset.
        if pretrained_cfg or pretrained_cfg_overlay or cache_dir:
            raise TypeError(
                f"{name} takes no pretrained_cfg, pretrained_cfg_overlay or cache_dir: its weights come "
                "from the authors' site, or from the folder that COMPACT_DATA names"
            )
        if pretrained and load_weights is None:
            raise ValueError(f"no official weights for {name!r}; build it with pretrained=False and train it")
        model = model_class(**{**arguments, **overrides})
        return load_weights(model, name) if pretrained else model

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"{name}: {model_class.__name__} with {dict(arguments)}; any argument of it can be given."
    register_model(build)
