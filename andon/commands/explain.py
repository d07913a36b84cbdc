"""`andon explain`: one finding with all that it rests on, as a page in one file that needs no network."""

import argparse
import contextlib
import os
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from andon import plants
from andon.clock import wall
from andon.commands import Refused
from andon.commands.place import data_of, place_arguments, store_of
from andon.database import reading
from andon.events import rfc3339
from api.catalogue import LANGUAGES, negotiate, words_of
from api.visit import zone_named
from api.web.alone import LibraryMissing, page_of
from api.web.explained import explain
from api.web.formats import PlantTime
from api.web.reader import Reader
from ingest.series import SeriesStore
from ticketing import findings
from ticketing.ticket import Occurrence

_LISTED = 8


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "finding", metavar="FINDING", help="a finding's id, the beginning of one, or a ticket's number"
    )
    place_arguments(parser)
    parser.add_argument(
        "--output", type=Path, metavar="FILE.html", help="write here (default: finding-ID.html)"
    )
    parser.add_argument("--language", choices=LANGUAGES, help="of the page (default: that of your terminal)")
    parser.add_argument("--open", action="store_true", help="open it in the browser")


def run(arguments: argparse.Namespace) -> int:
    """Write the page; 0 when it is written."""
    database = store_of(arguments)
    words = words_of(arguments.language or negotiate(None, locale_named()))
    with reading(database) as conn, contextlib.closing(_series(data_of(arguments))) as series:
        one = _found(conn, arguments.finding)
        plant = plants.latest(conn)
        if plant is None:
            raise Refused("no plant document was ever in force here")
        time = PlantTime(zone_named(plant.time_zone), wall(), words)
        it = explain(conn, one, Reader(plant, series, words, time))
    path = arguments.output or Path(f"finding-{findings.episode_of(one.finding)[:12]}.html")
    try:
        page = page_of(it, plant, words, time)
        path.write_text(page, "utf-8")
    except LibraryMissing as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from error
    print(f"{path}: {it.verdict.striptags()}")
    if arguments.open:
        webbrowser.open(path.resolve().as_uri())
    return 0


def _series(data: Path) -> SeriesStore:
    return SeriesStore(data / "series.sqlite", read_only=True)


def locale_named() -> str:
    """The language of the terminal, as POSIX says it: the first of these that is set."""
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return next(filter(None, named), "")


def _found(conn: Connection, given: str) -> Occurrence:
    """The finding that is meant; Refused names those that may be."""
    one = findings.finding(conn, given) or findings.leading(conn, given)
    if one is not None:
        return one
    fits = findings.beginning(conn, given)
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise Refused(f"{len(fits)} findings begin with {given!r}; say more of it:\n{_listed(fits)}")
    near = findings.near(conn, given)
    said = (
        f"; did you mean {' or '.join(near)}?"
        if near
        else "; an id, its beginning or a ticket's number is wanted"
    )
    raise Refused(f"there is no finding and no ticket {given!r}{said}")


def _listed(fits: Sequence[Occurrence]) -> str:
    lines = [f"  {one.finding}  {rfc3339(one.at_ns)}  {one.asset}  {one.condition}" for one in fits[:_LISTED]]
    return "\n".join([*lines, *(["  ..."] if len(fits) > _LISTED else [])])
