"""The command line: `python -m compactlib run 03 --profile cpu`, `python -m compactlib patchify scene.tif out/`."""

import argparse
import io
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXAMPLES = """examples:
  python -m compactlib run all                              every notebook on its embedded data
  python -m compactlib run 03 --profile cpu                 real data, minutes on two cores
  python -m compactlib run 03 --profile gpu --set epochs=50 --set seed=1
  python -m compactlib sweep notebooks/params/sweep-03-seeds.yaml   many runs, with mean and deviation over seeds
  python -m compactlib list 03                              its parameters and profiles
  python -m compactlib scene scene.tif --height 4000 --width 4000 --mask truth.tif
  python -m compactlib patchify scene.tif patches/ --size 256 --step 224 --mask truth.tif
  python -m compactlib segment scene.tif out/ --model unet.safetensors
  python -m compactlib app                                  segment pictures in a browser
"""

PROXY = """where a proxy shows the page: /user/ann/proxy/8866/ on a JupyterHub; the whole address, https://..., behind a
proxy that changes the Host header, as nginx does"""
LONGER = "begin with what a finished run of fewer epochs has trained, as in: --set epochs=400 --extend"
AGAIN = "repeat runs that are done, from scratch; what they left is kept beside, as NAME.old-1"
NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|-inf(inity)?|-nan", re.IGNORECASE)
SCENE_COMMANDS = ("scene", "patchify", "segment")  # of compactlib.spark; the others are of compactlib.lab


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="python -m compactlib",
        description="Run the notebooks of the Compact Transformers lab and compare what they find with the papers; cut "
        "TIFF scenes of any size into patches and segment them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="execute notebooks into run folders",
        description="Execute notebooks with papermill.",
        allow_abbrev=False,
    )
    run.add_argument("names", nargs="+", metavar="NAME", help="number (03), name (cct), file, or 'all'")
    run.add_argument("--profile", default="smoke", help="named parameters; 'smoke' (default) is the notebook's own")
    run.add_argument(
        "--set", action="append", default=[], dest="settings", metavar="NAME=VALUE", help="change a parameter"
    )
    run.add_argument("--timeout", type=float, metavar="MINUTES", help="stop a notebook that takes longer")
    run.add_argument("--jobs", type=int, metavar="N", help="how many at a time (default: 2 of the smoke profile)")
    run.add_argument("--force", action="store_true", help=AGAIN)
    run.add_argument("--extend", action="store_true", help=LONGER)
    for option in ("--end-with-stdin", "--no-report"):  # for `sweep`, not for people
        run.add_argument(option, action="store_true", help=argparse.SUPPRESS)

    sweep = commands.add_parser(
        "sweep",
        help="run a grid of settings, one process a run",
        description="Run a notebook once for each setting of a grid. What is done is not run again, what was "
        "interrupted goes on: after Ctrl-C, or on another machine, the same command does the rest.",
        allow_abbrev=False,
    )
    sweep.add_argument("file", type=Path, metavar="FILE", help="YAML, such as notebooks/params/sweep-03-seeds.yaml")
    sweep.add_argument("--devices", metavar="NAMES", help="cuda:0,cuda:1: one run at a time on each of these GPUs")
    sweep.add_argument("--engine", choices=("local", "spark"), default="local", help="spark: one task a run")
    sweep.add_argument("--master", help="Spark's: spark://host:7077, local[2,4] (default: this machine)")
    sweep.add_argument("--timeout", type=float, metavar="MINUTES", help="stop a run that takes longer")
    sweep.add_argument("--force", action="store_true", help=AGAIN)
    sweep.add_argument("--list", action="store_true", dest="only_list", help="show the runs and start nothing")

    board = commands.add_parser("board", help="show all results beside the papers' numbers", allow_abbrev=False)
    board.add_argument("--markdown", action="store_true", help="as a Markdown table")
    board.add_argument("--out", type=folder, metavar="DIR", help="write Markdown, LaTeX and pictures into this folder")
    for command in (run, sweep, board):
        command.add_argument("--runs", type=folder, metavar="DIR", help="folder of the runs (default: runs)")

    show = commands.add_parser("list", help="list notebooks, profiles and parameters", allow_abbrev=False)
    show.add_argument("names", nargs="*", metavar="NAME", help="show the parameters of these notebooks")

    commands.add_parser("doctor", help="show what is installed, and what to do about the rest", allow_abbrev=False)

    student = commands.add_parser(
        "student", help="write an nbgrader course with copies without the solutions", allow_abbrev=False
    )
    student.add_argument("names", nargs="*", default=["all"], metavar="NAME", help="which lessons (default: all)")
    student.add_argument("--out", type=Path, default=Path("student"), metavar="DIR", help="where to (default: student)")

    slides = commands.add_parser("slides", help="write lessons as slides, one HTML file each", allow_abbrev=False)
    slides.add_argument("names", nargs="*", default=["all"], metavar="NAME", help="which ones (default: all)")
    slides.add_argument("--out", type=Path, default=Path("slides"), metavar="DIR", help="where to (default: slides)")

    refresh = commands.add_parser("refresh", help="re-execute notebooks in place, for a commit", allow_abbrev=False)
    refresh.add_argument("names", nargs="*", default=["all"], metavar="NAME", help="which ones (default: all)")

    app = commands.add_parser("app", help="open the segmentation app (notebook 91) as a page", allow_abbrev=False)
    app.add_argument("--port", type=int, default=8866, metavar="N", help="(default: 8866; if taken, one near it)")
    app.add_argument("--ip", default="127.0.0.1", metavar="ADDRESS", help="(default: 127.0.0.1, this machine only)")
    app.add_argument("--base-url", default="/", metavar="URL", help=PROXY)
    app.add_argument("--no-token", action="store_true", help="let everybody in who reaches the address")
    _add_scene_commands(commands)
    return top


