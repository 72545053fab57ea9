"""Procedural aerial scenes with exact masks: fields, forest, water, roads and buildings, of any size.

A scene is a function of the seed and the coordinates and has no borders: a window of it, however far out, is made by
itself and fits its neighbours to the pixel. The classes overlap in colour on purpose (grey roofs and roads, dark
crops, forest and water), so that a model must look at the surroundings of a pixel.
"""

from collections.abc import Iterator

import numpy as np

from compactlib.raster.windows import windows

from .land import Plan, divide, lots_of, plane
from .noise import fractal, grain, hash_cells, key, unit, value_noise

AERIAL_CLASSES = ("field", "forest", "water", "road", "building")
FIELD, FOREST, WATER, ROAD, BUILDING = range(5)

MARGIN = 10  # pixels around a window that its own pixels depend on: the longest shadow and the blur
PIECE = 144  # pixels a side that are worked on at once: their arrays stay in the processor's cache
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
    shape = (rows.size, columns.size)
    classes, colour, tall, light = (np.empty(shape, kind) for kind in (np.uint8, np.uint8, np.int8, np.float64))
    for piece in windows(*shape, PIECE):
        at = piece.slices
        u, v = plane(seed, rows[at[0]], columns[:, at[1]])
        classes[at], colour[at], tall[at], light[at] = _ground(seed, divide(seed, u, v), u, v)
    light *= _sun(seed, rows, columns, tall)
    image = _expose(seed, rows, columns, colour, light)
    inner = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return np.ascontiguousarray(image[inner]), np.ascontiguousarray(classes[inner])


