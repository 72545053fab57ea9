"""The command line: `python -m compactlib run 03 --profile cpu --set epochs=5`."""

import argparse
import signal
import sys
from pathlib import Path

EXAMPLES = """examples:
  python -m compactlib run all                              every notebook on its embedded data
  python -m compactlib run 03 --profile cpu                 real data, minutes on two cores
  python -m compactlib run 03 --profile gpu --set epochs=50 --set seed=1
  python -m compactlib list 03                              its parameters and profiles
"""


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="python -m compactlib",
        description="Run the notebooks of the Compact Transformers lab and compare what they find with the papers.",
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
    run.add_argument("--force", action="store_true", help="repeat runs that are done, from scratch")

    board = commands.add_parser("board", help="show all results beside the papers' numbers", allow_abbrev=False)
    board.add_argument("--markdown", action="store_true", help="as a Markdown table")
    for command in (run, board):
        command.add_argument("--runs", type=Path, metavar="DIR", help="folder of the runs (default: runs)")

    show = commands.add_parser("list", help="list notebooks, profiles and parameters", allow_abbrev=False)
    show.add_argument("names", nargs="*", metavar="NAME", help="show the parameters of these notebooks")

    commands.add_parser("doctor", help="show what is installed, and what to do about the rest", allow_abbrev=False)

    student = commands.add_parser("student", help="write copies without the solutions", allow_abbrev=False)
    student.add_argument("names", nargs="*", default=["all"], metavar="NAME", help="which ones (default: all)")
    student.add_argument("--out", type=Path, default=Path("student"), metavar="DIR", help="where to (default: student)")

    refresh = commands.add_parser("refresh", help="re-execute notebooks in place, for a commit", allow_abbrev=False)
    refresh.add_argument("names", nargs="*", default=["all"], metavar="NAME", help="which ones (default: all)")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Returns 0 if all is well, 1 if a notebook failed, 2 for a wrong call, 130 if interrupted."""
    options = vars(parser().parse_args(arguments))
    signal.signal(signal.SIGTERM, _interrupt)  # a cluster's scheduler stops jobs so: end kernels as for Ctrl-C
    # Only now, so that --help and a wrong option answer at once.
    from compactlib.lab import commands
    from compactlib.lab.catalogue import UsageError
    from compactlib.lab.parameters import ParameterError

    try:
        return getattr(commands, f"{options.pop('command')}_command")(**options)
    except (UsageError, ParameterError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where training stopped.", file=sys.stderr)
        return 130


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
