"""`andon deadletters`: the messages that could not be used, newest first, with their reasons."""

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from andon.commands import Refused
from andon.commands.output import write_json
from andon.database import reading
from andon.datadir import open_store
from andon.events import rfc3339
from ingest import deadletters


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE")


def run(arguments: argparse.Namespace) -> int:
    """List them; 0 also when there are none."""
    if not (arguments.data / "andon.sqlite").exists():
        raise Refused(f"{arguments.data} holds no installation")
    with reading(open_store(arguments.data)) as conn:
        letters = deadletters.recent(conn, arguments.limit)
        counts = deadletters.counts(conn)
    if arguments.json is not None:
        rows = [asdict(x) | {"topic": repr(x.topic), "head": repr(x.head)} for x in letters]
        write_json(arguments.json, {"counts": dict(counts), "dead_letters": rows})
        return 0
    table = Table(
        "received",
        "reason",
        "topic",
        "detail",
        "head",
        title=", ".join(f"{k} {v}" for k, v in counts.items()),
    )
    for letter in letters:
        topic = letter.topic.decode("utf-8", "backslashreplace")
        head = letter.head[:60].decode("utf-8", "backslashreplace")
        table.add_row(rfc3339(letter.received_ns), letter.reason, topic, letter.detail, head)
    Console().print(table)
    return 0
