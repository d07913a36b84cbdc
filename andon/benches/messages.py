"""What a message costs on its way in: CPU per message beside mosquitto_sub in the same run (goals G1 and G2).

Each figure is one program taking one load: 200 B or 16 KiB, QoS 0 or 1, as fast as it goes or 5,000 a second, on 1
or 50 connections. All that was sent has to be there in the end, or there is no figure.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from andon.benches import Row
from andon.benches.broker import PROGRAM, SUBSCRIBER, TOPICS, mosquitto
from andon.benches.load import Load
from andon.benches.subjects import WAIT_S, Subject, consumer, mosquitto_sub, publishing, source
from andon.commands import Refused

RATE_HZ = 5000
REFERENCE = "mosquitto_sub"
_GIVE_UP_S = 60.0
Open = Callable[[int, Load], AbstractContextManager[Subject]]
"""Starts a program for a load; it is given the broker's port."""


@dataclass(frozen=True, slots=True)
class Program:
    """One of those that are measured; `limits` are those of its goal, saturated and at 5,000/s."""

    name: str
    start: Open
    needs_broker: bool
    goal: str | None = None
    limits: tuple[float, float] | None = None
    absolute: bool = False
    once: bool = False
    """Measured with QoS 1 and on the fewest connections alone: more would tell nothing new of it."""


ROOM = {"queue_max_records": 1_000_000, "queue_max_bytes": 1024**3}
LISTENER = {"port": 0, "anonymous": True, **ROOM}
"""So much room that nothing overflows with QoS 0: a message that was dropped would have cost nothing."""


def _listener(_port: int, _load: Load) -> AbstractContextManager[Subject]:
    return source("listener", LISTENER)


def _collector(port: int, load: Load) -> AbstractContextManager[Subject]:
    return source("mqtt", _subscription(port, load), port)


def _whole(_port: int, _load: Load) -> AbstractContextManager[Subject]:
    return source("listener", LISTENER, whole=True)


def _subscription(port: int, load: Load) -> dict[str, object]:
    client_id = f"andon-{port}"
    return {
        "host": "127.0.0.1",
        "port": port,
        "client_id": client_id,
        "topics": [TOPICS],
        "qos": load.qos,
        **ROOM,
    }


