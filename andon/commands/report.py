"""`andon report`: a month's closing quality, heat map or TOP 10, a day's drift list, a ticket's dossier, as PDF."""

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from andon.clock import wall
from andon.commands import Refused
from andon.commands.place import data_of, place_arguments, store_of
from api.catalogue import LANGUAGES
from api.reporting.making import make
from api.reporting.order import Order
from api.reporting.papers import PAPERS, Asks, Step

_SETTING = 1
"""One more step than are gathered: the setting."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("name", choices=list(PAPERS), help="which report")
    place_arguments(parser)
    about = parser.add_mutually_exclusive_group()
    about.add_argument(
        "--month", metavar="2026-10", help="the month, or `rolling` for 30 days (default: this one)"
    )
    about.add_argument("--day", metavar="2026-10-05", help="drift: the day (default: the newest list)")
    about.add_argument("--ticket", metavar="N", help="dossier: the ticket's number, like A-42 or 42")
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="zh or en (default: en)")
    parser.add_argument("--out", type=Path, metavar="FILE.pdf", help="where to (default: its name, here)")
    parser.add_argument(
        "--progress",
        type=Path,
        metavar="FILE",
        help="in the background: write how many percent are done here",
    )


def run(arguments: argparse.Namespace) -> int:
    """Make it; 0 when it lies there."""
    asks = PAPERS[arguments.name].asks
    given = {Asks.MONTH: arguments.month, Asks.DAY: arguments.day, Asks.TICKET: arguments.ticket}
    wrong = [str(one) for one, said in given.items() if said is not None and one is not asks]
    if wrong:
        raise Refused(f"{arguments.name} is about a {asks}, not about a {wrong[0]}: give --{asks}")
    about = (given[asks] or "").removeprefix("A-")
    if asks is Asks.TICKET and not about.isdecimal():
        raise Refused("name the ticket: --ticket A-42")
    out = arguments.out or Path(f"{arguments.name}{f'-{about}' if about else ''}.pdf")
    order = Order(arguments.name, about, arguments.language)
    database = store_of(arguments)
    with _told(arguments.progress) as step:
        make(database, data_of(arguments), order, out, now_ns=wall(), step=step)
    if arguments.progress is None:
        print(f"{out}: {out.stat().st_size / 1024:.0f} kB")
    return 0


@contextlib.contextmanager
def _told(file: Path | None) -> Iterator[Step]:
    """A bar on the terminal, or a file that says the percentage; full once all is set."""
    if file is not None:
        os.nice(5)

        def note(done: int, of: int) -> None:
            file.write_text(str(100 * done // (of + _SETTING)))

        yield note
        file.write_text("100")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("report", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of + _SETTING)
        bar.update(task, completed=bar.tasks[task].total)
