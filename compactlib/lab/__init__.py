"""What the cells of a notebook call.

`start` opens a run in a notebook's setup cell, `Result` and `Paper` say what it found and what to hold it against,
`evidence` shows what longer runs have found, `check` says whether an exercise is right, `board` sets all runs beside
the papers' numbers. Pictures are in `figures` and its neighbours.
"""

from compactlib.lazy import lazy

PLACES = {
    "Evidence": "compactlib.runs.evidence",
    "NotYet": "compactlib.lab.checks",
    "Paper": "compactlib.runs.papers",
    "ParameterError": "compactlib.runs.parameters",
    "Record": "compactlib.runs.results",
    "Result": "compactlib.runs.results",
    "Run": "compactlib.runs.run",
    "ablation": "compactlib.training.ablation:",
    "ablation_figures": "compactlib.figures.ablations:",
    "board": "compactlib.runs.board:",
    "check": "compactlib.lab.checks",
    "environment": "compactlib.runs.environment:",
    "execute": "compactlib.runs.execute:",  # its old address
    "evidence": "compactlib.runs.evidence",
    "evidence_names": "compactlib.runs.evidence",
    "figures": "compactlib.figures:",
    "first_number": "compactlib.runs.papers",
    "grading": "compactlib.runs.grading:",  # its old address
    "load_table": "compactlib.runs.papers",
    "mask_figures": "compactlib.figures.masks:",
    "paper_for": "compactlib.runs.papers",
    "paper_value": "compactlib.runs.papers",
    "processes": "compactlib.runs.processes:",
    "scene_figures": "compactlib.figures.scenes:",
    "segment_figures": "compactlib.figures.overviews:",
    "source": "compactlib.lab.show_source",
    "start": "compactlib.lab.begin",
}
__all__ = list(PLACES)
__getattr__, __dir__ = lazy(__name__, PLACES)
