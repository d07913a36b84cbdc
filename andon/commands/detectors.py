"""`andon detectors`: which detectors watch the plant, by version; a change is promoted or taken back while Andon runs."""

import argparse
import getpass
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from andon import plants
from andon.app import check_detectors
from andon.clock import wall
from andon.commands import Refused
from andon.commands.backtest import change_of
from andon.commands.output import write_json
from andon.commands.place import data_of, place_arguments, store_of
from andon.commands.plant import bring
from andon.config import unknown
from andon.database import reading
from andon.detector_sets import Difference, changed, differences, next_version, version_of, with_detectors
from andon.events import Json, rfc3339
from andon.plant import Plant
from detectors import settings_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("what", choices=["show", "diff", "promote", "rollback", "versions"])
    parser.add_argument(
        "change", type=Path, nargs="?", metavar="CHANGE.toml", help="diff, promote: the change"
    )
    place_arguments(parser)
    parser.add_argument("--asset", help="show: of this asset alone, with every parameter")
    parser.add_argument(
        "--note", default="", help="promote, rollback: why; whoever reads it later has nothing else"
    )
    parser.add_argument(
        "--by", default=getpass.getuser(), help="promote, rollback: who (default: your login)"
    )
    parser.add_argument(
        "--to", type=int, metavar="V", help="rollback: that version (default: the one before)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it here ('-': standard output)")


def run(arguments: argparse.Namespace) -> int:
    """Show or do it; 0 when it is done."""
    database = store_of(arguments)
    with reading(database) as conn:
        known = plants.every(conn)
    database.dispose()
    if not known:
        raise Refused("there is no plant document yet: give one to andon run --plant FILE")
    plant = known[0].plant
    match arguments.what:
        case "show":
            return _show(arguments, plant)
        case "versions":
            return _versions(arguments, known)
        case "rollback":
            after = _back(arguments, known)
        case _:
            if arguments.change is None:
                raise Refused(f"say what is to change: andon detectors {arguments.what} CHANGE.toml")
            after = _changed(arguments, plant)
    found = differences(plant, after)
    if not found:
        raise Refused("nothing would change: every detector stays as it is")
    _tell(found, arguments)
    return 0 if arguments.what == "diff" else _bring(arguments, plant, after)


def _changed(arguments: argparse.Namespace, plant: Plant) -> Plant:
    change = change_of(arguments.change)
    if change.sweep is not None:
        raise Refused("a sweep is for andon backtest: decide on one value")
    after = changed(plant, change)
    check_detectors(after)
    arguments.note = arguments.note or change.note
    return after


def _back(arguments: argparse.Namespace, known: list[plants.InForce]) -> Plant:
    now = known[0].plant
    wanted = now.detector_set.version - 1 if arguments.to is None else arguments.to
    then = version_of([one.plant for one in known], wanted)
    if then is None:
        there = sorted({one.plant.detector_set.version for one in known})
        raise Refused(f"there is no detector set {wanted}; there is: {', '.join(map(str, there))}")
    arguments.to = wanted
    return with_detectors(now, then)


def _bring(arguments: argparse.Namespace, plant: Plant, after: Plant) -> int:
    if not arguments.note.strip():
        raise Refused("say why with --note: whoever reads the versions later has nothing else")
    equals = arguments.to if arguments.what == "rollback" else None
    wanted = next_version(
        plant, after, note=arguments.note, by=arguments.by, at=rfc3339(wall()), equals=equals
    )
    print(f"detector set {wanted.detector_set.version}: ", end="")
    print(bring(data_of(arguments), wanted))
    return 0


def _tell(found: Iterable[Difference], arguments: argparse.Namespace) -> None:
    if arguments.json is not None:
        rows = [{"asset": d.asset, "kind": d.kind, "before": d.before, "after": d.after} for d in found]
        write_json(arguments.json, {"detectors": rows})
        return
    table = Table("asset", "kind", "before", "after")
    for one in found:
        table.add_row(one.asset, one.kind, _said(one.before), _said(one.after))
    Console().print(table)


def _said(parameters: Mapping[str, Json] | None) -> str:
    return "none" if parameters is None else json.dumps(parameters) if parameters else "defaults"


def _show(arguments: argparse.Namespace, plant: Plant) -> int:
    chosen = [asset for asset in plant.assets if arguments.asset in {None, asset.id}]
    if not chosen:
        raise Refused(f"asset {unknown(arguments.asset, [one.id for one in plant.assets])}")
    if arguments.json is not None:
        rows = [
            {"asset": asset.id, "kind": s.kind, "parameters": s.parameters}
            for asset in chosen
            for s in plant.detectors_of(asset)
        ]
        write_json(arguments.json, {"set": plant.detector_set.model_dump(mode="json"), "detectors": rows})
        return 0
    table = Table(
        "asset", "kind", "parameter", "value", "what it is", title=f"set {plant.detector_set.version}"
    )
    for asset in chosen:
        for setting in plant.detectors_of(asset):
            if arguments.asset is None:
                table.add_row(asset.id, setting.kind, "", _said(setting.parameters), "")
                continue
            for one in settings_of(setting.kind, setting.parameters):
                value = f"{one.value}{' *' if one.changed else ''}"
                table.add_row(asset.id, setting.kind, one.name, value, one.description)
    Console().print(table)
    return 0


def _versions(arguments: argparse.Namespace, known: list[plants.InForce]) -> int:
    rows: dict[int, dict[str, Json]] = {}
    for one in known:  # newest first: what stays is since when the version is in force
        rows[one.plant.detector_set.version] = {
            **one.plant.detector_set.model_dump(mode="json"),
            "since": rfc3339(one.at_ns),
        }
    if arguments.json is not None:
        write_json(arguments.json, {"versions": list(rows.values())})
        return 0
    table = Table("set", "in force since", "by", "note", "equals")
    for row in rows.values():
        equals = "" if row["equals"] is None else str(row["equals"])
        table.add_row(str(row["version"]), row["since"], row["by"], row["note"], equals)
    Console().print(table)
    return 0
