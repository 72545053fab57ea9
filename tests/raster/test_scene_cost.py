"""Reading a scene decodes little more than its windows need, holds little, and goes on in other processes."""

import multiprocessing
import os
import pickle
import tracemalloc
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import tifffile

from compactlib.raster import Block, Grid, open_scene
from tests.raster.pictures import padded


def test_blocks_of_patches_decode_little_more_than_they_need(wide):
    """As tasks do it: each block by a scene of its own, streamed by rows of patches. 1.35 is the project's promise."""
    pixels, path, _ = wide
    grid = Grid(*pixels.shape[:2], size=256, step=224)
    needed = decoded = segments = 0
    side = grid.block_side(512)
    blocks = grid.blocks(side, side)
    assert len(blocks) > 1
    for block in blocks:
        source = grid.block_source(block)
        high, wide_ = min(source.y + source.height, 4000) - source.y, min(source.x + source.width, 4000) - source.x
        tiles = -(-high // 512) * -(-wide_ // 512)  # blocks begin at a tile
        assert source.y % 512 == source.x % 512 == 0
        with open_scene(path) as scene:
            for row in range(block.row, block.row + block.rows):
                strip = grid.block_source(Block(row, block.column, 1, block.columns))
                window = strip.y, strip.x, strip.height, strip.width
                found = scene.read(*window)
                np.testing.assert_array_equal(found[:, :300], padded(pixels, *window, "reflect")[:, :300])
            assert scene.counters.decoded_segments == tiles, "each tile that the block touches is decoded once"
            assert scene.counters.decoded_pixels == tiles * 512 * 512
        needed, decoded, segments = needed + high * wide_, decoded + scene.counters.decoded_pixels, segments + tiles
    assert segments > 64, "blocks share the tiles at their borders"
    assert decoded <= 1.35 * needed


def test_strips_decode_many_times_what_a_narrow_window_needs(wide):
    """256 x 256 pixels lie in 5 strips of 64 x 4000: 19.5 times as many. A band of full width costs 1.25 times."""
    pixels, _, path = wide
    with open_scene(path) as scene:
        np.testing.assert_array_equal(scene.read(1000, 1000, 256, 256), pixels[1000:1256, 1000:1256])
        assert scene.counters.decoded_segments == 5
        assert scene.counters.decoded_pixels / scene.counters.needed_pixels == pytest.approx(19.5, abs=0.1)
    with open_scene(path) as scene:
        scene.read(1000, 0, 256, 4000)
        assert scene.counters.decoded_pixels / scene.counters.needed_pixels == 1.25


@pytest.mark.parametrize(("x", "width", "times"), [(1000, 256, 1), (0, 2000, 2)])
def test_an_uncompressed_strip_is_not_read_whole(tmp_path, wide, x, width, times):
    """tifffile writes one strip as high as the picture. A narrow window reads its own bytes of it, a wide one rows."""
    pixels = wide[0]
    tifffile.imwrite(tmp_path / "one.tif", pixels[..., 0])
    with open_scene(tmp_path / "one.tif") as scene:
        assert scene.tile == (4000, 4000)
        np.testing.assert_array_equal(scene.read(500, x, 300, width), pixels[500:800, x : x + width])
        assert scene.counters.bytes_read == scene.counters.decoded_pixels == times * 300 * width


def test_counters(tiled, whole):
    with tifffile.TiffFile(tiled) as tif:
        sizes = tif.pages[0].databytecounts
    with open_scene(tiled) as scene:
        scene.read(60, 0, 10, 40)  # two tiles, one below the other; nine in a row lie between their starts
        assert vars(scene.counters) == {
            "bytes_read": sizes[0] + sizes[9],
            "decoded_pixels": 2 * 64 * 48,
            "decoded_segments": 2,
            "needed_pixels": 400,
        }
        scene.read(60, 0, 10, 40)  # now they are in the cache
        assert (scene.counters.decoded_segments, scene.counters.needed_pixels) == (2, 800)
        scene.counters.reset()
        scene.read(280, 400, 100, 100)  # mirrored from rows 219 to 299 and columns 341 to 420
        assert scene.counters.needed_pixels == 81 * 80 and scene.counters.decoded_segments == 4
        scene.counters.reset()
        assert set(vars(scene.counters).values()) == {0}


def test_neighbours_in_the_file_are_read_at_once(tiled, monkeypatch):
    calls = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, count, offset: calls.append(count) or pread(fd, count, offset))
    with open_scene(tiled) as scene:
        scene.read(0, 0, 64, 421)  # a row of nine tiles
        assert len(calls) == 1 and scene.counters.decoded_segments == 9
        assert calls == [scene.counters.bytes_read]


