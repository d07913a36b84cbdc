"""`andon evaluate`: what the detectors make of a recorded data set, with one set of parameters for all of it."""

import argparse
import importlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from andon.commands import Refused
from andon.commands.output import write_json
from andon.evaluations import SETS
from andon.events import Json

T = TypeVar("T")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("set", choices=SETS, help="; ".join(f"{name}: {what}" for name, what in SETS.items()))
    parser.add_argument("folder", type=Path, metavar="DIR", help="where its recordings are")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a row per recording and the summary")
    parser.add_argument("--scores", type=Path, metavar="DIR", help="nab, skab: write a score per row here")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="recordings worked on at once (default: cores)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Rate every recording of the set; 0 once all are rated."""
    kind = importlib.import_module(f"andon.evaluations.{arguments.set}")
    try:
        paths: list[Path] = kind.files(arguments.folder)
        rate = partial(kind.rate, folder=arguments.folder, scores=arguments.scores)
        rated = _shown(_rated(rate, paths, arguments.jobs), arguments.set, len(paths))
        rows = [row for told in rated for row in (told if isinstance(told, list) else [told])]
    except (OSError, ValueError) as error:
        raise Refused(str(error)) from error
    summary: dict[str, Json] = kind.summary(rows)
    document = {"set": arguments.set, "parameters": kind.PARAMETERS, "files": rows, "summary": summary}
    if arguments.json is not None:
        write_json(arguments.json, document)
    if arguments.json != Path("-"):
        _say(arguments.set, rows, summary)
    return 0


def _rated(rate: "partial[Json]", paths: list[Path], jobs: int) -> Iterator[Json]:
    """A row per recording, or a list of them, in their order, on several cores: no recording knows of another."""
    if jobs == 1 or len(paths) == 1:
        yield from map(rate, paths)
        return
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn")) as workers:
        yield from workers.map(rate, paths)


def _shown(rows: Iterable[T], name: str, total: int) -> Iterator[T]:
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total)
        for row in rows:
            bar.advance(task)
            yield row


def _say(name: str, rows: list[dict[str, Json]], summary: dict[str, Json]) -> None:
    console = Console()
    table = Table(title=name, header_style="bold")
    for key in rows[0]:
        table.add_column(key)
    for row in rows:
        table.add_row(*(_short(value) for value in row.values()))
    console.print(table)
    for key, value in summary.items():
        said = ", ".join(map(_short, value)) if isinstance(value, list) else _short(value)
        console.print(f"{key}: {said}", highlight=False)


def _short(value: Json) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{len(value)}" if isinstance(value, list) else str(value)
