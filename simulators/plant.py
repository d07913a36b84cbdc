"""The simulated plant: what it sends when, and what has to come of it; a pure function of seed and time."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from andon.events import MINUTE_NS, SECOND_NS
from simulators.chance import between, fraction
from simulators.machines import MACHINES, plant_document, points_of
from simulators.messages import Channel, Item, OpcuaEvent, OpcuaValue
from simulators.physics import Body
from simulators.planting import planted_in
from simulators.signals import StateStream, StopStream
from simulators.spoiled import SpoiledStream
from simulators.story import Story
from simulators.streams import (
    CHANNELS,
    PERIOD_NS,
    STRAYING,
    OpcuaStream,
    Stream,
    TelemetryStream,
    WaveformStream,
)
from simulators.truth import Planted

LATE_S, AGAIN_S = (60.0, 180.0), (1.0, 15.0)
_REACH_MIN = 4  # a message is sent at the latest in the fourth minute after the one in which it was made
_KEPT_MIN = 16

_Due = tuple[int, int, int, int, int]
"""When it is sent, stream, number, copy, when it was made: sorts in the order of sending."""


class Simulation:
    """The plant of one seed whose story begins at `start_ns`; with `healthy`, nothing is planted in it.

    Of its machines, `only` these speak, or all of them.

    `due` gives the same messages with the same ids for the same times, however often and in whatever pieces it
    is asked: a simulator that is killed goes on by sending its last messages again.
    """

    def __init__(
        self, seed: int, start_ns: int, *, healthy: bool = False, only: Collection[str] = ()
    ) -> None:
        self.seed, self.start_ns, self.healthy = seed, start_ns, healthy
        self.plant = plant_document()
        self._story = Story(seed, start_ns, healthy=healthy)
        self._bodies = {
            machine.id: Body(machine, self._story) for machine in MACHINES if not only or machine.id in only
        }
        self._streams = [*self._regular(), *map(StateStream, self._bodies.values())]
        self._streams += map(StopStream, self._bodies.values())
        if "L1-CLP-01" in self._bodies:
            self._streams.append(SpoiledStream(self._bodies["L1-CLP-01"]))
        self._made: dict[int, list[_Due]] = {}

    def due(self, from_ns: int, to_ns: int, channel: Channel | None = None) -> Iterator[Item]:
        """What is sent from `from_ns` to before `to_ns`, in order, by one channel or both; made as it is taken."""
        first = (from_ns - self.start_ns) // MINUTE_NS - _REACH_MIN
        last = (to_ns - 1 - self.start_ns) // MINUTE_NS
        found: list[_Due] = []
        for minute in range(max(0, first), last + 1):
            made = self._minute(minute)
            found += made[bisect_left(made, (from_ns,)) : bisect_left(made, (to_ns,))]
        for due_ns, place, number, _, at_ns in sorted(found):
            stream = self._streams[place]
            if channel in {None, stream.channel}:
                yield from stream.items(number, at_ns, due_ns)

    def truth(self, until_ns: int) -> list[Planted]:
        """What was planted with an onset by then."""
        chapters = self._story.until(until_ns)
        return [planted for planted in planted_in(chapters) if planted.onset_ns <= until_ns]

    def dead_letters(self, until_ns: int) -> Mapping[str, int]:
        """How many messages that cannot be used were sent before then, by the reason that each must be given."""
        chapters = self._story.until(until_ns)
        return Counter(s.reason for chapter in chapters for s in chapter.spoiled if s.at_ns < until_ns)

    def variables(self) -> list[tuple[str, str, str, str]]:
        """The variables of the OPC UA address space: (node, asset, channel, unit) each."""
        return [
            (f"{machine.id}/{channel}", machine.id, channel, unit)
            for machine in MACHINES
            if machine.channel == "opcua"
            for channel, unit in (*CHANNELS, ("state", "1"))
        ]

    def values(self, at_ns: int) -> list[OpcuaValue]:
        """The value that each OPC UA variable has by then, with the time it took it."""
        values = [
            one for stream in self._streams if isinstance(stream, OpcuaStream) for one in stream.last(at_ns)
        ]
        for body in self._bodies.values():
            if body.machine.channel == "opcua":
                state, since_ns = StateStream(body).last(at_ns)
                values.append(OpcuaValue(since_ns, f"{body.machine.id}/state", float(state), since_ns))
        return values

    def events(self, from_ns: int, to_ns: int) -> list[OpcuaEvent]:
        """The OPC UA events sent from `from_ns` to before `to_ns`."""
        streams = [StopStream(body) for body in self._bodies.values() if body.machine.channel == "opcua"]
        items = [
            item
            for stream in streams
            for number, at_ns in stream.moments(from_ns, to_ns)
            for item in stream.items(number, at_ns, at_ns)
        ]
        return sorted((i for i in items if isinstance(i, OpcuaEvent)), key=lambda event: event.at_ns)

    def _regular(self) -> Iterator[Stream]:
        """The streams that keep a period, their phases spread over it."""
        heard = [
            (body, point)
            for body in self._bodies.values()
            for point in points_of(body.machine)
            if point.kind == "waveform"
        ]
        for place, (body, point) in enumerate(heard):
            phase_ns = place * PERIOD_NS // len(heard) // 1_000_000 * 1_000_000
            yield WaveformStream(body, point, phase_ns, has_tacho=place % 3 != 2, late=self._late(body))
        for place, body in enumerate(self._bodies.values()):
            phase_ns = (place * PERIOD_NS // len(self._bodies) // 1_000_000 + 137) * 1_000_000
            if body.machine.channel == "mqtt":
                yield TelemetryStream(body, phase_ns, late=self._late(body))
            else:
                yield OpcuaStream(body, phase_ns)

    def _late(self, body: Body) -> float:
        """A machine with a dead sensor has a good network: what is missing there is missing for certain."""
        return 0.0 if body.machine.id == self._story.cast.silent[0] else STRAYING

    def _minute(self, minute: int) -> list[_Due]:
        """Everything made in a minute of the story, by when it is sent."""
        if minute not in self._made:
            from_ns = self.start_ns + minute * MINUTE_NS
            self._made[minute] = sorted(
                due
                for place, stream in enumerate(self._streams)
                for number, at_ns in stream.moments(from_ns, from_ns + MINUTE_NS)
                for due in self._sendings(place, stream, number, at_ns)
            )
            if len(self._made) > _KEPT_MIN:
                del self._made[min(self._made)]
        return self._made[minute]

    def _sendings(self, place: int, stream: Stream, number: int, at_ns: int) -> Iterator[_Due]:
        """When a message is sent: at once, or late; some a second time."""
        key = (self.seed, stream.name, number, at_ns - self.start_ns)
        due_ns = at_ns
        if fraction(*key, "late") < stream.late:
            due_ns += round(between(*LATE_S, *key, "delay") * SECOND_NS)
        yield due_ns, place, number, 0, at_ns
        if fraction(*key, "twice") < stream.twice:
            yield due_ns + round(between(*AGAIN_S, *key, "again") * SECOND_NS), place, number, 1, at_ns
