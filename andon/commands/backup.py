"""`andon backup`: one consistent set of an installation that goes on working, in one file."""

import argparse
import contextlib
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from andon import clock
from andon.backups import NotDone
from andon.backups.archive import Advance, Pace
from andon.backups.take import back_up
from andon.commands import Refused, positive
from andon.commands.output import write_json
from andon.commands.place import data_of, place_arguments
from andon.events import rfc3339

PASSPHRASE = "ANDON_BACKUP_PASSPHRASE"  # noqa: S105 - the name of a variable
SHORTEST = 12
_MEGABYTE = 1_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "target", type=Path, metavar="FILE|DIR", help="the file, or a folder where it is named by its time"
    )
    place_arguments(parser)
    passphrase_arguments(parser)
    parser.add_argument(
        "--rate",
        type=positive,
        default=50.0,
        metavar="MB/S",
        help="at most so fast, for the disk's sake (default 50)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write what is in it here ('-': standard output)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Take it; 1 if it could not be taken, or holds files that were damaged before."""
    data = data_of(arguments)
    now_ns = clock.wall()
    target: Path = arguments.target
    if target.is_dir():
        stamp = rfc3339(now_ns)[:19].replace("-", "").replace(":", "") + "Z"
        target /= f"andon-{stamp}.tar"
    if not target.parent.is_dir():
        raise Refused(f"{target.parent} is no folder: make it first")
    passphrase = passphrase_of(arguments)
    config = arguments.config if arguments.data is None or arguments.config.exists() else None
    with progress("backup", _size_of(data)) as advance:
        try:
            facts = back_up(
                data,
                target,
                config=config,
                passphrase=passphrase,
                pace=Pace(arguments.rate * _MEGABYTE, advance),
                now=clock.wall,
                version=version("andon"),
            )
        except (NotDone, OSError) as error:
            raise Refused(str(error)) from error
    if arguments.json is not None:
        write_json(arguments.json, {"file": str(target), **facts})
    else:
        print(
            f"{target}: {target.stat().st_size:,} bytes, up to batch {facts['batch']}, as of {facts['began_at']}"
        )
        if passphrase is None:
            print(
                f"it is not encrypted: keep it where nobody else reads, or set {PASSPHRASE} or --passphrase-file"
            )
    for name in facts["damaged"]:
        print(f"{name} was damaged before, and is in it as it is")
    return 1 if facts["damaged"] else 0


def passphrase_arguments(parser: argparse.ArgumentParser) -> None:
    """How a passphrase is given: never on the command line, which others can see."""
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help=f"its first line opens the backup (or {PASSPHRASE} in the environment)",
    )


def passphrase_of(arguments: argparse.Namespace) -> str | None:
    """The passphrase that is given, None if there is none; Refused if it is too short to be one."""
    found = os.environ.get(PASSPHRASE)
    if arguments.passphrase_file is not None:
        try:
            found = arguments.passphrase_file.read_text("utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"{arguments.passphrase_file} cannot be read: {error}") from error
    if found is not None and len(found) < SHORTEST:
        raise Refused(f"a passphrase of fewer than {SHORTEST} characters keeps nobody out: take a longer one")
    return found


@contextlib.contextmanager
def progress(title: str, size: int) -> Iterator[Advance]:
    """A bar on standard error, of bytes."""
    columns = TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=size)
        yield lambda count: bar.advance(task, count)


def _size_of(data: Path) -> int:
    size = 0
    for path in data.rglob("*"):
        with contextlib.suppress(OSError):
            size += path.stat().st_size if path.is_file() and path.name != "reserve" else 0
    return size
