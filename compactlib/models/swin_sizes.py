"""Which image sizes a model of windows takes: patches, mergings and windows must all come out even.

The rule is that of the authors' code. A stage whose map is no larger than the window gets one window of the map's size;
in any other stage the window must divide the map. All stages but the last are halved, so their maps are even.
"""

Size = tuple[int, int]


def stage_grids(img_size: Size, patch_size: int, stages: int, window: int) -> list[tuple[Size, int]]:
    """(rows and columns of tokens, side of the window) of each stage.

    Raises ValueError for an image size that does not work, naming the nearest ones that do.
    """
    problem = _problem(img_size, patch_size, stages, window)
    if problem:
        sizes = " or ".join(f"{h} x {w}" for h, w in nearest_img_sizes(img_size, patch_size, stages, window))
        windows = [m for m in range(2, 33) if _problem(img_size, patch_size, stages, m) is None]
        keep = f", or keep the size with window_size={min(windows, key=lambda m: abs(m - window))}" if windows else ""
        raise ValueError(
            f"img_size {img_size[0]} x {img_size[1]} does not work: {problem}. Sizes near it that do: {sizes}{keep}"
        )
    grids = [tuple(side // patch_size // 2**i for side in img_size) for i in range(stages)]
    return [(grid, min(window, *grid)) for grid in grids]


def resized_window(old_size: Size, new_size: Size, patch_size: int, stages: int, window: int) -> int:
    """The side of the windows for another image size: grown with the image where such windows come out even, else as
    it was."""
    grown = {window * new // old for new, old in zip(new_size, old_size, strict=True)}
    scaled = max(1, min(grown))
    works = len(grown) == 1 and _problem(new_size, patch_size, stages, scaled) is None
    return scaled if works else window


def nearest_img_sizes(img_size: Size, patch_size: int, stages: int, window: int) -> list[Size]:
    """Sizes around `img_size` that work, smaller ones first; squares for a square."""

    def works(size: Size) -> bool:
        return min(size) > 0 and _problem(size, patch_size, stages, window) is None

    def around(side: int) -> list[int]:
        """The nearest working square's side below and above."""
        step = patch_size * 2 ** (stages - 1)
        below = next((s for s in range(side // step * step, 0, -step) if works((s, s))), None)
        above = side // step * step + (step if side % step else 0)
        while not works((above, above)):  # ends: step * window works
            above += step
        return sorted({s for s in (below, above) if s})

    height, width = img_size
    if height != width:
        mixed = [(h, w) for h in around(height) for w in around(width) if works((h, w))]
        if mixed:
            return mixed
    return [(side, side) for side in around(max(img_size))]


def _problem(img_size: Size, patch_size: int, stages: int, window: int) -> str | None:
    grid = img_size
    if any(side % patch_size for side in grid):
        return f"it does not divide into {patch_size} x {patch_size} patches"
    grid = tuple(side // patch_size for side in grid)
    for stage in range(stages):
        name = f"stage {stage} has {grid[0]} x {grid[1]} tokens, "
        m = min(window, *grid)
        if any(side % m for side in grid):
            return name + f"which windows of {m} x {m} do not divide"
        if stage < stages - 1 and any(side % 2 for side in grid):
            return name + "which cannot be merged 2 x 2"
        grid = tuple(side // 2 for side in grid)
    return None
