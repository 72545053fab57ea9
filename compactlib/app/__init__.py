"""The segmentation app: a picture, a model, a mask (notebook 91, `make app`).

uploads and tiff check what comes in, checkpoints says which models there are, segmenting runs one, drawing and
downloads make of it what is looked at and taken home. controls, panels and view are the page; serve opens it in a
browser without a notebook around it.
"""

from compactlib.app.checkpoints import ModelError, Offer, check_fit, offers
from compactlib.app.downloads import mask_png, mask_tiff, report
from compactlib.app.examples import EXAMPLES
from compactlib.app.segmenting import Segmented, Stopped, areas, disagreement, plan, segment
from compactlib.app.uploads import LIMITS, Picture, UploadError, read_upload
from compactlib.app.view import Page, page

__all__ = [
    "EXAMPLES",
    "LIMITS",
    "ModelError",
    "Offer",
    "Page",
    "Picture",
    "Segmented",
    "Stopped",
    "UploadError",
    "areas",
    "check_fit",
    "disagreement",
    "mask_png",
    "mask_tiff",
    "offers",
    "page",
    "plan",
    "read_upload",
    "report",
    "segment",
]
