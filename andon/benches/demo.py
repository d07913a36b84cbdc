"""What the whole demo costs at rest, and how soon it shows a ticket (goal G10)."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from andon.benches import Row
from andon.commands import Refused
from andon.commands.finished import newest_tickets
from andon.database import reading
from andon.datadir import open_store

SECONDS = 60.0
FIRST_TICKET_S = 30.0  # goal G10
MEMORY_MB = 600.0  # goal G10, proportional set size of all processes


def rows() -> list[Row]:
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
                memory_mb = max(memory_mb, sum(map(pss_mb, family_of(demo.pid))))
                time.sleep(0.5)
        finally:
            demo.terminate()
            demo.wait(30)
    return [
        _row("first_ticket", first_s, "s", FIRST_TICKET_S),
        _row("memory_of_all_processes", memory_mb, "MB (proportional set size)", MEMORY_MB),
    ]


def _row(name: str, value: float, unit: str, limit: float) -> Row:
    return Row(name, value, unit, goal="G10", limit=limit)


def has_ticket(data: Path) -> bool:
    """Whether the data directory holds a ticket yet."""
    if not (data / "run" / "status.json").exists():
        return False
    with reading(open_store(data)) as conn:
        return bool(newest_tickets(conn))


def family_of(supervisor: int) -> list[int]:
    """The supervisor and all that it, or one of them, has started: those that end when they are done among them."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()  # the name before may hold anything
        except OSError:
            continue  # it has gone meanwhile
        children.setdefault(int(words[1]), []).append(int(stat.parent.name))
    family = [supervisor]
    for one in family:
        family += children.get(one, [])
    return family


def pss_mb(pid: int) -> float:
    """The proportional set size of one process in MB, 0 if it has gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