def test_tiles_in_any_order_in_the_file(tmp_path, whole):
    """From the last to the first, as a program may write them: read in the file's order, put where they belong."""
    path = tmp_path / "backwards.tif"
    tifffile.imwrite(path, whole, tile=(64, 48), compression="deflate", photometric="rgb")
    with tifffile.TiffFile(path, mode="r+") as tif:
        page, content = tif.pages[0], path.read_bytes()
        offsets, counts = page.dataoffsets, page.databytecounts
        tiles = [content[offset : offset + count] for offset, count in zip(offsets, counts, strict=True)]
        ends = np.cumsum(counts[::-1])[::-1] + offsets[0]
        page.tags[324].overwrite((ends - counts).tolist())
    with open(path, "r+b") as file:
        file.seek(offsets[0])
        file.write(b"".join(tiles[::-1]))
    np.testing.assert_array_equal(tifffile.imread(path), whole)
    with open_scene(path) as scene:
        np.testing.assert_array_equal(scene.read(0, 0, 300, 421), whole)
        assert scene.counters.bytes_read == sum(counts)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_the_cache_holds_what_it_may_and_no_more(tiled, whole, kept):
    tile = 64 * 48 * 3
    with open_scene(tiled, cache_bytes=kept * tile) as scene:
        for y in range(0, 300, 30):
            for x in range(0, 400, 40):
                np.testing.assert_array_equal(scene.read(y, x, 20, 20), whole[y : y + 20, x : x + 20])
                assert scene._reader.cache.nbytes <= kept * tile
        assert len(scene._reader.cache) == kept
        for decoded in (1, 0 if kept else 1):
            scene.counters.reset()
            scene.read(280, 400, 10, 10)
            assert scene.counters.decoded_segments == decoded


def test_a_scene_larger_than_the_memory_that_reading_takes(wide):
    """16 MB of pixels go through a cache of 1 MB: what is held is the cache, a window and what is decoded at the time.
    Tiles of 256 KB."""
    pixels, path, _ = wide
    with open_scene(path, cache_bytes=1 << 20) as scene:
        scene.read(0, 0, 8, 8)
        tracemalloc.start()
        total = sum(int(scene.read(y, 0, 100, 4000).sum()) for y in range(0, 4000, 100))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert total == int(pixels.sum())
    assert peak < 4 << 20


def test_a_pickled_scene_reads_in_another_process(tiled, whole, monkeypatch):
    monkeypatch.chdir(tiled.parent)
    with open_scene(tiled.name, border="constant", cache_bytes=1 << 20) as scene:
        expected = scene.read(-5, -6, 70, 80)
        monkeypatch.chdir("/")
        copy = pickle.loads(pickle.dumps(scene))
        assert "_page" not in vars(copy), "nothing is opened before it is needed"
        assert (copy.border, copy.cache_bytes, copy.shape) == ("constant", 1 << 20, whole.shape)
        np.testing.assert_array_equal(copy.read(-5, -6, 70, 80), expected)
        copy.close()
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            np.testing.assert_array_equal(pool.submit(scene.read, -5, -6, 70, 80).result(), expected)


def test_forked_processes_share_an_open_scene(tiled, whole):
    """They have one open file between them. Reading from a shared position would mix up their tiles."""
    corners = [(y, x) for y in range(0, 236, 4) for x in range(0, 350, 25)]
    with open_scene(tiled, cache_bytes=0) as scene:

        def compare(seed: int) -> None:
            for i in np.random.default_rng(seed).permutation(len(corners)):
                y, x = corners[i]
                np.testing.assert_array_equal(scene.read(y, x, 64, 70), whole[y : y + 64, x : x + 70])

        scene.read(0, 0, 9, 9)
        children = [multiprocessing.get_context("fork").Process(target=compare, args=(seed,)) for seed in (1, 2, 3)]
        for child in children:
            child.start()
        compare(0)
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0, 0, 0]
