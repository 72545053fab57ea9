"""The results board: every recorded run, ours beside the papers', as tables, as pictures, and as files for a talk."""

from compactlib.lab.board import figures
from compactlib.lab.board.export import export
from compactlib.lab.board.page import BoardPage
from compactlib.lab.board.records import COMMITTED, collect, select, table, told
from compactlib.lab.board.tables import coverage, paper_tables, whole_table
from compactlib.lab.papers import paper_value

__all__ = [
    "COMMITTED",
    "BoardPage",
    "collect",
    "coverage",
    "export",
    "figures",
    "paper_tables",
    "paper_value",
    "select",
    "table",
    "told",
    "whole_table",
]
