"""What a report says, block by block, as data: titles, figures, tables, heat maps, bars, facts and pictures.

Everything is text or a number; the template sets it and runs none of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from andon.events import Json

Block = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A report. `pictures` are the files that its blocks name; `wide` turns the page."""

    title: str
    subtitle: str
    blocks: Sequence[Block]
    wide: bool = False
    pictures: Mapping[str, Path] = field(default_factory=dict)


def text(said: str, title: str = "") -> Block:
    """A paragraph."""
    return {"kind": "text", "title": title, "note": "", "text": said}


def figures(title: str, items: Sequence[tuple[str, str, str, str]], note: str = "") -> Block:
    """Numbers to look at first: (name, value, what stands under it, verdict "healthy", "watch", "act" or "plain")."""
    names = ("name", "value", "note", "verdict")
    return {
        "kind": "figures",
        "title": title,
        "note": note,
        "items": [dict(zip(names, one, strict=True)) for one in items],
    }


def listing(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    note: str = "",
    wide: int = 0,
    numbers: Sequence[int] = (),
) -> Block:
    """A table; the column `wide` takes the room that is left, those of `numbers` stand at the right."""
    heads = [
        {"name": name, "wide": place == wide, "number": place in numbers}
        for place, name in enumerate(columns)
    ]
    return {
        "kind": "listing",
        "title": title,
        "note": note,
        "columns": heads,
        "rows": [list(row) for row in rows],
    }


def heat(
    title: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[int], int]],
    *,
    total: str,
    note: str = "",
) -> Block:
    """Counts with colours: rows of (name, one count for each column, all of the row)."""
    most = max((n for _, cells, _ in rows for n in cells), default=0)
    return {
        "kind": "heat",
        "title": title,
        "note": note,
        "columns": list(columns),
        "sum": total,
        "most": most,
        "rows": [{"name": name, "cells": list(cells), "total": whole} for name, cells, whole in rows],
    }


def bars(title: str, items: Sequence[tuple[str, float, str]], note: str = "") -> Block:
    """Bars from the longest to the shortest: (name, length, what stands beside it)."""
    return {
        "kind": "bars",
        "title": title,
        "note": note,
        "items": [{"name": name, "value": value, "text": said} for name, value, said in items],
    }


def facts(title: str, items: Sequence[tuple[str, str]]) -> Block:
    """Names with what they are."""
    return {"kind": "facts", "title": title, "note": "", "items": [list(one) for one in items]}


def pictures(title: str, items: Sequence[tuple[str, str]]) -> Block:
    """Pictures by the names of their files, each with a line under it."""
    return {
        "kind": "pictures",
        "title": title,
        "note": "",
        "items": [{"file": file, "text": said} for file, said in items],
    }
