"""Segmentation: losses, pixel weights, metrics, augmentation with masks, prediction in tiles."""

from compactlib.segmentation.augmentation import Augmentation, augment, elastic_displacement, warp
from compactlib.segmentation.baseline import ThresholdBaseline
from compactlib.segmentation.losses import LOSSES, cross_entropy, dice_ce_loss, dice_loss, focal_loss
from compactlib.segmentation.metrics import (
    class_dice,
    class_iou,
    confusion,
    dice,
    hd95,
    iou,
    mean_dice,
    mean_iou,
    pixel_accuracy,
    pixel_error,
    rand_error,
    swin_unet_scores,
)
from compactlib.segmentation.tiled import predict_tiled, tiles_source
from compactlib.segmentation.weights import (
    balanced_class_weights,
    border_term,
    cell_distances,
    class_balance,
    label_instances,
    touching_cut,
    weight_map,
)
from compactlib.segmentation.whole import predict_image, seam_error, tiling

__all__ = [
    "LOSSES",
    "Augmentation",
    "ThresholdBaseline",
    "augment",
    "balanced_class_weights",
    "border_term",
    "cell_distances",
    "class_balance",
    "class_dice",
    "class_iou",
    "confusion",
    "cross_entropy",
    "dice",
    "dice_ce_loss",
    "dice_loss",
    "elastic_displacement",
    "focal_loss",
    "hd95",
    "iou",
    "label_instances",
    "mean_dice",
    "mean_iou",
    "pixel_accuracy",
    "pixel_error",
    "predict_image",
    "predict_tiled",
    "rand_error",
    "seam_error",
    "swin_unet_scores",
    "tiles_source",
    "tiling",
    "touching_cut",
    "warp",
    "weight_map",
]
