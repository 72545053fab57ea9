"""Training: a recipe, a loop, an evaluation."""

from compactlib.training.augment import to_input
from compactlib.training.checkpoint import load_run, save_weights
from compactlib.training.evaluate import Evaluation, evaluate
from compactlib.training.fit import DivergedError, FitResult, fit
from compactlib.training.recipe import RECIPES, Recipe
from compactlib.training.seeding import seeded

__all__ = [
    "RECIPES",
    "DivergedError",
    "Evaluation",
    "FitResult",
    "Recipe",
    "evaluate",
    "fit",
    "load_run",
    "save_weights",
    "seeded",
    "to_input",
]
