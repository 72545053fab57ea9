"""Accuracy against a cost, on a logarithmic axis: a colour and a marker a family, names where there is room."""

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from compactlib.figures.basic import COLOURS, MARKERS

Point = tuple[float, float, str]  # cost (parameters, seconds), accuracy in per cent, name
SIZE = 90  # of a marker, in square points
PLACES = (("left", (8, -4)), ("right", (-8, -4)), ("left", (6, 7)), ("right", (-6, 7)), ("center", (0, -20)))


def draw_points(axis: Axes, points: Mapping[str, Sequence[Point]], families: Sequence[str]) -> None:
    """The points of each family, in the colour and with the marker of its place in `families`."""
    for family, group in points.items():
        k = families.index(family)
        costs, accuracies, _ = zip(*group, strict=True)
        marker = MARKERS[k % len(MARKERS)]
        axis.scatter(costs, accuracies, s=SIZE, color=COLOURS[k % len(COLOURS)], marker=marker, label=family)


def cost_axis(axis: Axes, label: str, costs: Iterable[float]) -> None:
    """A logarithmic axis of costs, with numbers also within a decade and room for names at both ends."""
    low, high = min(costs := list(costs)), max(costs)
    middle, width = (low * high) ** 0.5, max(2.5, 2 * (high / low) ** 0.5)
    axis.set_xscale("log")
    axis.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter=EngFormatter(sep=""))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set(xlabel=label, ylabel="test accuracy (%)", xlim=(middle / width, middle * width))
    axis.margins(y=0.16)


def name_points(axis: Axes, points: Iterable[Point], colour: str = "black") -> None:
    """Write each name once, beside the best of its points, on a side that has room; not at all where none has.

    Goes last: the layout of the figure must not change afterwards. The names of an earlier call keep their places.
    """
    axis.figure.draw_without_rendering()  # from here on a text knows the pixels that it covers
    half = SIZE**0.5 / 2 * 1.3 * axis.figure.dpi / 72  # of a marker with its edge, in pixels
    taken = [text.get_window_extent() for text in axis.texts]
    for markers in axis.collections:
        for x, y in axis.transData.transform(markers.get_offsets()):
            taken.append(Bbox.from_bounds(x - half, y - half, 2 * half, 2 * half))
    named = set()
    for cost, accuracy, name in sorted(points, key=lambda point: -point[1]):
        if name in named:
            continue
        named.add(name)
        for side, offset in PLACES:
            text = axis.annotate(
                name, (cost, accuracy), offset, textcoords="offset points", fontsize=12, ha=side, color=colour
            )
            box = text.get_window_extent()
            inside = axis.bbox.x0 <= box.x0 and box.x1 <= axis.bbox.x1 and axis.bbox.y0 <= box.y0
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()
