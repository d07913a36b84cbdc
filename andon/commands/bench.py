"""`andon bench`: measure this machine. `demo` says what the whole demo costs at rest and how soon it shows a ticket."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from andon.commands import Refused
from andon.commands.output import write_json
from andon.commands.report import newest_tickets
from andon.database import reading
from andon.datadir import open_store
from andon.events import Json

SECONDS = 60.0
FIRST_TICKET_S = 30.0  # goal G10
MEMORY_MB = 600.0  # goal G10, proportional set size of all processes


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("what", choices=["demo"])
    parser.add_argument("--json", type=Path, metavar="FILE")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo once, measure it, print and write the rows."""
    rows = demo_rows()
    document = {"bench": arguments.what, "machine": machine(), "rows": rows}
    table = Table("what", "value", "unit", "goal", "limit", "met")
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['value']:.1f}",
            row["unit"],
            row["goal"],
            f"{row['limit']:g}",
            "yes" if row["met"] else "no",
        )
    Console().print(table)
    if arguments.json is not None:
        write_json(arguments.json, document)
    return 0


def machine() -> dict[str, Json]:
    """What the figures were measured on."""
    return {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}


def demo_rows() -> list[dict[str, Json]]:
    """Seconds from the command to the first ticket, and the memory of all processes together while the plant runs."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise Refused("memory shares are read from /proc, which this system does not have")
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as folder:
        data = Path(folder)
        words = [
            sys.executable,
            "-m",
            "andon",
            "demo",
            "--headless",
            "--seconds",
            str(SECONDS),
            "--data",
            folder,
        ]
        began_s = time.monotonic()
        demo = subprocess.Popen(words, stdout=subprocess.DEVNULL)  # noqa: S603 - our own module
        first_s, memory_mb = float("inf"), 0.0
        try:
            while demo.poll() is None:
                if first_s == float("inf") and has_ticket(data):
                    first_s = time.monotonic() - began_s
                memory_mb = max(memory_mb, sum(map(pss_mb, family_of(demo.pid, data))))
                time.sleep(0.5)
        finally:
            demo.terminate()
            demo.wait(30)
    return [
        _row("first_ticket", first_s, "s", FIRST_TICKET_S),
        _row("memory_of_all_processes", memory_mb, "MB (proportional set size)", MEMORY_MB),
    ]


def _row(name: str, value: float, unit: str, limit: float) -> dict[str, Json]:
    met = value <= limit
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "versus": None,
        "ratio": None,
        "goal": "G10",
        "limit": limit,
        "met": met,
    }


def has_ticket(data: Path) -> bool:
    """Whether the data directory holds a ticket yet."""
    if not (data / "run" / "status.json").exists():
        return False
    with reading(open_store(data)) as conn:
        return bool(newest_tickets(conn))


def family_of(supervisor: int, data: Path) -> list[int]:
    """The supervisor and its parts."""
    try:
        parts = json.loads((data / "run" / "status.json").read_text())["parts"].values()
    except (OSError, ValueError):
        return [supervisor]
    return [supervisor, *(int(part["pid"]) for part in parts)]


def pss_mb(pid: int) -> float:
    """The proportional set size of one process in MB, 0 if it has gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
