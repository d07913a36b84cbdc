"""`andon gaps`: data that is known to be missing, newest first, and why."""

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from andon.commands.output import write_json
from andon.commands.place import place_arguments, store_of
from andon.database import reading
from andon.events import rfc3339
from ingest import gaps


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    place_arguments(parser)
    parser.add_argument(
        "--open", action="store_true", help="only those that have not ended, the longest first"
    )
    parser.add_argument("--source", help="only those of this source")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write them here ('-': standard output)")


def run(arguments: argparse.Namespace) -> int:
    """List them; 0 also when there are none."""
    with reading(store_of(arguments)) as conn:
        if arguments.open:
            found = gaps.open_gaps(conn, arguments.source)[: arguments.limit]
        else:
            found = gaps.recent(conn, arguments.limit, arguments.source)
    if arguments.json is not None:
        write_json(arguments.json, {"gaps": [asdict(gap) for gap in found]})
        return 0
    table = Table("source", "of", "why", "from", "to", "came after all")
    for gap in found:
        of = "all" if gap.asset is None else f"{gap.asset} {gap.point or ''}".strip()
        end = "still open" if gap.to_ns is None else rfc3339(gap.to_ns)
        table.add_row(gap.source, of, gap.cause, rfc3339(gap.from_ns), end, "yes" if gap.backfilled else "no")
    Console().print(table)
    return 0
