"""Procedural aerial scenes with exact masks: fields, forest, water, roads and buildings, of any size.

A scene is a function of the seed and the coordinates and has no borders: a window of it, however far out, is made by
itself and fits its neighbours to the pixel. The classes overlap in colour on purpose (grey roofs and roads, dark
crops, forest and water), so that a model must look at the surroundings of a pixel.
"""

from dataclasses import dataclass

import numpy as np

from .noise import fractal, grain, hash_cells, key, unit, value_noise

AERIAL_CLASSES = ("field", "forest", "water", "road", "building")
FIELD, FOREST, WATER, ROAD, BUILDING = range(5)

MARGIN = 10  # pixels around a window that its own pixels depend on: the longest shadow and the blur
BLOCK = 104.0  # pixels between two roads, on average
TURNS = ((1, 0, 1), (4, 3, 5), (12, 5, 13), (15, 8, 17), (21, 20, 29))  # rotations without a sine: a^2 + b^2 = c^2
HAZE = (188, 196, 206)

# Rows of the table of colours (red, green, blue), by what the ground is.
CROPS = ((122, 138, 72), (178, 164, 104), (146, 122, 92), (96, 122, 62), (70, 92, 52), (158, 156, 92), (110, 96, 74))
ROOFS = ((168, 92, 72), (142, 84, 70), (136, 134, 132), (112, 108, 106), (206, 204, 198), (150, 118, 92))
OTHERS = ((98, 122, 66), (58, 82, 46), (72, 88, 44), (52, 74, 74), (86, 92, 70), (134, 132, 128), (164, 148, 122))
COLOURS = np.array(CROPS + ROOFS + OTHERS, dtype=np.float64)
ROOF = len(CROPS)
GARDEN, LEAVES, NEEDLES, RIVER, SILT, ASPHALT, GRAVEL = range(ROOF + len(ROOFS), len(COLOURS))


