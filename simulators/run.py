"""Tells a story on real protocols: publishes what is due over MQTT, serves OPC UA, and remembers how far it came."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from andon.clock import Now
from andon.events import SECOND_NS, Json
from simulators.messages import Item, MqttMessage, OpcuaEvent, OpcuaValue
from simulators.mqtt import Publisher
from simulators.opcua import RETAINED_NS, PlantServer
from simulators.plant import Simulation

TURN_S, BEHIND_S = 0.05, 0.01  # a pause between two turns; a shorter one while there is more to tell
MOST_PER_TURN_NS = 30 * SECOND_NS
SAVE_S, STATUS_S, DRAIN_S = 0.5, 1.0, 3.0
_BREATH = 6  # items between two chances for everything else on the loop, about 4 ms


@dataclass(slots=True)
class Progress:
    """How far the story was told for certain; survives a kill, because the file is replaced whole."""

    path: Path
    seed: int
    start_ns: int

    def load(self) -> int:
        """The time to go on from; the story's start if this story was never told."""
        try:
            kept = json.loads(self.path.read_text())
        except FileNotFoundError:
            return self.start_ns
        same = (kept["seed"], kept["start_ns"]) == (self.seed, self.start_ns)
        return int(kept["done_ns"]) if same else self.start_ns

    def save(self, done_ns: int) -> None:
        """Remember that everything before `done_ns` is acknowledged or written."""
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps({"seed": self.seed, "start_ns": self.start_ns, "done_ns": done_ns}))
        partial.replace(self.path)


async def run(
    simulation: Simulation,
    *,
    mqtt_host: str,
    mqtt_port: int,
    username: str | None,
    password: str | None,
    opcua_port: int,
    now: Now,
    progress: Path,
    stopping: asyncio.Event,
    ready: Callable[[str], None],
    status: Callable[[Mapping[str, Json]], None],
) -> None:
    """Tell the story up to `now()`, turn by turn, until `stopping`; `ready` is given the OPC UA address.

    Goes on from `progress`, so that what was not surely received is sent again with the same ids. The MQTT
    side may come and go: the story waits for it.
    """
    kept = Progress(progress, simulation.seed, simulation.start_ns)
    done_ns = kept.load()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(PlantServer(simulation.variables(), opcua_port))
        await _restore(server, simulation, done_ns)
        publisher = await stack.enter_async_context(
            Publisher(
                mqtt_host,
                mqtt_port,
                client_id=f"plant-{simulation.seed}",
                username=username,
                password=password,
            )
        )
        ready(server.url)
        teller = _Teller(simulation, server, publisher, kept, status, done_ns)
        telling = asyncio.create_task(teller.tell(now), name="telling the story")
        stopped = asyncio.create_task(stopping.wait(), name="waiting for the end")
        try:
            await asyncio.wait({telling, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            telling.cancel()
            await asyncio.gather(telling, stopped, return_exceptions=True)
        if telling.done() and not telling.cancelled():
            telling.result()
        await publisher.drain(DRAIN_S)
        teller.save()


async def _restore(server: PlantServer, simulation: Simulation, done_ns: int) -> None:
    """Put the server where it was: the states, which are only written when they change, and what is retained."""
    for state in simulation.states(done_ns):
        await server.write(state)
    for event in simulation.events(done_ns - RETAINED_NS, done_ns):
        server.retain(event)


@dataclass(slots=True)
class _Teller:
    """Tells the story turn by turn."""

    simulation: Simulation
    server: PlantServer
    publisher: Publisher
    kept: Progress
    status: Callable[[Mapping[str, Json]], None]
    told_ns: int
    sent: int = 0
    saved_s: float = 0.0
    reported_s: float = 0.0

    async def tell(self, now: Now) -> None:
        """For ever: what is due until now, in turns of at most half a minute of the story."""
        while True:
            until_ns = min(now(), self.told_ns + MOST_PER_TURN_NS)
            for item in self.simulation.due(self.told_ns, until_ns):
                await self._send(item)
                self.told_ns = max(self.told_ns, item.at_ns)
            self.told_ns = max(self.told_ns, until_ns)
            self._report()
            await asyncio.sleep(BEHIND_S if now() > until_ns + MOST_PER_TURN_NS else TURN_S)

    def save(self) -> None:
        """Keep how far everything is acknowledged and written."""
        self.saved_s = time.monotonic()
        self.kept.save(self.publisher.acknowledged_until(self.told_ns))

    async def _send(self, item: Item) -> None:
        self.sent += 1
        if self.sent % _BREATH == 0:
            await asyncio.sleep(0)
            self._report()
        match item:
            case MqttMessage():
                await self.publisher.publish(item.at_ns, item.topic, item.body)
            case OpcuaValue():
                await self.server.write(item)
            case OpcuaEvent():
                await self.server.emit(item)

    def _report(self) -> None:
        at_s = time.monotonic()
        if at_s - self.saved_s >= SAVE_S:
            self.save()
        if at_s - self.reported_s >= STATUS_S:
            self.reported_s = at_s
            self.status(
                {
                    "connected": self.publisher.connected,
                    "refusal": self.publisher.refusal,
                    "sent": self.sent,
                    "acknowledged": self.publisher.acknowledged,
                    "story_ns": self.told_ns,
                }
            )
