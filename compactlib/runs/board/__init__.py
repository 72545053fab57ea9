"""The results board: every recorded run, ours beside the papers', as tables, as pictures, and as files for a talk."""

from compactlib.lazy import lazy

PLACES = {
    "COMMITTED": "compactlib.runs.board.records",
    "BoardPage": "compactlib.runs.board.page",
    "collect": "compactlib.runs.board.records",
    "coverage": "compactlib.runs.board.tables",
    "export": "compactlib.runs.board.talk",
    "figures": "compactlib.runs.board.pictures:",
    "paper_tables": "compactlib.runs.board.tables",
    "paper_value": "compactlib.runs.papers",
    "select": "compactlib.runs.board.records",
    "table": "compactlib.runs.board.records",
    "told": "compactlib.runs.board.records",
    "whole_table": "compactlib.runs.board.tables",
}
__all__ = list(PLACES)
__getattr__, __dir__ = lazy(__name__, PLACES)
