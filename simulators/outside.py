"""The simulated plant at an installation that it knows nothing of: publishes to its broker or listener, serves OPC UA to it."""

import asyncio
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from andon.clock import Now
from andon.events import HOUR_NS, SECOND_NS, Family, Json, rfc3339
from andon.plant import Plant
from simulators.foreign import COMPANY, NAMES, ForeignServer, foreign, foreign_plant, standing
from simulators.machines import MACHINES
from simulators.messages import Channel, Item
from simulators.mqtt import Publisher
from simulators.opcua import PlantServer
from simulators.plant import Simulation
from simulators.run import Teller, publish_item, serve_item
from simulators.truth import Planted

CONNECT_S, DRAIN_S, REPORT_S = 10.0, 5.0, 1.0
_HOURS = 48


class Unreachable(Exception):
    """The broker or listener cannot be published to; the text says why."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to publish and as whom."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of the plant is told: these machines by these channels, in Andon's words or in somebody else's."""

    machines: frozenset[str]
    channels: frozenset[Channel]
    is_foreign: bool
    is_hurried: bool = False
    """Told faster than it happened: who is silent is not silent for long by the clock of the installation."""

    def name(self, asset_id: str) -> str:
        """What the machine is called where it is told."""
        return NAMES[asset_id] if self.is_foreign else asset_id

    def expects(self, planted: Planted, from_ns: int) -> bool:
        """Whether what was planted can be known from what is told."""
        by_waveform = planted.family is not Family.STOP
        heard = not by_waveform or ("mqtt" in self.channels and not self.is_foreign)
        judged = not (self.is_hurried and planted.family is Family.DATA_QUALITY)
        return planted.asset in self.machines and planted.onset_ns >= from_ns and heard and judged


def part_of(
    wanted: Iterable[str], channels: Iterable[Channel], *, is_foreign: bool, is_hurried: bool = False
) -> Part:
    """The machines of these names, by default all that speak by these channels; ValueError names one that is none."""
    known = {machine.id: machine for machine in MACHINES if machine.channel in set(channels)}
    ids = {name: asset_id for asset_id in known for name in (asset_id, NAMES[asset_id])}
    strange = sorted(set(wanted) - ids.keys())
    if strange:
        raise ValueError(f"no such machine here: {', '.join(strange)}; there are {', '.join(sorted(ids))}")
    machines = frozenset(ids[name] for name in wanted) or frozenset(known)
    return Part(machines, frozenset(channels), is_foreign, is_hurried)


def first_stop_ns(seed: int, machines: Collection[str]) -> int:
    """How long after the beginning of its story the first of these machines stops with an alarm; 0 if none does."""
    story = Simulation(seed, 0)
    stops = (
        planted.onset_ns
        for planted in story.truth(_HOURS * HOUR_NS)
        if planted.asset in machines and planted.family is Family.STOP
    )
    return min(stops, default=0)


def plant_of(part: Part) -> Plant:
    """The plant document that fits what is told."""
    whole = Simulation(0, 0).plant
    if part.is_foreign:
        return foreign_plant(whole, part.machines)
    return whole.model_copy(
        update={"assets": tuple(asset for asset in whole.assets if asset.id in part.machines)}
    )


def truth_of(simulation: Simulation, part: Part, from_ns: int, until_ns: int) -> dict[str, Json]:
    """What was planted and can be known from what was told by then, as JSON."""
    return {
        "seed": simulation.seed,
        "layout": COMPANY if part.is_foreign else "andon",
        "from": rfc3339(from_ns),
        "until": rfc3339(until_ns),
        "machines": sorted(map(part.name, part.machines)),
        "planted": [
            {
                "id": planted.id,
                "asset": part.name(planted.asset),
                "component": planted.component,
                "family": planted.family.value,
                "condition": planted.condition,
                "onset": rfc3339(planted.onset_ns),
                "due": rfc3339(planted.due_ns),
                "expects": planted.expects,
            }
            for planted in simulation.truth(until_ns)
            if part.expects(planted, from_ns)
        ],
    }


