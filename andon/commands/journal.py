"""`andon journal`: what was received, as it was received: how much there is, whether it is sound, and out of it.

It reads beside an installation that runs.
"""

import argparse
import base64
import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from andon import history, manifest
from andon.commands import Refused, moment
from andon.commands.output import write_json
from andon.commands.place import data_of, place_arguments, store_of
from andon.database import reading
from andon.events import Json, rfc3339
from andon.ports import Record
from andon.soundness import Advance, Soundness, verify
from andon.taking import position_at, walk
from andon.upkeep import needed
from ingest.frames import encode
from ingest.journal import SqliteJournal

_ALL_INLINE = 2**32
_NEVER_NS = 2**63


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("what", choices=["stat", "verify", "export"])
    place_arguments(parser)
    parser.add_argument("--source", help="only this source (export: needed if there are several)")
    parser.add_argument("--from", dest="from_ns", type=moment, metavar="TIME", help="export: received since")
    parser.add_argument("--to", dest="to_ns", type=moment, metavar="TIME", help="export: received before")
    parser.add_argument(
        "--raw", action="store_true", help="export: frames as they are stored, with checksums"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="export: write here (default: standard output)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="stat, verify: write it here ('-': standard output)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it; verify ends with 1 if anything is not as it was written or does not add up."""
    folders = sorted(path for path in (data_of(arguments) / "journal").glob("*/") if path.is_dir())
    if arguments.source is not None:
        folders = [path for path in folders if path.name == arguments.source]
    if not folders:
        raise Refused(f"there is no journal of {arguments.source or 'any source'} in {data_of(arguments)}")
    match arguments.what:
        case "stat":
            return _stat(arguments, folders)
        case "verify":
            return _verify(arguments, folders)
        case _:
            try:
                return _export(arguments, folders)
            except BrokenPipeError:  # whoever read it has enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return 0


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(folder, read_only=True)
    try:
        yield journal
    finally:
        journal.close()


def _stat(arguments: argparse.Namespace, folders: list[Path]) -> int:
    with reading(store_of(arguments)) as conn:
        at = manifest.where_each_source_stands(conn)
    rows = {folder.name: _facts(folder, at.get(folder.name, 0)) for folder in folders}
    if arguments.json is not None:
        write_json(arguments.json, {"sources": rows})
        return 0
    table = Table("source", "records", "positions", "taken", "MiB", "files", "first", "last", "kept by")
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row['records']:,}",
            f"{row['start']} … {row['end']}",
            str(row["taken"]),
            f"{row['bytes'] / 1024**2:.1f}",
            str(row["files"]),
            row["first_at"] or "",
            row["last_at"] or "",
            row["kept_by"],
        )
    Console().print(table)
    return 0


def _facts(folder: Path, taken: int) -> dict[str, Json]:
    with _opened(folder) as journal:
        files = journal.files()
        start, end = journal.start(), journal.end()
        first_ns = next(
            (records[0].received_ns for _, records, _ in walk(journal, start, end) if records), None
        )
    last_ns = next((file.last_ns for file in reversed(files) if file.last_ns is not None), None)
    keeps = needed(folder)
    return {
        "records": end - start,
        "start": start,
        "end": end,
        "taken": taken,
        "needed": keeps,
        "bytes": sum(file.size_bytes for file in files),
        "files": len(files),
        "first_at": None if first_ns is None else rfc3339(first_ns),
        "last_at": None if last_ns is None else rfc3339(last_ns),
        "kept_by": "restart" if keeps <= start else "history" if keeps >= end else "history, restart",
    }


def _verify(arguments: argparse.Namespace, folders: list[Path]) -> int:
    data, database = data_of(arguments), store_of(arguments)
    with reading(database) as conn:
        at, stages = manifest.where_each_source_stands(conn), manifest.counted(conn)
    if arguments.source is None:  # one whose folder is gone is not sound either
        folders = sorted({*folders, *(data / "journal" / name for name in at)})
    ends = {}
    for folder in folders:
        with _opened(folder) as journal:
            ends[folder.name] = journal.end() - journal.start()
    found: dict[str, Soundness] = {}
    with _progress(sum(ends.values())) as advance:
        order = list(history.recorded(data, database))
        for folder in folders:
            with _opened(folder) as journal:
                counts: Counter[str] = stages.get(f"source.{folder.name}", Counter())
                taken = at.get(folder.name, 0)
                found[folder.name] = verify(
                    folder.name, journal, order, taken=taken, counts=counts, advance=advance
                )
    sound = not any(one.problems for one in found.values())
    if arguments.json is not None:
        write_json(
            arguments.json, {"sound": sound, "sources": {name: one.json() for name, one in found.items()}}
        )
        return 0 if sound else 1
    for name, one in found.items():
        print(
            f"{name}: {one.records:,} records, {len(one.problems) or 'no'} problem{'s' * (len(one.problems) != 1)}"
        )
        for problem in one.problems:
            print(f"  {problem}")
    return 0 if sound else 1


def _export(arguments: argparse.Namespace, folders: list[Path]) -> int:
    if arguments.raw and len(folders) > 1:
        raise Refused(f"frames are of one source: --source {' or '.join(path.name for path in folders)}")
    with contextlib.ExitStack() as stack:
        out = sys.stdout.buffer if arguments.out is None else stack.enter_context(arguments.out.open("wb"))
        from_ns = 0 if arguments.from_ns is None else arguments.from_ns
        to_ns = _NEVER_NS if arguments.to_ns is None else arguments.to_ns
        corrupt = 0
        for folder in folders:
            journal = stack.enter_context(_opened(folder))
            end = journal.end()
            position = position_at(journal, journal.start(), end, from_ns) if from_ns else journal.start()
            for first, records, lost in walk(journal, position, end):
                corrupt += lost
                if records and records[0].received_ns >= to_ns:
                    break
                for place, record in enumerate(records, first):
                    if from_ns <= record.received_ns < to_ns:
                        _write(out, folder.name, place, record, raw=arguments.raw)
        out.flush()
    if corrupt:
        print(f"{corrupt} records are not as they were written and were left out", file=sys.stderr)
    return 1 if corrupt else 0


def _write(out: BinaryIO, source: str, position: int, record: Record, *, raw: bool) -> None:
    if raw:
        frames, _ = encode([record], position, inline_bytes=_ALL_INLINE, offset=0)
        out.write(position.to_bytes(8, "little") + frames)
        return
    out.write(json.dumps(row_of(source, position, record), ensure_ascii=False).encode() + b"\n")


def row_of(source: str, position: int, record: Record) -> Mapping[str, Json]:
    """A record as JSON: its body as text where it is UTF-8, else in base64."""
    row: dict[str, Json] = {
        "source": source,
        "position": position,
        "kind": record.kind.name.lower(),
        "received_at": rfc3339(record.received_ns),
        "received_ns": record.received_ns,
        "topic": record.topic.decode("utf-8", "backslashreplace"),
        "connection": record.connection,
        "packet": record.packet,
        "flags": record.flags,
    }
    try:
        row["body"] = record.body.decode()
    except UnicodeDecodeError:
        row["body_base64"] = base64.b64encode(record.body).decode()
    return row


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Advance]:
    columns = (
        TextColumn("journal"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} records"),
    )
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("journal", total=total)
        yield lambda count: bar.advance(task, count)