def _ground(seed: int, plan: Plan, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    """What is where -> class, row of COLOURS, height in pixels of shadow, brightness."""
    town, depth = _town(seed, u, v), _water(seed, u, v)
    crowns = fractal(key(seed, "crowns"), v, u, 9, 2)
    wood = fractal(key(seed, "wood"), v, u, 120, 4) + 0.10 * (crowns - 0.5)
    classes = np.full(u.shape, FIELD, np.uint8)  # painted from the bottom up
    classes[(wood > 0.57) | _single_trees(seed, u, v, town)] = FOREST
    classes[depth > 0] = WATER
    classes[_houses(seed, plan, u, v)] = BUILDING
    for _, on in _roads(plan, depth):
        classes[on] = ROAD

    # How a class looks is worked out only where it is seen.
    looks = np.empty(u.shape, np.uint8), np.zeros(u.shape, np.int8), np.empty(u.shape)
    for what, look, fields in (
        (FIELD, _fields, (town,)),
        (FOREST, _crowns, (crowns,)),
        (WATER, _waves, (depth,)),
        (BUILDING, _roofs, ()),
        (ROAD, _surfaces, (depth,)),
    ):
        at = np.flatnonzero(classes == what)
        if at.size:
            seen = look(seed, plan.take(at), u.take(at), v.take(at), *(field.take(at) for field in fields))
            for values, part in zip(looks, seen, strict=True):
                values.put(at, part)
    return classes, *looks


def _fields(seed: int, plan: Plan, u: np.ndarray, v: np.ndarray, town: np.ndarray) -> tuple:
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
    return np.where(town, GARDEN, crop), 0, np.where(town, lawn, light)


def _crowns(seed: int, plan: Plan, u: np.ndarray, v: np.ndarray, crowns: np.ndarray) -> tuple:
    relief = crowns - fractal(key(seed, "crowns"), v + 2, u + 2, 9, 2)  # the sun stands in the upper left
    conifers = value_noise(key(seed, "conifers"), v, u, 60) > 0.55
    return np.where(conifers, NEEDLES, LEAVES), np.where(conifers, 5, 4), 0.72 + 0.55 * crowns + 1.1 * relief


def _waves(seed: int, plan: Plan, u: np.ndarray, v: np.ndarray, depth: np.ndarray) -> tuple:
    silt = np.where(value_noise(key(seed, "silt"), v, u, 300) > 0.6, SILT, RIVER)
    ripple = 0.12 * value_noise(key(seed, "ripple"), v, u, 4)
    return silt, 0, 1.05 - 0.3 * np.minimum(depth * 12, 1) + ripple


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


def _roads(plan: Plan, depth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each of the four edges of a block: its line, and where its road is. Through roads are wide and cross water;
    the others end at the shore."""
    dry = depth <= 0
    for line, distance in zip((plan.i, plan.i + 1, plan.j, plan.j + 1), plan.near, strict=True):
        main = line % 2 == 0
        yield line, (distance < 2.7) & dry | (distance < 4.3) & main


def _surfaces(seed: int, plan: Plan, u: np.ndarray, v: np.ndarray, depth: np.ndarray) -> tuple:
    surface = np.full(u.shape, GRAVEL)
    for line, on in _roads(plan, depth):
        surface[on & ((line % 2 == 0) | (line % 3 == 0))] = ASPHALT
    wear = value_noise(key(seed, "wear"), v, u, 7) + value_noise(key(seed, "patches"), v, u, 40)
    return surface, 0, 0.82 + 0.18 * wear


def _houses(seed: int, plan: Plan, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Where a house is: on the lots along the roads of a town; or a hall, in a block of trade."""
    lots = lots_of(seed, plan)
    inside = (np.abs(lots.ds) < lots.half_s) & (np.abs(lots.dt) < lots.half_t)
    ell = (lots.bits >> np.uint32(8)) & np.uint32(3)  # one in four has a corner cut out
    inside &= ~((ell == 0) & (lots.ds > 0) & (lots.dt > 0))
    reach = np.where(lots.trade, 33.0, 18.75)  # three quarters of a lot
    beside = np.zeros(inside.shape, bool)
    for near, far in zip(plan.near, lots.to_edges, strict=True):
        beside |= np.isfinite(near) & (far < reach)
    inside &= beside & (unit(lots.bits) < 0.9)
    # Town and water are asked at the centre of the house, so that a house is there as a whole or not at all.
    if inside.any():
        where = np.nonzero(inside)
        cu, cv = (u - lots.ds)[where], (v - lots.dt)[where]
        inside[where] = _town(seed, cu, cv) & (_water(seed, cu, cv) < -0.02)
    return inside


def _roofs(seed: int, plan: Plan, u: np.ndarray, v: np.ndarray) -> tuple:
    lots = lots_of(seed, plan)
    bits, trade = lots.bits, lots.trade
    ridge = np.where(lots.half_s > lots.half_t, lots.dt, lots.ds)
    roof = ROOF + ((bits >> np.uint32(10)) % np.uint32(len(ROOFS))).astype(np.int64)
    roof = np.where(trade, ROOF + 2 + (bits >> np.uint32(10)) % np.uint32(3), roof).astype(np.int64)
    slope = np.where(trade, 0.03, 0.16)
    light = 1 + np.where(ridge < 0, slope, -slope) + 0.10 * (value_noise(key(seed, "tiles"), v, u, 3) - 0.5)
    return roof, np.where(trade, 6, 4 + ((bits >> np.uint32(13)) & np.uint32(3)).astype(np.int64)), light


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
        ground = COLOURS[:, channel].take(colour) * light
        seen = ground + (HAZE[channel] - ground) * haze
        fine = np.floor(np.minimum(np.maximum(seen, 0), 255) * 16).astype(np.int32)  # sixteenths, for the blur
        fine[1:-1] = (fine[:-2] + 2 * fine[1:-1] + fine[2:]) >> 2
        fine[:, 1:-1] = (fine[:, :-2] + 2 * fine[:, 1:-1] + fine[:, 2:]) >> 2
        noisy = fine / 16 + grain(key(seed, f"grain {channel}"), rows, columns, 5.0) + 0.5
        channels.append(np.floor(np.minimum(np.maximum(noisy, 0), 255)).astype(np.uint8))
    return np.stack(channels, axis=-1)