PROGRAMS = (
    Program(REFERENCE, lambda port, load: mosquitto_sub(port, load.qos, load.count), needs_broker=True),
    Program("collector", _collector, needs_broker=True, goal="G1", limits=(1.2, 2.0)),
    Program("listener", _listener, needs_broker=False, goal="G1", limits=(1.5, 1.5)),
    Program(
        "whole path", _whole, needs_broker=False, goal="G2", limits=(8.0, 15.0), absolute=True, once=True
    ),
    Program("paho + pydantic", lambda port, load: consumer(port, load.qos), needs_broker=True, once=True),
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: messages of a saturated run (200 B, 16 KiB), seconds at 5,000/s and of alarms, which loads."""

    small: int
    large: int
    seconds: float
    alarms_s: float
    channels: Sequence[int] = (10, 1_000, 100_000)
    opcua: int = 20_000
    payloads: Sequence[int] = (200, 16_384)
    qualities: Sequence[int] = (1, 0)
    connections: Sequence[int] = (1, 50)


FULL = Sizes(small=40_000, large=4_000, seconds=1.5, alarms_s=15.0)
QUICK = Sizes(
    small=10_000,
    large=1_000,
    seconds=0.6,
    alarms_s=2.0,
    channels=(10, 10_000),
    opcua=5_000,
    payloads=(200,),
    qualities=(1,),
)
TINY = Sizes(
    small=400,
    large=40,
    seconds=0.02,
    alarms_s=0.1,
    channels=(10, 200),
    opcua=200,
    payloads=(200,),
    qualities=(1,),
    connections=(2,),
)


def loads(sizes: Sizes) -> Iterator[tuple[str, Load]]:
    """The loads with their names; the port comes later."""
    for size in sizes.payloads:
        for qos in sizes.qualities:
            for connections in sizes.connections:
                for rate_hz in (0, RATE_HZ):
                    many = sizes.small if size < 1000 else sizes.large
                    count = round(rate_hz * sizes.seconds) if rate_hz else many
                    name = (
                        f"{_size(size)}, QoS {qos}, {connections} connection{'s' * (connections > 1)}, "
                        f"{f'{rate_hz:,}/s' if rate_hz else 'saturated'}"
                    )
                    yield name, Load(0, count, size, qos, rate_hz, connections)


def plan(sizes: Sizes) -> list[tuple[str, Load, list[Program]]]:
    """Which programs are measured under which load, as far as they are there."""
    return [
        (name, load, [program for program in PROGRAMS if _is_measured(program, load, sizes)])
        for name, load in loads(sizes)
    ]


def _is_measured(program: Program, load: Load, sizes: Sizes) -> bool:
    if program.needs_broker and (PROGRAM is None or (program.name == REFERENCE and SUBSCRIBER is None)):
        return False
    return not program.once or (load.qos == 1 and load.connections == sizes.connections[0])


def rows(sizes: Sizes, step: Callable[[str], None]) -> list[Row]:
    """Every program under every load; `step` is told what is next."""
    found: list[Row] = []
    for name, load, programs in plan(sizes):
        costs: dict[str, float] = {}
        for program in programs:
            step(f"{program.name}, {name}")
            costs[program.name] = cost_us(program, load)
        found += [_row(program, name, load, costs) for program in programs]
    return found


def left_out() -> list[str]:
    """What cannot be measured here, and why."""
    if PROGRAM is None:
        return [
            "mosquitto is not installed: no collector, no paho + pydantic, and no mosquitto_sub to compare with"
        ]
    return (
        []
        if SUBSCRIBER
        else ["mosquitto_sub is not installed: nothing to compare with (Debian: mosquitto-clients)"]
    )


def cost_us(program: Program, load: Load) -> float:
    """CPU per message in microseconds. Refused if not every message arrived."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="andon-bench-")))
        port = stack.enter_context(mosquitto(folder)) if program.needs_broker else 0
        subject = stack.enter_context(program.start(port, load))
        sending = stack.enter_context(publishing(_on(load, subject.port, by_broker=program.needs_broker)))
        before_s = subject.cpu_s()
        sending.begin()
        said = sending.end()
        _wait_for(subject, load, program.name)
        used_s = subject.cpu_s() - before_s
    if said["acknowledged"] != load.count:
        raise Refused(f"{program.name}: {said['acknowledged']} of {load.count} messages were acknowledged")
    return used_s / load.count * 1e6


def _on(load: Load, port: int, *, by_broker: bool) -> Load:
    """The load on this port. To a broker it goes with QoS 1: what a QoS-0 subscriber gets is then bounded by it too."""
    qos = 1 if by_broker else load.qos
    return Load(port, load.count, load.size, qos, load.rate_hz, load.connections, load.window, _GIVE_UP_S)


def _wait_for(subject: Subject, load: Load, name: str) -> None:
    """Wait until all of it is there; with QoS 0 an overflow may have taken some, which the figure then says."""
    give_up_s = time.monotonic() + WAIT_S
    while (taken := subject.taken()) < load.count:
        if time.monotonic() > give_up_s:
            raise Refused(f"{name}: {taken} of {load.count} messages arrived")
        time.sleep(0.01)


def _row(program: Program, name: str, load: Load, costs: dict[str, float]) -> Row:
    cost = costs[program.name]
    reference = costs.get(REFERENCE) if program.name != REFERENCE and not program.absolute else None
    judged = load.qos == 1 and load.size < 1000 and program.limits is not None
    judged = judged and (program.absolute or reference is not None)
    limit = program.limits[bool(load.rate_hz)] if judged and program.limits else None
    return Row(
        f"{program.name}, {name}",
        cost,
        "µs CPU per message",
        REFERENCE if reference else None,
        cost / reference if reference else None,
        program.goal if judged else None,
        limit,
    )


def _size(size: int) -> str:
    return f"{size // 1024} KiB" if size >= 1024 else f"{size} B"