def aerial(height: int, width: int, seed: int, y: int = 0, x: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The window of `height` x `width` pixels at row `y`, column `x` of the scene that `seed` names.

    Returns the image, uint8 (height, width, 3), and its mask, uint8 (height, width), of indices into AERIAL_CLASSES.
    A pixel is about half a metre: roads are 5 to 9 pixels wide, houses 8 to 16 pixels long. Shadow, haze and noise
    change the image only. Raises ValueError for a size below 1.
    """
    if height < 1 or width < 1:
        raise ValueError(f"A window needs at least 1 x 1 pixel, not {height} x {width}.")
    rows = np.arange(y - MARGIN, y + height + MARGIN, dtype=np.int64)[:, None]
    columns = np.arange(x - MARGIN, x + width + MARGIN, dtype=np.int64)[None]
    u, v = _plane(seed, rows, columns)
    plan = _plan(seed, u, v)
    classes, colour, light, tall = _ground(seed, plan, u, v)
    light = light * _sun(seed, rows, columns, tall)
    image = _expose(seed, rows, columns, COLOURS[colour], light)
    inner = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return np.ascontiguousarray(image[inner]), np.ascontiguousarray(classes[inner])


def _plane(seed: int, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plane (u, v) in which the roads are straight: the pixel grid turned, and bent by slow noise."""
    a, b, c = TURNS[key(seed, "turn") % len(TURNS)]
    bend = [110 * value_noise(key(seed, f"bend {axis}"), rows, columns, 420) for axis in "uv"]
    return (a * columns + b * rows) / c + bend[0], (a * rows - b * columns) / c + bend[1]


@dataclass(frozen=True)
class Plan:
    """The division of the land at each pixel. i, j: the block. s, t: pixels from its edges at lower u and v.
    width, depth: its size. near: for each of the four edges, pixels to it (infinite where no road runs there)."""

    i: np.ndarray
    j: np.ndarray
    s: np.ndarray
    t: np.ndarray
    width: np.ndarray
    depth: np.ndarray
    near: tuple[np.ndarray, ...]


def _plan(seed: int, u: np.ndarray, v: np.ndarray) -> Plan:
    i, s, width = _between(key(seed, "lines u"), u)
    j, t, depth = _between(key(seed, "lines v"), v)
    near = []
    for name, edge, across in (("u", (i, i + 1), (s, width - s)), ("v", (j, j + 1), (t, depth - t))):
        for line, distance in zip(edge, across, strict=True):
            segment = (line, j) if name == "u" else (i, line)
            # Every second line is a through road; of the others, a third of the segments is missing.
            built = (line % 2 == 0) | (unit(hash_cells(key(seed, f"segments {name}"), *segment)) > 0.35)
            near.append(np.where(built, distance, np.inf))
    return Plan(i, j, s, t, width, depth, tuple(near))


def _between(seed: int, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Between which two of the parallel, unevenly spaced lines each point lies: index of the lower line, distance
    from it, distance of the two lines."""

    def line(index: np.ndarray) -> np.ndarray:
        return (index + 0.5 * unit(hash_cells(seed, index, np.zeros(1, np.int64)))) * BLOCK

    index = np.floor(u / BLOCK).astype(np.int64)
    index = index - (u < line(index))
    low = line(index)
    return index, u - low, line(index + 1) - low


def _ground(seed: int, plan: Plan, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    """What is where, painted from the bottom up -> class, row of COLOURS, brightness, height in pixels of shadow."""
    classes = np.full(u.shape, FIELD, np.uint8)
    tall = np.zeros(u.shape, np.int64)
    town = _town(seed, u, v)
    colour, light = _fields(seed, plan, u, v, town)

    def paint(where, what, paint_colour, paint_light, height):
        classes[where], tall[where] = what, height[where] if np.ndim(height) else height
        colour[where] = paint_colour[where] if np.ndim(paint_colour) else paint_colour
        light[where] = paint_light[where]

    crowns = fractal(key(seed, "crowns"), v, u, 9, 2)
    relief = crowns - fractal(key(seed, "crowns"), v + 2, u + 2, 9, 2)  # the sun stands in the upper left
    wood = fractal(key(seed, "wood"), v, u, 120, 4) + 0.10 * (crowns - 0.5)
    trees = (wood > 0.57) | _single_trees(seed, u, v, town)
    conifers = value_noise(key(seed, "conifers"), v, u, 60) > 0.55
    kind = np.where(conifers, NEEDLES, LEAVES)
    paint(trees, FOREST, kind, 0.72 + 0.55 * crowns + 1.1 * relief, np.where(conifers, 5, 4))

    depth = _water(seed, u, v)
    silt = np.where(value_noise(key(seed, "silt"), v, u, 300) > 0.6, SILT, RIVER)
    ripple = 0.12 * value_noise(key(seed, "ripple"), v, u, 4)
    paint(depth > 0, WATER, silt, 1.05 - 0.3 * np.minimum(depth * 12, 1) + ripple, 0)

    house, roof, roof_light, storeys = _buildings(seed, plan, u, v)
    paint(house, BUILDING, roof, roof_light, storeys)

    wear = value_noise(key(seed, "wear"), v, u, 7) + value_noise(key(seed, "patches"), v, u, 40)
    road, surface = _roads(plan, depth)
    paint(road, ROAD, surface, 0.82 + 0.18 * wear, 0)
    return classes, colour, light, tall


def _fields(seed: int, plan: Plan, u: np.ndarray, v: np.ndarray, town: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parcels in strips across each block, every one with its crop and its furrows; gardens in town."""
    bits = hash_cells(key(seed, "parcels"), plan.i, plan.j)
    lengthwise = (bits & np.uint32(1)).astype(bool)
    along = np.where(lengthwise, plan.s / plan.width, plan.t / plan.depth)
    strips = 1 + ((bits >> np.uint32(1)) % np.uint32(4)).astype(np.int64)
    strip = np.floor(along * strips).astype(np.int64)
    crop_bits = hash_cells(key(seed, "crops"), plan.i * 4 + strip, plan.j)
    crop = (crop_bits % np.uint32(len(CROPS))).astype(np.int64)

    period = 4 + ((crop_bits >> np.uint32(8)) % np.uint32(5)).astype(np.int64)
    phase = np.where((crop_bits >> np.uint32(12)) & np.uint32(1), u, v) / period
    phase = phase - np.floor(phase)
    furrow = np.where(phase < 0.5, phase, 1 - phase) * 4 - 1  # a triangle wave, -1 to 1
    depth = unit(crop_bits) * 0.10
    patchy = fractal(key(seed, "soil"), v, u, 34, 3) - 0.5
    light = 1 + furrow * depth + 0.42 * patchy
    light = np.where(along * strips - strip < 0.02, light * 1.12, light)  # a grass verge between two parcels
    lawn = 0.9 + 0.7 * patchy + 0.25 * (value_noise(key(seed, "lawn"), v, u, 3) - 0.5)
    return np.where(town, GARDEN, crop), np.where(town, lawn, light)


def _town(seed: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return fractal(key(seed, "town"), v, u, 230, 2) > 0.47


def _water(seed: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Above 0 in water, more away from the shore. A river is where slow noise crosses its mean, a lake where another
    one is high."""
    river = 0.020 - np.abs(fractal(key(seed, "river"), v, u, 330, 3) - 0.5)
    lake = 0.7 * (fractal(key(seed, "lake"), v, u, 170, 2) - 0.74)
    return np.maximum(river, lake)


def _single_trees(seed: int, u: np.ndarray, v: np.ndarray, town: np.ndarray) -> np.ndarray:
    """Round trees, at most one in a square of 15 pixels; more of them in town."""
    i, j = np.floor(u / 15).astype(np.int64), np.floor(v / 15).astype(np.int64)
    bits = hash_cells(key(seed, "trees"), i, j)
    radius = 2.2 + 0.3 * (bits & np.uint32(7))
    du = u - 15 * i - 4.5 - ((bits >> np.uint32(3)) & np.uint32(7)) * (6 / 7)
    dv = v - 15 * j - 4.5 - ((bits >> np.uint32(6)) & np.uint32(7)) * (6 / 7)
    return (du * du + dv * dv < radius * radius) & (unit(bits) < np.where(town, 0.3, 0.03))


def _roads(plan: Plan, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a road is, and its surface. Through roads are wide and cross water; the others end at the shore."""
    road, surface = np.zeros(plan.i.shape, bool), np.full(plan.i.shape, GRAVEL)
    lines = (plan.i, plan.i + 1, plan.j, plan.j + 1)
    for line, distance in zip(lines, plan.near, strict=True):
        main = line % 2 == 0
        on = (distance < np.where(main, 4.3, 2.7)) & (main | (depth <= 0))
        surface[on & (main | (line % 3 == 0))] = ASPHALT
        road |= on
    return road, surface


def _buildings(seed: int, plan: Plan, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    """Houses on the lots along the roads of a town, or halls in a block of trade -> where, roof, brightness, height."""
    trade = unit(hash_cells(key(seed, "trade"), plan.i, plan.j)) < 0.22
    lot = np.where(trade, 44.0, 25.0)
    across, down = (np.maximum(np.floor(size / lot), 1) for size in (plan.width, plan.depth))
    a, b = (
        np.floor(part * n / size).astype(np.int64)
        for part, n, size in ((plan.s, across, plan.width), (plan.t, down, plan.depth))
    )
    bits = hash_cells(key(seed, "lots"), plan.i * 8 + a, plan.j * 8 + b)
    # The centre of the house in the lot, and half its sides.
    middle_s = (a + 0.5) * plan.width / across + ((bits & np.uint32(3)).astype(np.int64) - 1)
    middle_t = (b + 0.5) * plan.depth / down + (((bits >> np.uint32(2)) & np.uint32(3)).astype(np.int64) - 1)
    stretch = np.where(trade, 2.0, 1.0)
    half_s = (4.0 + ((bits >> np.uint32(4)) & np.uint32(3))) * stretch
    half_t = (4.0 + ((bits >> np.uint32(6)) & np.uint32(3))) * stretch
    ds, dt = plan.s - middle_s, plan.t - middle_t
    inside = (np.abs(ds) < half_s) & (np.abs(dt) < half_t)
    ell = (bits >> np.uint32(8)) & np.uint32(3)  # one in four has a corner cut out
    inside &= ~((ell == 0) & (ds > 0) & (dt > 0))

    reach = 0.75 * lot
    beside = np.zeros(inside.shape, bool)
    to_edges = (middle_s, plan.width - middle_s, middle_t, plan.depth - middle_t)
    for near, far in zip(plan.near, to_edges, strict=True):
        beside |= np.isfinite(near) & (far < reach)
    inside &= beside & (unit(bits) < 0.9)
    # Town and water are asked at the centre of the house, so that a house is there as a whole or not at all.
    if inside.any():
        where = np.nonzero(inside)
        cu, cv = (u - ds)[where], (v - dt)[where]
        inside[where] = _town(seed, cu, cv) & (_water(seed, cu, cv) < -0.02)
    ridge = np.where(half_s > half_t, dt, ds)
    roof = ROOF + ((bits >> np.uint32(10)) % np.uint32(len(ROOFS))).astype(np.int64)
    roof = np.where(trade, ROOF + 2 + (bits >> np.uint32(10)) % np.uint32(3), roof).astype(np.int64)
    slope = np.where(trade, 0.03, 0.16)
    light = 1 + np.where(ridge < 0, slope, -slope) + 0.10 * (value_noise(key(seed, "tiles"), v, u, 3) - 0.5)
    return inside, roof, light, np.where(trade, 6, 4 + ((bits >> np.uint32(13)) & np.uint32(3)).astype(np.int64))


def _sun(seed: int, rows: np.ndarray, columns: np.ndarray, tall: np.ndarray) -> np.ndarray:
    """Brightness by shadow: of clouds, and of what stands up to `tall` pixels to the upper left."""
    shade = np.zeros(tall.shape, bool)
    for step in range(1, 8):  # in shadow is what lies lower than a thing `step` pixels away is tall
        shade[step:, step:] |= tall[:-step, :-step] - step >= tall[step:, step:]
    clouds = fractal(key(seed, "clouds"), rows, columns, 260, 2)
    clear = np.minimum(np.maximum((0.72 - clouds) * 8, 0), 1)
    return np.where(shade, 0.55, 1.0) * (0.72 + 0.28 * clear)


def _expose(seed: int, rows: np.ndarray, columns: np.ndarray, colour: np.ndarray, light: np.ndarray) -> np.ndarray:
    """From colour and brightness to the picture: haze, blur of the optics, noise of the sensor."""
    haze = 0.04 + 0.24 * value_noise(key(seed, "haze"), rows, columns, 350)
    channels = []
    for channel in range(3):
        ground = colour[..., channel] * light
        seen = ground + (HAZE[channel] - ground) * haze
        fine = np.floor(np.minimum(np.maximum(seen, 0), 255) * 16).astype(np.int64)  # sixteenths, for the blur
        fine[1:-1] = (fine[:-2] + 2 * fine[1:-1] + fine[2:]) >> 2
        fine[:, 1:-1] = (fine[:, :-2] + 2 * fine[:, 1:-1] + fine[:, 2:]) >> 2
        noisy = fine / 16 + grain(key(seed, f"grain {channel}"), rows, columns, 5.0) + 0.5
        channels.append(np.floor(np.minimum(np.maximum(noisy, 0), 255)).astype(np.uint8))
    return np.stack(channels, axis=-1)
