"""`andon backtest`: the plant's own history through changed detectors and the same ticket rules, beside the active ones."""

import argparse
import contextlib
import os
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from andon.backtests.report import backtest
from andon.backtests.run import Progress as Told
from andon.commands import Refused, moment
from andon.commands.output import write_json
from andon.commands.place import data_of, place_arguments, store_of
from andon.detector_sets import ChangeSet, read_change
from andon.events import Json

SHOWN = 60
BACKGROUND = 15  # niceness
CPU_MAX_S = 2 * 3600


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("change", type=Path, metavar="CHANGE.toml", help="what is to be different")
    place_arguments(parser)
    parser.add_argument("--assets", help="ids or globs, comma between (default: all that the change touches)")
    parser.add_argument("--from", dest="from_ns", type=moment, metavar="TIME", help="compare from then on")
    parser.add_argument("--to", dest="to_ns", type=moment, metavar="TIME", help="compare until then")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it here ('-': standard output)")
    parser.add_argument(
        "--progress",
        type=Path,
        metavar="FILE",
        help="in the background: write how far it is here, and work only when nobody else does",
    )


def run(arguments: argparse.Namespace) -> int:
    """Tell it and show it; 1 if the changed set misses a known fault that the active one catches, else 0."""
    store_of(arguments).dispose()
    if arguments.from_ns and arguments.to_ns and arguments.from_ns >= arguments.to_ns:
        raise Refused("--from has to be before --to")
    change = change_of(arguments.change)
    if arguments.progress is not None:
        os.nice(BACKGROUND)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_MAX_S, CPU_MAX_S))
    with _progress(arguments.progress) as progress:
        facts = backtest(
            data_of(arguments),
            change,
            assets=[one.strip() for one in (arguments.assets or "").split(",") if one.strip()],
            from_ns=arguments.from_ns,
            to_ns=arguments.to_ns,
            progress=progress,
        )
    if arguments.json is not None:
        write_json(arguments.json, facts)
    if arguments.json != Path("-"):
        show(facts)
    return int(facts["changed"]["caught"] < facts["active"]["caught"])


def change_of(path: Path) -> ChangeSet:
    """The change in that file; Refused or ConfigError if there is none."""
    try:
        return read_change(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read: {error}") from error


@contextlib.contextmanager
def _progress(file: Path | None) -> Iterator[Told]:
    """A bar on the terminal, or a file that says the percentage."""
    if file is not None:
        said = [-1]

        def note(done: int, total: int) -> None:
            percent = 100 * done // total
            if percent > said[0]:
                said[0] = percent
                file.write_text(str(percent))

        yield note
        return
    columns = (TextColumn("history"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("history", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show(facts: Mapping[str, Json]) -> None:
    """Both variants side by side, then event by event."""
    console = Console()
    warm = facts["warm_up"]
    print(f"{', '.join(facts['assets'])}: {facts['from']} to {facts['to']}, ", end="")
    print(f"warmed up for {warm['hours']:.1f} h from {warm['from']}")
    if warm["from_series_hours"]:
        print(f"the first {warm['from_series_hours']:.1f} h are stored readings and stops, without waveforms")
    for one in warm["not_judged_in_series"]:
        print(f"  not judged there: {one['asset']} {one['kind']}")
    console.print(_beside(facts))
    if facts["sweep"]["values"]:
        console.print(_swept(facts["sweep"]))
    for what in ("tickets", "findings"):
        if facts[what]:
            console.print(_events(what, facts[what]))
    print(
        "0 of the labels are of this time"
        if not facts["labels"]
        else f"{len(facts['labels'])} labels counted"
    )


def _beside(facts: Mapping[str, Json]) -> Table:
    table = Table("", f"active (set {facts['set_version']})", "changed", title=facts["note"] or None)
    rows = {
        "findings": "findings",
        "tickets": "tickets",
        "tickets a week": "tickets_per_week",
        "root-cause tasks": "rcas",
        "known faults": "known_faults",
        "  caught": "caught",
        "false tickets": "false_tickets",
        "tickets nothing is known of": "unlabelled_tickets",
    }
    sides = facts["active"], facts["changed"]
    for name, key in rows.items():
        table.add_row(name, *(_number(side[key]) for side in sides))
    table.add_row("lead, median", *(_lead(side) for side in sides))
    table.add_row("seconds worked", *(f"{side['cost']['seconds']:.1f}" for side in sides))
    return table


def _swept(sweep: Mapping[str, Json]) -> Table:
    table = Table(sweep["parameter"], "tickets a week", "caught", "false", "lead, median")
    for row in sweep["values"]:
        counts = (row["tickets_per_week"], row["caught"], row["false_tickets"])
        table.add_row(f"{row['value']:g}", *map(_number, counts), _lead(row))
    return table


def _events(what: str, rows: list[Mapping[str, Json]]) -> Table:
    table = Table("", "asset", "component", "condition", "active", "changed", "known", title=what)
    for row in rows[:SHOWN]:
        times = [at[5:16].replace("T", " ") if at else "–" for at in (row["active_at"], row["changed_at"])]
        what_is_known = f"{row['known']} ({row['said_by']})" if row["known"] else ""
        verdict = row["verdict"].replace("_", " ")
        table.add_row(verdict, row["asset"], row["component"], row["condition"], *times, what_is_known)
    if len(rows) > SHOWN:
        table.caption = f"the first {SHOWN} of {len(rows)}; --json has all"
    return table


def _number(value: Json) -> str:
    return "–" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


def _lead(side: Mapping[str, Json]) -> str:
    return "–" if side["lead_s"] is None else f"{side['lead_s']['median'] / 60:.0f} min"