async def tell(
    simulation: Simulation,
    part: Part,
    from_ns: int,
    now: Now,
    *,
    broker: Broker | None,
    opcua_port: int | None,
    ready: Callable[[str], None],
    report: Callable[[Mapping[str, Json]], None],
    stopping: asyncio.Event,
) -> None:
    """Tell the story from `from_ns` up to `now()` until `stopping`; `report` hears each second how it goes.

    Raises Unreachable if the broker refuses or does not answer in 10 s, OSError if the port cannot be served.
    """
    async with AsyncExitStack() as stack:
        tellers: list[Teller] = []
        if opcua_port is not None:
            server = await stack.enter_async_context(_server(simulation, part, opcua_port))
            for value in simulation.values(from_ns):
                await server.write(value)
            ready(server.url)
            tellers.append(Teller(simulation, "opcua", partial(serve_item, server), from_ns))
        publisher = None
        if broker is not None:
            publisher = await stack.enter_async_context(_publisher(broker, simulation.seed))
            await _connected(publisher, broker)
            ready(f"mqtt{'s' if broker.tls else ''}://{broker.host}:{broker.port}")
            if part.is_foreign:
                at = rfc3339(from_ns - HOUR_NS)
                for message in standing(part.machines, from_ns, at):
                    await publish_item(publisher, message)
            send = partial(_publish, publisher, is_foreign=part.is_foreign)
            tellers.append(Teller(simulation, "mqtt", send, from_ns))
        await _until_stopped(tellers, publisher, now, report, stopping)


async def _until_stopped(
    tellers: list[Teller],
    publisher: Publisher | None,
    now: Now,
    report: Callable[[Mapping[str, Json]], None],
    stopping: asyncio.Event,
) -> None:
    def say() -> None:
        told_ns = min(teller.told_ns for teller in tellers)
        facts: dict[str, Json] = {"told_ns": told_ns, "sent": sum(teller.sent for teller in tellers)}
        if publisher is not None:
            facts |= {"acknowledged": publisher.acknowledged, "connected": publisher.connected}
        report(facts)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.tell(now), name=f"telling by {one.channel}") for one in tellers]
        while not stopping.is_set():
            say()
            if publisher is not None and publisher.refusal is not None:
                raise Unreachable(f"refused: {publisher.refusal}")
            await _within(stopping, REPORT_S)
        for task in tasks:
            task.cancel()
    if publisher is not None:
        await publisher.drain(DRAIN_S)
    say()


async def _within(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


def _server(simulation: Simulation, part: Part, port: int) -> PlantServer:
    variables = [row for row in simulation.variables() if row[1] in part.machines]
    return (ForeignServer if part.is_foreign else PlantServer)(variables, port)


def _publisher(broker: Broker, seed: int) -> Publisher:
    client_id = f"plant-{seed}-{time.monotonic_ns() % 1_000_000}"
    return Publisher(
        broker.host,
        broker.port,
        client_id=client_id,
        username=broker.user,
        password=broker.password,
        tls=broker.tls,
    )


async def _connected(publisher: Publisher, broker: Broker) -> None:
    give_up_s = time.monotonic() + CONNECT_S
    while not publisher.connected:
        if publisher.refusal is not None:
            raise Unreachable(f"{broker.host}:{broker.port} refuses: {publisher.refusal}")
        if time.monotonic() > give_up_s:
            raise Unreachable(f"{broker.host}:{broker.port} does not answer as an MQTT broker")
        await asyncio.sleep(0.05)


async def _publish(publisher: Publisher, item: Item, *, is_foreign: bool) -> None:
    for one in foreign(item) if is_foreign else (item,):
        await publish_item(publisher, one)


def begins_ns(now_ns: int, speed: float, seconds: float | None) -> int:
    """When a story begins that is told at that speed and reaches the present: after `seconds`, else after an hour of it."""
    if seconds is not None:
        return now_ns - round((speed - 1) * seconds * SECOND_NS) if speed > 1 else now_ns
    return now_ns - HOUR_NS if speed > 1 else now_ns


@dataclass(slots=True)
class Pace:
    """The story's clock: from `begin_ns` at `speed` times real time, and never ahead of the clock on the wall."""

    begin_ns: int
    speed: float
    wall: Now
    began_s: float

    def __call__(self) -> int:
        """Now, ns UTC."""
        passed_ns = round((time.monotonic() - self.began_s) * self.speed * SECOND_NS)
        return min(self.begin_ns + passed_ns, self.wall())
