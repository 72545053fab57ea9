"""Training: a recipe, a loop, an evaluation."""

from compactlib.training.checkpoint import load_run, save_weights
from compactlib.training.evaluate import Evaluation, evaluate
from compactlib.training.fit import DivergedError, FitResult, fit
from compactlib.training.recipe import Recipe, paper_recipe
from compactlib.training.seeding import seeded

__all__ = [
    "DivergedError",
    "Evaluation",
    "FitResult",
    "Recipe",
    "evaluate",
    "fit",
    "load_run",
    "paper_recipe",
    "save_weights",
    "seeded",
]
