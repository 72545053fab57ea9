"""Compact Transformers lab: the module that the notebooks call. Importing it registers the models with timm."""

from compactlib import models as models

__version__ = "0.1.0"
