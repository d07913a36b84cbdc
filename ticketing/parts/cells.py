"""Cells of a CSV file that a spreadsheet opens: no text of ours is ever run as a formula.

Source: OWASP, CSV Injection; the full-width signs are taken for the same by spreadsheets with an East Asian locale.
"""

from collections.abc import Iterable, Sequence
from csv import writer
from io import StringIO

_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
BOM = "\ufeff"
"""A spreadsheet takes a file for UTF-8 only if it begins so."""


def escaped(value: object) -> str:
    """A cell: numbers as they are, a text that would be taken for a formula behind an apostrophe.

    >>> escaped("=HYPERLINK(1)"), escaped(-3), escaped("seal"), escaped(None)
    ("'=HYPERLINK(1)", '-3', 'seal', '')
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    return f"'{value}" if value.lstrip(" ").startswith(_RUNS) else value


def unescaped(cell: str) -> str:
    """What stood in the cell before it was escaped.

    >>> unescaped("'=1"), unescaped("'s-Hertogenbosch")
    ('=1', "'s-Hertogenbosch")
    """
    behind = cell[1:]
    return behind if cell.startswith("'") and behind.lstrip(" ").startswith(_RUNS) else cell


def sheet(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A whole file, as RFC 4180 has it."""
    written = StringIO()
    lines = writer(written)
    lines.writerow(columns)
    lines.writerows([escaped(value) for value in row] for row in rows)
    return BOM + written.getvalue()
