"""What a terminal shows while a plant is at work: parts, rates, the newest tickets, and the link."""

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from andon import manifest
from andon.commands.finished import newest_tickets
from andon.database import reading
from andon.datadir import open_store
from andon.events import Json, rfc3339
from andon.installation import Installation
from ticketing import store


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment of a running plant."""

    now_ns: int
    speed: float
    link: str
    parts: Mapping[str, Mapping[str, Json]]
    counts: Mapping[str, Mapping[str, int]]
    rates: Mapping[str, float]
    tickets: Sequence[Mapping[str, Json]]
    problems: int


class Watch:
    """Looks at a running installation once per turn and knows how fast each source speaks."""

    def __init__(self, line: Installation, speed: float) -> None:
        self._line = line
        self._speed = speed
        self._database = open_store(line.data)
        self._before: dict[str, tuple[float, int]] = {}

    def scene(self, now_ns: int) -> Scene:
        """What there is to see now."""
        with reading(self._database) as conn:
            counts = manifest.counted(conn)
            tickets = newest_tickets(conn)
            problems = store.metrics(conn).problems_open
        return Scene(
            now_ns=now_ns,
            speed=self._speed,
            link=self._line.link,
            parts=self._line.supervisor.status(),
            counts=counts,
            rates=self._rates(counts),
            tickets=tickets,
            problems=problems,
        )

    def _rates(self, counts: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
        now_s, rates = time.monotonic(), {}
        for stage, numbers in counts.items():
            name, received = stage.removeprefix("source."), numbers.get("received", 0)
            before_s, before = self._before.get(name, (now_s, received))
            if now_s > before_s:
                rates[name] = (received - before) / (now_s - before_s)
            if now_s - before_s >= 2.0 or name not in self._before:
                self._before[name] = (now_s, received)
        return rates


def draw(scene: Scene) -> Group:
    """The scene as something rich can print."""
    parts = Table("part", "", "messages", "per s", "says", box=None, pad_edge=False, expand=True)
    for name, part in scene.parts.items():
        said = dict(part.get("status", {}))
        alive = Text("●", "green" if part["running"] and said.get("connected", True) else "red")
        received = scene.counts.get(f"source.{name}", {}).get("received")
        rate = scene.rates.get(name)
        restarted = f"restarted {part['restarts']}×  " if part["restarts"] else ""
        parts.add_row(
            name,
            alive,
            "" if received is None else f"{received:,}",
            "" if rate is None else f"{rate:,.0f}",
            restarted + str(part.get("ready", "starting")),
        )
    found = scene.counts.get("detectors", {})
    totals = (
        f"findings: {found.get('raise', 0)} raised, {found.get('update', 0)} updates, {found.get('clear', 0)} cleared"
        f"   tickets: {len(scene.tickets)}   root-cause tasks: {scene.problems}"
    )
    tickets = Table(
        "ticket", "asset", "what", "state", "events", "opened", box=None, pad_edge=False, expand=True
    )
    for ticket in list(scene.tickets)[:12]:
        tickets.add_row(
            str(ticket["number"]),
            str(ticket["asset"]),
            str(ticket["component"] if ticket["family"] == "stop" else ticket["condition"]),
            str(ticket["state"]),
            str(ticket["occurrences"]),
            str(ticket["opened_at"])[11:19],
        )
    clock = f"{rfc3339(scene.now_ns)[:19].replace('T', ' ')} UTC, {scene.speed:g} × real time"
    return Group(
        Panel(parts, title=f"[bold]andon[/] · {clock}", title_align="left", border_style="blue"),
        totals,
        Panel(tickets, title="tickets", title_align="left", border_style="blue"),
        Text.assemble("open ", (scene.link, "bold underline"), "   stop with Ctrl-C"),
    )


def stop_on_signals(stopping: threading.Event) -> None:
    """Ctrl-C and SIGTERM set the event; a second Ctrl-C ends at once."""

    def stop(_number: int, _frame: object) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
