"""What only notebooks need: parameters, runs and their records, figures, exercise checks.

`start` opens a run in a notebook's setup cell, `Result` and `Paper` say what it found and what to hold it against,
`board` sets all runs beside the papers' numbers. The command line (`python -m compactlib`) uses `runner` and `refresh`.
"""

from compactlib.lab import board, environment, figures, mask_figures, processes, scene_figures, segment_figures
from compactlib.lab.checks import NotYet, check
from compactlib.lab.evidence_record import Evidence, evidence, evidence_names
from compactlib.lab.papers import Paper, first_number, load_table, paper_for, paper_value
from compactlib.lab.parameters import ParameterError
from compactlib.lab.results import Record, Result
from compactlib.lab.run import Run
from compactlib.lab.source import source
from compactlib.lab.start import start

__all__ = [
    "Evidence",
    "NotYet",
    "Paper",
    "ParameterError",
    "Record",
    "Result",
    "Run",
    "board",
    "check",
    "environment",
    "evidence",
    "evidence_names",
    "figures",
    "first_number",
    "load_table",
    "mask_figures",
    "paper_for",
    "paper_value",
    "processes",
    "scene_figures",
    "segment_figures",
    "source",
    "start",
]
