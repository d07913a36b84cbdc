"""`andon verify`: whether a data directory, or a backup, is whole: every checksum, chain and count."""

import argparse
from pathlib import Path

from andon.backups.archive import Broken, read
from andon.backups.sealed import NotOpened
from andon.commands import Refused
from andon.commands.backup import passphrase_arguments, progress
from andon.commands.output import write_json
from andon.commands.place import data_of, place_arguments, store_of
from andon.commands.restore import opened_with
from andon.wholeness import CHECKS


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    place_arguments(parser)
    parser.add_argument("--backup", type=Path, metavar="FILE", help="look at a backup instead")
    passphrase_arguments(parser)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write what was found here ('-': standard output)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Look; 1 if anything is not as it was written."""
    found = _of_backup(arguments) if arguments.backup is not None else _of_data(arguments)
    whole = not any(found.values())
    if arguments.json is not None:
        write_json(arguments.json, {"whole": whole, "problems": found})
        return 0 if whole else 1
    for name, problems in found.items():
        print(f"{name}: {_told(problems)}")
        for problem in problems:
            print(f"  {problem}")
    return 0 if whole else 1


def _of_data(arguments: argparse.Namespace) -> dict[str, list[str]]:
    data, database = data_of(arguments), store_of(arguments)
    try:
        return {name: list(check(data, database)) for name, check in CHECKS.items()}
    finally:
        database.dispose()


def _of_backup(arguments: argparse.Namespace) -> dict[str, list[str]]:
    backup: Path = arguments.backup
    passphrase = opened_with(arguments, backup)
    try:
        with progress("verify", backup.stat().st_size) as advance:
            read(backup, passphrase, None, advance)
    except Broken as error:
        return {backup.name: error.problems}
    except NotOpened as error:
        return {backup.name: [str(error)]}
    except OSError as error:
        raise Refused(f"{backup} cannot be read: {error}") from error
    return {backup.name: []}


def _told(problems: list[str]) -> str:
    return f"{len(problems)} problem{'s' * (len(problems) != 1)}" if problems else "whole"
