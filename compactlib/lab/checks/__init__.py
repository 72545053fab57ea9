"""Exercise checks: `check("01.3", answer)`."""

from compactlib.lab.checks import ablations as _ablations  # noqa: F401
from compactlib.lab.checks import classification as _classification  # noqa: F401  (registers its exercises)
from compactlib.lab.checks import experiments as _experiments  # noqa: F401
from compactlib.lab.checks import scene_segmentation as _scene_segmentation  # noqa: F401
from compactlib.lab.checks import scenes as _scenes  # noqa: F401
from compactlib.lab.checks import segmentation as _segmentation  # noqa: F401
from compactlib.lab.checks import template as _template  # noqa: F401
from compactlib.lab.checks.registry import EXERCISES, NotYet, check

__all__ = ["EXERCISES", "NotYet", "check"]
