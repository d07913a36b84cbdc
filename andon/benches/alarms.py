"""From a stop alarm published to its ticket committed, while 5,000 messages a second flow beside it (goal G4)."""

import contextlib
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import func, select

from andon.benches import Row
from andon.benches.load import ASSETS, PATH, Load, Publisher
from andon.benches.messages import LISTENER, RATE_HZ
from andon.benches.subjects import publishing, source
from andon.clock import wall
from andon.commands import Refused
from andon.database import reading
from andon.datadir import open_store
from andon.events import rfc3339
from ticketing.tables import ticket

GOAL_MS = 50.0
_PAUSE_S, _LOOK_S = 0.03, 0.001
_GIVE_UP_S = 10.0


def rows(seconds: float, step: Callable[[str], None], rate_hz: float = RATE_HZ) -> list[Row]:
    """Alarms one after another for so many seconds; each opens a ticket, and a reader has to see it."""
    step(f"stop alarm to ticket, beside {rate_hz:,.0f} messages/s")
    waits_ms: list[float] = []
    with source("listener", LISTENER, whole=True) as subject, _tickets_of(subject.data) as tickets:
        load = Load(subject.port, round(rate_hz * (seconds + 1)), rate_hz=rate_hz)
        with publishing(load) as sending:
            alarms = Publisher(Load(subject.port, 1), ASSETS)
            sending.begin()
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s:
                waits_ms.append(_one(alarms, len(waits_ms), tickets))
                time.sleep(_PAUSE_S)
            said = sending.end()
            alarms.sock.close()
        synced_ms = sync_ms(subject.data)
    if said["acknowledged"] != load.count:
        raise Refused(f"{said['acknowledged']} of {load.count} messages were acknowledged beside the alarms")
    waits_ms.sort()
    beside = f"beside {said['sent'] / said['seconds']:,.0f} messages/s"
    shares = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))
    found = [
        Row(
            f"stop alarm published to ticket committed, {name} of {len(waits_ms)}, {beside}",
            waits_ms[min(len(waits_ms) - 1, int(share * len(waits_ms)))],
            "ms",
            goal="G4" if name == "p99" else None,
            limit=GOAL_MS if name == "p99" else None,
        )
        for name, share in shares
    ]
    return [*found, Row("one fsync of 4 KiB on this disk, median of 50", synced_ms, "ms")]


def sync_ms(folder: Path) -> float:
    """How long an fsync takes here: disks have their days."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for number in range(50):
            os.pwrite(file.fileno(), bytes(4096), 4096 * number)
            began_s = time.monotonic()
            os.fsync(file.fileno())
            took.append(time.monotonic() - began_s)
    return statistics.median(took) * 1000


@contextlib.contextmanager
def _tickets_of(data: Path) -> Iterator[Callable[[], int]]:
    """What counts the tickets of a data directory."""
    store = open_store(data)

    def count() -> int:
        with reading(store) as conn:
            return conn.execute(select(func.count()).select_from(ticket)).scalar_one()

    try:
        yield count
    finally:
        store.dispose()


def _one(alarms: Publisher, number: int, tickets: Callable[[], int]) -> float:
    """Publish an alarm of its own reason, and look until one ticket more is there; gives the milliseconds."""
    before = tickets()
    machine, reason = f"m{number % ASSETS}", f"E{number // ASSETS}"
    said = {
        "type": "andon.machine.stop.v1",
        "id": f"alarm-{number}",
        "time": rfc3339(wall()),
        "data": {
            "state": "Aborted",
            "severity": 700,
            "reason": {"id": reason, "trigger": True, "message": "jam"},
        },
    }
    began_s = time.monotonic()
    alarms.say([(f"andon/v1/{PATH}/{machine}/_event/stop".encode(), json.dumps(said).encode())])
    for _ in itertools.count():
        if tickets() > before:
            return (time.monotonic() - began_s) * 1000
        if time.monotonic() - began_s > _GIVE_UP_S:
            raise Refused(f"alarm {number} had no ticket after {_GIVE_UP_S:.0f} s")
        time.sleep(_LOOK_S)
    return 0.0
