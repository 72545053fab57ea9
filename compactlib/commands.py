"""What each command of `python -m compactlib` does; returns the exit status.

Each imports what it needs when it is called: most need no PyTorch, and answer at once.
"""

import sys
from pathlib import Path

from compactlib.paths import runs_dir
from compactlib.runs.catalogue import UsageError


def run_command(
    names: list[str],
    profile: str,
    settings: list[str],
    timeout: float | None,
    jobs: int | None,
    force: bool,
    extend: bool,
    runs: Path | None,
    no_report: bool,
) -> int:
    """`run`: 0 if every notebook went through, 1 if one failed."""
    from compactlib.runs import catalogue, runner
    from compactlib.workers import cores

    if timeout is not None and not timeout > 0:
        raise UsageError(f"--timeout is {timeout:g} minutes, expected more than 0.")
    if force and extend:
        raise UsageError("--force begins from scratch, --extend goes on with what is there. Choose one of them.")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs is {jobs}, expected 1 or more.")
    at_once = jobs or (
        min(2, cores()) if profile == catalogue.SMOKE else 1
    )  # longer runs have the machine to themselves
    options = dict(
        at_once=at_once, profile=profile, settings=settings, timeout=timeout, force=force, extend=extend, runs=runs
    )
    outcomes = runner.run_notebooks(names, **options, write_report=not no_report)
    return int(any(outcome.failure for outcome in outcomes))


def sweep_command(
    file: Path,
    devices: str | None,
    engine: str,
    master: str | None,
    timeout: float | None,
    force: bool,
    only_list: bool,
    runs: Path | None,
) -> int:
    """`sweep`: 0 if every run went through, 1 if one did not."""
    from compactlib.runs import evidence, sweep, sweep_file

    if timeout is not None and not timeout > 0:
        raise UsageError(f"--timeout is {timeout:g} minutes, expected more than 0.")
    where = sweep.places(devices, engine, master)
    jobs = sweep_file.read(file, runs=Path(runs or runs_dir()).resolve())
    if only_list:
        print(sweep.listing(jobs))
        return 0
    try:
        outcomes = sweep.run(jobs, engine=engine, devices=where, master=master, timeout=timeout, force=force)
    except RuntimeError as error:  # no Java, no pyspark, a master that does not answer
        print(error, file=sys.stderr)
        return 2
    failed = any(outcome.failure for outcome in outcomes)
    if (asked := sweep_file.asked(file)) and not failed:
        records, command = [outcome.record for outcome in outcomes], f"python -m compactlib sweep {file}"
        found = evidence.gather(file.stem.removeprefix("evidence-"), asked, records, command)
        written = evidence.write(found, jobs[0].folder.parents[1] / "evidence")
        print(f"\n{found}\n\nEvidence: {written}. A lesson shows it once it lies in data/results/evidence.")
    return int(failed)


def board_command(runs: Path | None, markdown: bool, out: Path | None) -> int:
    """`board`: all results beside the papers', on the screen or as files for a talk."""
    from compactlib.runs import board

    problems: list[str] = []
    try:
        with board.told(problems):
            table = None if out else board.table(runs)
            written = board.export(board.collect(runs), out) if out else []
    except ValueError as error:
        raise UsageError("\n".join([*problems, str(error)])) from None
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
    print(*(written or [table.to_markdown() if markdown else table]), sep="\n")
    return 0


def list_command(names: list[str]) -> int:
    """`list`: the course, or the parameters and profiles of the named notebooks."""
    from compactlib.runs import catalogue, parameters
    from compactlib.runs.tables import Table

    if not names:
        rows = [(n.number, n.name, n.title, ", ".join(["smoke", *n.profiles()])) for n in catalogue.notebooks()]
        print(Table(("no.", "name", "title", "profiles"), tuple(rows)))
        return 0
    for notebook in [found for name in names for found in catalogue.find(name)]:
        print(f"{notebook.stem}: {notebook.title}\n{parameters.listing(notebook.parameters.values())}\nProfiles:")
        print("  smoke  the defaults")
        for profile in notebook.profiles():
            print(f"  {profile}  {notebook.expectation(profile)}".rstrip())
        print()
    return 0


def doctor_command() -> int:
    """`doctor`: what the course uses, what is here and what to do about the rest; 1 if a package is missing."""
    from compactlib.runs import environment

    print(environment.report())
    return int(not environment.ready())


def student_command(names: list[str], out: Path) -> int:
    """`student`: an nbgrader course with the students' copies of the lessons."""
    from compactlib.course.student import CourseError, make_course
    from compactlib.runs import catalogue

    lessons = [found.path for name in names for found in catalogue.find(name) if found.is_lesson]
    try:
        print(*make_course(lessons, out), sep="\n")
    except (FileExistsError, CourseError) as error:
        raise UsageError(str(error)) from None
    return 0


def slides_command(names: list[str], out: Path) -> int:
    """`slides`: 0 if every lesson became a deck, 1 if one did not. "all" leaves out what is no lesson (90, 91)."""
    from compactlib.course.slides import SlideError, make_deck
    from compactlib.runs import catalogue
    from compactlib.runs.folders import DONE

    failed = False
    found = [notebook for name in names for notebook in catalogue.find(name) if name != "all" or notebook.is_lesson]
    for notebook in found:
        try:
            executed = runs_dir() / notebook.stem / catalogue.SMOKE / DONE  # its pictures are sharper
            print(make_deck(notebook.path, out / f"{notebook.stem}.html", executed=executed), flush=True)
        except SlideError as error:
            failed = True
            print(error, file=sys.stderr, flush=True)
    return int(failed)


def refresh_command(names: list[str]) -> int:
    """`refresh`: 0 if every notebook was rewritten, 1 if one failed (its file is then as it was)."""
    from compactlib.runs import catalogue
    from compactlib.runs import refresh as refreshing

    failed = False
    for notebook in [found for name in names for found in catalogue.find(name)]:
        try:
            print(f"{notebook.stem}: {refreshing.refresh(notebook.path)}", flush=True)
        except refreshing.RefreshError as error:
            failed = True
            print(f"{notebook.stem}: not refreshed. {error}", file=sys.stderr, flush=True)
    return int(failed)


def app_command(port: int, ip: str, no_token: bool, base_url: str) -> int:
    """`app`: serve the segmentation page until Ctrl-C."""
    if not 1 <= port <= 65535:
        raise UsageError(f"--port is {port}, expected 1 to 65535.")
    from compactlib.app.serve import serve  # here: Voila takes a second to import, and no other command needs it

    try:
        serve(port, ip, "" if no_token else None, base_url)
    except ValueError as error:
        raise UsageError(f"--base-url: {error}") from None
    except OSError as error:  # an address that this machine does not have
        raise UsageError(f"The app cannot listen on {ip}: {error}. Leave out --ip for this machine only.") from None
    return 0
