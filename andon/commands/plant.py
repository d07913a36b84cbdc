"""`andon plant export|import`: the plant document as one readable file, with a diff and a dry run."""

import argparse
import contextlib
import difflib
import getpass
import json
import time
from pathlib import Path

from andon import plants
from andon.clock import wall
from andon.commands import Refused
from andon.commands.run import read_plant
from andon.database import reading, writing
from andon.datadir import Busy, has_store, only_instance, open_store
from andon.detector_sets import differences, next_version
from andon.events import rfc3339
from andon.plant import Plant

WAIT_S = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("what", choices=["export", "import"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true", help="import: only say what would change")


def run(arguments: argparse.Namespace) -> int:
    """Write the plant in force to a file, or bring a changed one into force: at once if Andon runs."""
    if arguments.what == "export" and not has_store(arguments.data):
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
    after = following(before, wanted)
    if after is None:
        print("nothing would change")
        return 0
    old = text_of(before).splitlines() if before else []
    changes = difflib.unified_diff(old, text_of(after).splitlines(), "in force", "imported", lineterm="", n=1)
    print("\n".join(changes))
    if not dry_run:
        print(bring(data, after))
    return 0


def following(before: Plant | None, wanted: Plant) -> Plant | None:
    """The wanted document as the next version, with the detector set's counted up if it changes; None if nothing does."""
    if before is None:
        return wanted.model_copy(update={"version": 1})
    same = {"version": before.version, "detector_set": before.detector_set}
    after = wanted.model_copy(update=same)
    if after == before:
        return None
    if not differences(before, after):
        return after.model_copy(update={"version": before.version + 1})
    return next_version(before, after, note="imported", by=getpass.getuser(), at=rfc3339(wall()))


def bring(data: Path, after: Plant) -> str:
    """Ask for this document and wait until the engine that runs has taken it; gives what there is to say."""
    database = open_store(data)
    try:
        with writing(database) as conn:
            plants.ask(conn, after, wall())
    except plants.Outdated as error:
        raise Refused(str(error)) from error
    with contextlib.suppress(Busy), only_instance(data):
        return f"version {after.version} comes into force at the next start"
    until_s = time.monotonic() + WAIT_S
    while time.monotonic() < until_s:
        with reading(database) as conn:
            in_force = plants.latest(conn)
        if in_force is not None and in_force.version >= after.version:
            return f"version {after.version} is in force"
        time.sleep(0.1)
    return f"version {after.version} is asked for; the running engine has not taken it yet"
