"""Tables that leave Warmline: as CSV for a spreadsheet, as JSON for a program."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: What a cell may hold; None is an empty one.
Cell = str | int | float | bool | None

#: What a spreadsheet takes for a formula at the beginning of a cell, also in its wide forms.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True)
class Table:
    """A table with its heading.

    Args:
        title: what it is, in a few words; the heading where it is printed.
        columns: for each column its name in CSV and JSON, and its heading where it is printed.
        rows: each with one cell for every column, in the order of the columns.
        notes: what the reader has to know, a sentence each; printed above the table.

    Raises:
        ValueError: if a row has more or fewer cells than there are columns.
    """

    title: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"{self.title}: row {number} has {len(row)} cells, not {len(self.columns)}"
                )


def as_csv(table: Table) -> str:
    """A table as CSV (RFC 4180), with the names of its columns first.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_safe(name) for name in table.columns])
    writer.writerows([_safe(cell) for cell in row] for row in table.rows)
    return text.getvalue()


def as_json(table: Table) -> dict[str, Any]:
    """A table as plain values for JSON: its title, its notes, and each row by column names."""
    return {
        "title": table.title,
        "notes": list(table.notes),
        "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
    }


def shown(cell: Cell) -> str:
    """A cell as it is printed: empty for None, ``yes`` or ``no``, at most two decimals."""
    match cell:
        case None:
            return ""
        case bool():
            return "yes" if cell else "no"
        case float():
            return f"{cell:.2f}".rstrip("0").rstrip(".")
        case _:
            return str(cell)


def _safe(cell: Cell) -> Cell:
    # Blanks before it are dropped by some programs before they look.
    if isinstance(cell, str) and cell.lstrip(" ").startswith(FORMULA):
        return f"'{cell}"
    return cell
