"""`andon restore`: an installation made again out of a backup, in a folder where nothing is."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from andon.backups import NotDone
from andon.backups.archive import Broken, is_sealed
from andon.backups.put_back import put_back
from andon.backups.sealed import NotOpened
from andon.backups.take import CONFIG
from andon.commands import Refused
from andon.commands.backup import PASSPHRASE, passphrase_arguments, passphrase_of, progress
from andon.commands.output import write_json
from andon.events import Json


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("backup", type=Path, metavar="FILE", help="what `andon backup` wrote")
    parser.add_argument(
        "--data", type=Path, required=True, help="the data directory to make; nothing may be there"
    )
    parser.add_argument(
        "--store-url", metavar="URL", help="an empty PostgreSQL database, if the store was in one"
    )
    passphrase_arguments(parser)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write what was restored here ('-': standard output)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check every byte, then put it there; 1 if nothing was put there."""
    backup: Path = arguments.backup
    passphrase = opened_with(arguments, backup)
    try:
        with progress("restore", backup.stat().st_size) as advance:
            manifest = put_back(
                backup, arguments.data, passphrase=passphrase, store_url=arguments.store_url, advance=advance
            )
    except Broken as error:
        raise Refused(f"{backup} is not as it was written, nothing was put in place: {error}") from error
    except (NotDone, NotOpened, OSError) as error:
        raise Refused(f"{backup}: {error}") from error
    if arguments.json is not None:
        write_json(arguments.json, manifest)
    else:
        _say(arguments.data, manifest)
    return 0


def opened_with(arguments: argparse.Namespace, backup: Path) -> str | None:
    """The passphrase if it needs one; Refused if it is not given, or the file is not there."""
    try:
        sealed = is_sealed(backup)
    except OSError as error:
        raise Refused(f"{backup} cannot be read: {error.strerror}") from error
    if not sealed:
        return None
    passphrase = passphrase_of(arguments)
    if passphrase is None:
        raise Refused(f"{backup} is encrypted: give --passphrase-file, or {PASSPHRASE} in the environment")
    return passphrase


def _say(data: Path, manifest: Mapping[str, Json]) -> None:
    size = sum(file["bytes"] for file in manifest["files"].values())
    print(f"{data}: {len(manifest['files']):,} files, {size:,} bytes, each as it was written")
    print(
        f"tickets as of {manifest['began_at']} (batch {manifest['batch']}), messages as of {manifest['ended_at']}:"
    )
    for name, source in manifest["sources"].items():
        print(
            f"  {name}: received up to {source['end']}, {source['end'] - source['taken']} of them to be worked on"
        )
    for name in manifest["damaged"]:
        print(f"  {name} was damaged before the backup was taken")
    if (data / CONFIG).exists():
        print(
            f"andon.toml of then: {data / CONFIG}; let its `data` name {data}, then: andon check, andon run"
        )
    print(f"andon verify --data {data} looks at all of it once more")