def _add_scene_commands(commands: Any) -> None:
    """The commands that work on TIFF scenes."""
    scene = commands.add_parser("scene", help="write a made-up aerial scene as a TIFF", allow_abbrev=False)
    scene.add_argument("out", type=Path, metavar="OUT.tif", help="the TIFF to write")
    scene.add_argument("--height", type=int, default=4000, help="pixels (default: 4000)")
    scene.add_argument("--width", type=int, default=4000, help="pixels (default: 4000)")
    scene.add_argument("--seed", type=int, default=0, help="names the scene (default: 0)")
    scene.add_argument("--mask", type=Path, metavar="MASK.tif", help="write its mask of classes as well")
    scene.add_argument("--tile", type=int, default=256, help="pixels a side of the TIFF's tiles (default: 256)")
    scene.add_argument("--compression", default="deflate", help="none, deflate (default), lzw or zstd")
    scene.add_argument("--workers", type=int, default=1, help="processes that draw (default: 1)")

    patchify = commands.add_parser("patchify", help="cut TIFF scenes into patches", allow_abbrev=False)
    patchify.add_argument("scenes", nargs="+", metavar="SCENE", help="TIFF files")
    patchify.add_argument("out", type=Path, metavar="OUT", help="folder of the patches; the same one goes on")
    patchify.add_argument("--size", type=int, default=256, help="pixels a side of a patch (default: 256)")
    patchify.add_argument("--step", type=int, default=224, help="pixels from patch to patch (default: 224)")
    patchify.add_argument("--halo", type=int, default=0, help="pixels of context around a patch (default: 0)")
    patchify.add_argument("--border", default="reflect", help="reflect (default), constant or drop")
    patchify.add_argument("--mask", nargs="+", dest="masks", metavar="MASK", help="a mask TIFF for each scene")
    patchify.add_argument(
        "--values", type=pairs, metavar="N=CLASS,...", help="which number in the masks is which class id: 0=0,255=1"
    )

    segment = commands.add_parser("segment", help="segment a TIFF scene with saved models", allow_abbrev=False)
    segment.add_argument("scene", metavar="SCENE", help="TIFF file")
    segment.add_argument("out", type=Path, metavar="OUT", help="folder of the mask; the same one goes on")
    segment.add_argument(
        "--model", nargs="+", required=True, dest="models", metavar="FILE", help="of save_model; several: an ensemble"
    )
    segment.add_argument("--tile", type=int, help="pixels a side that one step predicts (default: as the model likes)")
    segment.add_argument("--halo", type=int, help="pixels of context around a tile (default: as the model likes)")
    segment.add_argument("--mode", help="how tiles meet: crop or blend (default: as the model likes)")
    segment.add_argument("--probabilities", action="store_true", help="write a TIFF of probabilities as well")
    segment.add_argument(
        "--mosaic", choices=("file", "files"), default="file", help="files: a TIFF for each block, and a VRT of them"
    )
    segment.add_argument("--batch-size", type=int, help="tiles in one step")
    segment.add_argument("--block", type=int, help="pixels a side of a task, a multiple of 512 (default: 1024 to 2048)")

    for command in (patchify, segment):
        command.add_argument("--bands", type=whole_numbers, metavar="N,...", help="channels, from 0 (default: all)")
        command.add_argument("--nodata", type=number, help="value of pixels without data (default: as the TIFF says)")
        command.add_argument("--engine", choices=("spark", "local"), default="spark", help="local: a process pool")
        command.add_argument("--workers", type=int, help="processes (default: one per core)")
        command.add_argument("--master", help="Spark's: spark://host:7077, local[2,4] (default: this machine)")


