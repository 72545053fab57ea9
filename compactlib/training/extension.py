"""Going on with a run for more epochs than it was meant to have."""

from collections.abc import Mapping
from typing import Any

from compactlib.training.base_recipe import BaseRecipe

ENDLESS = ("constant", "plateau")  # schedules that do not look at the end
# What a recipe does in a share of the run: what switches it on, and the share.
SHARES = {
    "flip": "flip_until",
    "randaugment": "randaugment_until",
    "crop_size": "crop_until",
    "prune": "prune_until",
}


def obstacle(recipe: BaseRecipe, changed: Mapping[str, tuple[Any, Any]]) -> str:
    """Why a run cannot go on with a recipe, in words; empty if it can.

    changed: what differs in the recipe, name -> (now, there). A run can become longer where all that it has done would
    have been the same with the longer recipe: only `epochs` has grown, and neither learning rate nor augmentation hang
    on the length.
    """
    now, there = changed.get("epochs", (0, 0))
    others = sorted(set(changed) - {"epochs"})
    if not now > there or set(others) - set(recipe.LENGTHS):
        return "other settings"
    if others:
        same = ", ".join(f"{name}={changed[name][1]}" for name in others)
        return f"other lengths: it goes on with more epochs if the others stay ({same})"
    bound = [f"schedule={recipe.schedule!r}"] if recipe.schedule not in ENDLESS else []
    bound += ["time_budget"] if recipe.time_budget else []
    bound += [until for on, until in SHARES.items() if getattr(recipe, on, None) and getattr(recipe, until, 1) < 1]
    if bound:
        return f"another length, and what it did hangs on its length ({', '.join(bound)})"
    return ""
