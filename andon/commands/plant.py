"""`andon plant export|import`: the plant document as one readable file, with a diff and a dry run."""

import argparse
import difflib
import json
from pathlib import Path

from andon import plants
from andon.clock import wall
from andon.commands import Refused
from andon.commands.run import read_plant
from andon.database import reading
from andon.datadir import Busy, only_instance, open_store
from andon.engine import OWN
from andon.plant import Plant
from andon.ports import Record, RecordKind
from ingest.journal import SqliteJournal


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("what", choices=["export", "import"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true", help="import: only say what would change")


def run(arguments: argparse.Namespace) -> int:
    """Write the plant in force to a file, or bring a changed one into force at the next start."""
    if arguments.what == "export" and not (arguments.data / "andon.sqlite").exists():
        raise Refused(f"{arguments.data} holds no installation yet; start one with andon run or andon demo")
    with reading(open_store(arguments.data)) as conn:
        before = plants.latest(conn)
    if arguments.what == "export":
        if before is None:
            raise Refused(f"{arguments.data} has no plant document yet; give one to andon run --plant FILE")
        arguments.file.write_text(text_of(before), "utf-8")
        print(f"{arguments.file}: version {before.version}, {len(before.assets)} assets")
        return 0
    return _import(arguments.data, before, read_plant(arguments.file), dry_run=arguments.dry_run)


def text_of(plant: Plant) -> str:
    """The document as JSON that a person can read and edit; what equals its default is left out."""
    return (
        json.dumps(plant.model_dump(mode="json", exclude_defaults=True), indent=2, ensure_ascii=False) + "\n"
    )


def _import(data: Path, before: Plant | None, wanted: Plant, *, dry_run: bool) -> int:
    version = (before.version if before else 0) + 1
    after = wanted.model_copy(update={"version": version})
    old = text_of(before).splitlines() if before else []
    changes = difflib.unified_diff(old, text_of(after).splitlines(), "in force", "imported", lineterm="", n=1)
    if before is not None and before.model_copy(update={"version": version}) == after:
        print("nothing would change")
        return 0
    print("\n".join(changes))
    if dry_run:
        return 0
    try:
        with only_instance(data):
            journal = SqliteJournal(data / "journal" / OWN)
            body = json.dumps({"version": version, "document": after.model_dump(mode="json")}).encode()
            journal.append([Record(RecordKind.CONFIG, wall(), b"", body)])
            journal.close()
    except Busy as error:
        raise Refused(str(error)) from error
    print(f"version {version} comes into force at the next start")
    return 0
