"""What the numbers of a TIFF page mean: which channel is alpha, which way is up, and how they become a picture."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from tifffile import TiffPage

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR = 0, 1, 2, 3, 4, 5, 6  # PhotometricInterpretation
RAW = "a camera's raw"
NAMED = {8: "L*a*b*", 9: "L*a*b* (ICC)", 10: "L*a*b* (ITU)", 32803: RAW, 34892: RAW, 32844: "LogL", 32845: "LogLuv"}
ALPHA = (1, 2)  # values of the tag ExtraSamples; 0 is a channel of another kind, near infrared say


@dataclass(frozen=True, eq=False)
class Meaning:
    """See `picture`. alpha: number of the stored channel that is 0 where there are no data; hidden: it is
    no channel of the file but a mask from inside its compression. colours: one of PhotometricInterpretation. bits: of a
    sample. orientation: see `compactlib.raster.upright`."""

    channels: int
    colours: int = BLACK_IS_ZERO
    bits: int = 8
    orientation: int = 1
    alpha: int | None = None
    hidden: bool = False
    table: np.ndarray | None = None  # uint8 (n, 3), of a palette

    @property
    def shape(self) -> int:
        """Channels of the picture."""
        stored = self.channels - self.hidden
        return stored + {PALETTE: 2, CMYK: -1}.get(self.colours, 0)

    @property
    def plain(self) -> bool:
        """Whether the picture's numbers are those of the file."""
        scaled = self.bits < 8 and self.colours != PALETTE
        return not (self.hidden or scaled or self.colours in (WHITE_IS_ZERO, PALETTE, CMYK))

    def remarks(self, as_stored: bool) -> tuple[str, ...]:
        """Sentences on what a picture is not as the file has it."""
        turned = ("It was turned as its tag Orientation says.",) if self.orientation != 1 else ()
        inks = self.colours == CMYK and not as_stored
        return turned + (("Its colours (CMYK) were converted to RGB.",) if inks else ())

    def picture(self, stored: np.ndarray) -> np.ndarray:
        """Stored numbers (h, w, channels) as a picture (h, w, shape): white is the largest number, a palette's colours
        and CMYK are RGB, samples of 1 to 4 bits reach to 255."""
        if self.hidden:
            stored = stored[..., :-1]
        if self.plain:
            return stored
        if self.colours == PALETTE:
            indices = np.minimum(stored[..., 0], len(self.table) - 1)
            return np.concatenate([self.table[indices], stored[..., 1:]], axis=-1)
        if self.colours == CMYK:
            inks = Image.fromarray(np.ascontiguousarray(stored[..., :4]), "CMYK").convert("RGB")
            return np.concatenate([np.asarray(inks), stored[..., 4:]], axis=-1)
        if self.bits < 8:
            stored = stored * np.uint8(255 // (2**self.bits - 1))
        if self.colours == WHITE_IS_ZERO and stored.dtype.kind == "u":
            stored = stored.copy()
            grey = slice(0, 1)  # alpha, if there is one, is not inverted
            stored[..., grey] = np.iinfo(stored.dtype).max - stored[..., grey]
        return stored


def meaning(page: TiffPage, full: TiffPage, jpegs: tuple[int, ...]) -> Meaning:
    """Read off a page's tags; what they leave out, off those of the page `full` that it reduces.

    Raises ValueError, in words that follow the file's name, for what has no RGB here.
    """
    samples, colours = page.samplesperpixel, int(page.photometric)
    extra = [int(kind) for kind in np.ravel(page.extrasamples)] if page.extrasamples else []
    alpha = next((samples - len(extra) + i for i, kind in enumerate(extra) if kind in ALPHA), None)
    if colours in NAMED or (colours == YCBCR and page.compression not in jpegs):
        kind = NAMED.get(colours, "YCbCr without JPEG")
        raise ValueError(f"holds {kind} colours; convert it to RGB first")
    if colours == CMYK and (samples < 4 or page.dtype != np.uint8 or samples - len(extra) > 4):
        raise ValueError(f"holds {samples} inks of {page.bitspersample} bits; expected CMYK of 8 bits, or RGB")
    table = None
    if colours == PALETTE:
        if page.colormap is None or page.dtype.kind not in "ub" or page.bitspersample > 8:
            raise ValueError("has a palette without colours; convert it to RGB first")
        table = (np.asarray(page.colormap).T >> 8).astype(np.uint8)
        if not table.any():  # written with 8 bits, which the format does not know but some programs do
            table = np.asarray(page.colormap).T.astype(np.uint8)
    orientation = page.tags.valueof(274, full.tags.valueof(274, 1))
    orientation = int(orientation) if orientation in range(1, 9) else 1
    return Meaning(samples, colours, page.bitspersample, orientation, alpha, table=table)
