"""Models for the app's tests, and runs of them."""

import timm
import torch

from compactlib import app
from compactlib.app.segmenting import plan, segment
from compactlib.models import save_model


def made(tmp_path, name="unet", file="model", classes=None, **arguments):
    """An untrained model, saved, as it is offered."""
    torch.manual_seed(0)
    save_model(
        tmp_path / f"{file}.safetensors", timm.create_model(name, **arguments), name, classes=classes, **arguments
    )
    return next(offer for offer in app.offers(tmp_path) if offer.path.stem == file)


def found(picture, offer, patch=128, overlap=25, **options):
    model = offer.load()
    return segment(picture, offer, model, plan(model, picture.pixels.shape, patch, overlap), **options)
