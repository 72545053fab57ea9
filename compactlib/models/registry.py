"""Named models in timm's registry: one way to put them there."""

from collections.abc import Callable, Mapping

from timm.models import register_model
from torch import nn

from compactlib.models.features import features_only
from compactlib.models.spec import attach_spec


def register(
    name: str,
    model_class: type[nn.Module],
    arguments: Mapping[str, object],
    load_weights: Callable[[nn.Module, str], nn.Module] | None,
    data: Mapping[str, object] | None = None,
) -> None:
    """Make `timm.create_model(name, ...)` build `model_class(**arguments)`, any argument of which can be given.

    The model carries its spec, the name and the arguments that were given (see `models.spec`). `load_weights(model,
    name)` is what `pretrained=True` does; None: no weights are published, which is then an error. data: entries of
    timm's `pretrained_cfg` about the images of these weights (mean, std, ...). `features_only=True` and `out_indices`
    are timm's.
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
        features = overrides.pop("features_only", False)
        stages = overrides.pop("out_indices", None) if features else None
        model = model_class(**{**arguments, **overrides})
        if data:
            model.default_data = dict(data)
        attach_spec(model, name, **overrides)
        model = load_weights(model, name) if pretrained else model
        if not features:
            return model
        chosen = {} if stages is None else {"out_indices": stages}
        return attach_spec(features_only(model, name, stages), name, features_only=True, **chosen, **overrides)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"{name}: {model_class.__name__} with {dict(arguments)}; any argument of it can be given."
    register_model(build)


def register_class(name: str, model_class: type[nn.Module]) -> None:
    """Make `timm.create_model(name, ...)` build `model_class(...)`, and `name` the spec of what the class builds when
    it is called itself."""
    register(name, model_class, {}, None)
    model_class.registry_name = name
