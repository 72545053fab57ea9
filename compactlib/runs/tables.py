"""A small table that prints in a terminal, in Markdown, in LaTeX, in a notebook and in the report."""

import html
import re
from dataclasses import dataclass

# What LaTeX reads as a command, as the sign itself.
LATEX = str.maketrans(
    {sign: rf"\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}
    | {"±": r"$\pm$", "×": r"$\times$", "—": "---"}
)
# What Markdown reads as a command or as HTML, as the sign itself.
MARKDOWN = str.maketrans(
    {sign: rf"\{sign}" for sign in "|[]*`~"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\\": "&#92;"}
)
EDGE = re.compile(
    r"(?<![^\W_])_|_(?![^\W_])"
)  # an underscore that Markdown takes for emphasis; within a name it is none
BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")  # ends of lines, and what else steers a terminal


def flat(text: str) -> str:
    """The text in one line, without control characters: what is in a file may hold any."""
    return BREAKS.sub(" ", text).strip()


@dataclass(frozen=True, repr=False)
class Table:
    """Rows of text under column names. `numeric` names the columns that are set flush right. Entries may hold any sign:
    in every form it stands for itself."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[str, ...] = ()
    note: str = ""

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        rows = [tuple(map(flat, row)) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(self.columns, *rows, strict=True)]

        def line(entries: tuple[str, ...]) -> str:
            cells = zip(self.columns, entries, widths, strict=True)
            return "  ".join(f"{e:>{w}}" if c in self.numeric else f"{e:<{w}}" for c, e, w in cells).rstrip()

        rule = "  ".join("-" * width for width in widths)
        return "\n".join([line(self.columns), rule, *map(line, rows), *([self.note] if self.note else [])])

    def to_markdown(self) -> str:
        """The table in GitHub's Markdown."""

        def line(entries: tuple[str, ...]) -> str:
            return "| " + " | ".join(EDGE.sub(r"\_", flat(entry).translate(MARKDOWN)) for entry in entries) + " |"

        rule = "|" + "|".join(" ---: " if c in self.numeric else " --- " for c in self.columns) + "|"
        return "\n".join(
            [
                line(self.columns),
                rule,
                *map(line, self.rows),
                *(["", self.note] if self.note else []),
            ]
        )

    def to_latex(self) -> str:
        """The table as a LaTeX `tabular`, which needs no package."""

        def line(entries: tuple[str, ...]) -> str:
            return " & ".join(flat(entry).translate(LATEX) for entry in entries) + r" \\"

        sides = "".join("r" if column in self.numeric else "l" for column in self.columns)
        head = [rf"\begin{{tabular}}{{{sides}}}", r"\hline", line(self.columns), r"\hline"]
        tail = [r"\hline", r"\end{tabular}", *([r"\par " + self.note.translate(LATEX)] if self.note else [])]
        return "\n".join([*head, *map(line, self.rows), *tail])

    def _repr_html_(self) -> str:
        def cells(entries: tuple[str, ...], tag: str) -> str:
            sides = ("right" if column in self.numeric else "left" for column in self.columns)
            pairs = zip(entries, sides, strict=True)
            return "".join(f'<{tag} style="text-align:{side}">{html.escape(e)}</{tag}>' for e, side in pairs)

        body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in self.rows)
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        return f"<table><thead><tr>{cells(self.columns, 'th')}</tr></thead><tbody>{body}</tbody></table>{note}"
