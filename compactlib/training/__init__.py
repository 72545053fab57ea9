"""Training: a recipe, a loop, an evaluation; for classifiers and for segmentation models."""

from compactlib.training.augment import to_input
from compactlib.training.base_recipe import BaseRecipe
from compactlib.training.checkpoint import load_run, save_weights
from compactlib.training.evaluate import Evaluation, evaluate
from compactlib.training.evaluate_masks import MaskEvaluation
from compactlib.training.fit import DivergedError, FitResult, fit
from compactlib.training.folds import folds
from compactlib.training.mask_recipe import MaskRecipe
from compactlib.training.recipe import Recipe
from compactlib.training.seeding import seeded
from compactlib.training.subnormal import flush_subnormals

__all__ = [
    "BaseRecipe",
    "DivergedError",
    "Evaluation",
    "FitResult",
    "MaskEvaluation",
    "MaskRecipe",
    "Recipe",
    "evaluate",
    "fit",
    "flush_subnormals",
    "folds",
    "load_run",
    "save_weights",
    "seeded",
    "to_input",
]
