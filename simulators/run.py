"""Tells a story on real protocols: publishes what is due over MQTT, serves OPC UA, and remembers how far it came."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from andon.clock import Now
from andon.events import SECOND_NS, Json
from simulators.messages import Channel, Item, MqttMessage, OpcuaEvent, OpcuaValue
from simulators.mqtt import Publisher
from simulators.opcua import RETAINED_NS, PlantServer
from simulators.plant import Simulation

TURN_S = 0.05
LEAST_PER_TURN_NS = 15 * SECOND_NS
CATCHING_UP = 4  # times the story's own pace, so that what waited does not come as a flood
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
        unfinished = self.path.with_suffix(".partial")
        unfinished.write_text(json.dumps({"seed": self.seed, "start_ns": self.start_ns, "done_ns": done_ns}))
        unfinished.replace(self.path)


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

    Goes on from `progress`, so that what was not surely received is sent again with the same ids. While there
    is no MQTT connection its part of the story waits, and OPC UA's goes on.
    """
    kept = Progress(progress, simulation.seed, simulation.start_ns)
    done_ns = kept.load()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(PlantServer(simulation.variables(), opcua_port))
        await _restore(server, simulation, done_ns)
        client_id = f"plant-{simulation.seed}"
        publisher = await stack.enter_async_context(
            Publisher(mqtt_host, mqtt_port, client_id=client_id, username=username, password=password)
        )
        ready(server.url)
        voices = _Voices(
            publisher,
            Teller(simulation, "mqtt", partial(publish_item, publisher), done_ns),
            Teller(simulation, "opcua", partial(serve_item, server), done_ns),
        )
        await _speak(voices, now, kept, status, stopping)
        await publisher.drain(DRAIN_S)
        kept.save(voices.done_ns)


async def _speak(
    voices: "_Voices",
    now: Now,
    kept: Progress,
    status: Callable[[Mapping[str, Json]], None],
    stopping: asyncio.Event,
) -> None:
    """Both parts side by side, until `stopping`."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(voices.mqtt.tell(now), name="telling by MQTT"),
            group.create_task(voices.opcua.tell(now), name="telling by OPC UA"),
            group.create_task(_report(voices, kept, status), name="reporting"),
        ]
        await stopping.wait()
        for task in tasks:
            task.cancel()


async def _restore(server: PlantServer, simulation: Simulation, done_ns: int) -> None:
    """Put the server where it was: a variable that does not change any more keeps its value, events stay retained."""
    for value in simulation.values(done_ns):
        await server.write(value)
    for event in simulation.events(done_ns - RETAINED_NS, done_ns):
        server.retain(event)


async def publish_item(publisher: Publisher, item: Item) -> None:
    """Publish what is published."""
    if isinstance(item, MqttMessage):
        await publisher.publish(item.at_ns, item.topic, item.body, retain=item.retain)


async def serve_item(server: PlantServer, item: Item) -> None:
    """Serve what is served."""
    if isinstance(item, OpcuaValue):
        await server.write(item)
    elif isinstance(item, OpcuaEvent):
        await server.emit(item)


@dataclass(slots=True)
class Teller:
    """Tells one channel's part of the story; everything before `told_ns` was given to `send`."""

    simulation: Simulation
    channel: Channel
    send: Callable[[Item], Awaitable[None]]
    told_ns: int
    sent: int = 0

    async def tell(self, now: Now) -> None:
        """For ever: what is due until now; what has waited, at a few times the story's pace."""
        last_ns = now()
        while True:
            now_ns = now()
            most_ns = max(LEAST_PER_TURN_NS, CATCHING_UP * (now_ns - last_ns))
            until_ns, last_ns = min(now_ns, self.told_ns + most_ns), now_ns
            for item in self.simulation.due(self.told_ns, until_ns, self.channel):
                await self.send(item)
                self.told_ns = item.at_ns
                self.sent += 1
                if self.sent % _BREATH == 0:
                    await asyncio.sleep(0)
            self.told_ns = max(self.told_ns, until_ns)
            await asyncio.sleep(TURN_S)


@dataclass(frozen=True, slots=True)
class _Voices:
    """Both parts of the story."""

    publisher: Publisher
    mqtt: Teller
    opcua: Teller

    @property
    def done_ns(self) -> int:
        """The time before which everything is acknowledged or written."""
        return min(self.publisher.acknowledged_until(self.mqtt.told_ns), self.opcua.told_ns)


async def _report(voices: _Voices, kept: Progress, status: Callable[[Mapping[str, Json]], None]) -> None:
    """Keep the progress, and say how it goes."""
    reported_s = 0.0
    while True:
        kept.save(voices.done_ns)
        if time.monotonic() - reported_s >= STATUS_S:
            reported_s = time.monotonic()
            status(
                {
                    "connected": voices.publisher.connected,
                    "refusal": voices.publisher.refusal,
                    "sent": voices.mqtt.sent + voices.opcua.sent,
                    "acknowledged": voices.publisher.acknowledged,
                    "story_ns": voices.mqtt.told_ns,
                }
            )
        await asyncio.sleep(SAVE_S)