def folder(text: str) -> Path:
    """A path; `~` is the home folder also in `--runs=~/runs`, where the shell leaves it."""
    return Path(text).expanduser()


def number(text: str) -> int | float:
    """A whole number as an int, so that it is written to a job's folder as from a notebook; one that a float does not
    hold exactly (-3.4e38) stays one. `nan` is a number, too."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def whole_numbers(text: str) -> list[int]:
    """0,1,2"""
    return [int(word) for word in text.split(",")]


def pairs(text: str) -> dict[int, int]:
    """0=0,255=1"""
    return {int(value): int(index) for value, index in (word.split("=") for word in text.split(","))}


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--nodata -3.4e38` as `--nodata=-3.4e38`: argparse takes a negative number with an exponent, and -inf, for an
    option of its own."""
    joined: list[str] = []
    for argument in arguments:
        before = joined[-1] if joined else ""
        if before.startswith("--") and "=" not in before and len(before) > 2 and NEGATIVE.fullmatch(argument):
            joined[-1] = f"{before}={argument}"
        else:
            joined.append(argument)
    return joined


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0 if all is well, 1 if a notebook failed, 2 for a wrong call, 130 if interrupted."""
    for stream in (sys.stdout, sys.stderr):  # a sign that the terminal does not know (ASCII, cp1252) stops nothing
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = vars(parser().parse_args(_joined(sys.argv[1:] if arguments is None else arguments)))
    signal.signal(signal.SIGTERM, _interrupt)  # a cluster's scheduler stops jobs so: end kernels as for Ctrl-C
    if options.pop("end_with_stdin", False):
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    command = options.pop("command")
    return _scenes(command, options) if command in SCENE_COMMANDS else _lab(command, options)


def _lab(command: str, options: dict[str, Any]) -> int:
    # Only now, so that --help and a wrong option answer at once.
    from compactlib import commands
    from compactlib.documents import DocumentError
    from compactlib.runs.catalogue import UsageError
    from compactlib.runs.parameters import ParameterError

    try:
        return getattr(commands, f"{command}_command")(**options)
    except (UsageError, ParameterError, DocumentError, OSError) as error:  # OSError: a full disk, no permission
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where training stopped.", file=sys.stderr)
        return 130


def _scenes(command: str, options: dict[str, Any]) -> int:
    try:
        from compactlib.spark import commands

        return getattr(commands, f"{command}_command")(**options)
    except (ValueError, OSError, RuntimeError, ModuleNotFoundError) as error:  # RuntimeError: TaskError, no Java
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        rest = "Nothing was written." if command == "scene" else "The same command goes on with what is left."
        print(f"\nInterrupted. {rest}", file=sys.stderr)
        return 130


def _end_with_stdin() -> None:
    """End as for SIGTERM once stdin is closed: by the parent, or by the system where the parent was killed.

    Half a minute later this process ends in any case.
    """
    while os.read(0, 4096):
        pass
    signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
    time.sleep(30)
    os._exit(130)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
