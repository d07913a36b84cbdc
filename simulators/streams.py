"""Who speaks regularly, and with which bytes: one stream per producer, each message a function of its number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from andon.events import MINUTE_NS, SECOND_NS
from andon.plant import Point
from simulators.bearing import synthesise
from simulators.chance import fraction, generator, identity
from simulators.machines import BLOCK_S
from simulators.messages import (
    Channel,
    Item,
    MqttMessage,
    OpcuaValue,
    Stamp,
    envelope,
    metrics,
    waveform_block,
)
from simulators.physics import Body

PERIOD_NS = BLOCK_S * SECOND_NS
REBOOT_NS = 2 * PERIOD_NS  # nothing is measured while a producer boots
SAMPLES, RATE_HZ = 8192, 12_800.0
SCALE_G = 1 / 2048  # a 16 g accelerometer on 16 bits
CHANNELS = (("VEL/velocity_rms", "mm/s"), ("DE/temperature", "Cel"), ("M/current", "A"))
STRAYING = 0.01  # the share of messages that a wireless network holds back, and of those it repeats

Moment = tuple[int, int]
"""A message's number in its stream, and when it is made."""


class Stream(Protocol):
    """One producer. `late` and `twice` are the shares of its messages that are held back and that are repeated."""

    @property
    def name(self) -> str:
        """Its name, unique in the plant."""

    @property
    def channel(self) -> Channel:
        """How it speaks."""

    @property
    def late(self) -> float:
        """The share that is sent minutes late."""

    @property
    def twice(self) -> float:
        """The share that is sent twice."""

    def moments(self, from_ns: int, to_ns: int) -> Iterator[Moment]:
        """What it makes from `from_ns` to before `to_ns`."""

    def items(self, number: int, at_ns: int, due_ns: int) -> Sequence[Item]:
        """The message of that number, made at `at_ns` and sent at `due_ns`."""


def topic_of(body: Body, kind: str, name: str) -> str:
    """The MQTT topic of one class of message of a machine."""
    return f"andon/v1/{body.machine.path}/{body.machine.id}/_{kind}/{name}"


def telemetry(
    body: Body, values: list[tuple[str, float, str]], at_ns: int, message_id: str, stamp: Stamp | None = None
) -> bytes:
    """A telemetry message of a machine: these values and its state."""
    return envelope(
        message_id=message_id,
        source=f"gateway/{body.machine.id}",
        kind="andon.telemetry.v1",
        at_ns=at_ns,
        subject=f"{body.machine.path}/{body.machine.id}",
        data=metrics([*values, ("state", int(body.state(at_ns)), "1")]),
        stamp=stamp,
    )


def readings(body: Body, number: int, at_ns: int) -> list[tuple[str, float, str]]:
    """The slow channels of a machine with their noise; points that are silent are left out."""
    values = (body.velocity_mm_s(at_ns), body.temperature_c(at_ns), body.current_a(at_ns))
    noises = (0.012 * values[0] + 0.002, 0.05, 0.008 * values[2] + 0.01)
    return [
        (channel, round(value + noise * _normal(body, channel, number), 3), unit)
        for (channel, unit), value, noise in zip(CHANNELS, values, noises, strict=True)
        if not body.story.is_silent(body.machine.id, channel.partition("/")[0], at_ns)
    ]


def _normal(body: Body, channel: str, number: int) -> float:
    """Near normal with variance 1: three uniforms."""
    return 2 * sum(fraction(body.story.seed, body.machine.id, channel, number, i) - 0.5 for i in range(3))


@dataclass(frozen=True, slots=True)
class Beat:
    """A period, with the reboots of the producer that keeps it."""

    body: Body
    producer: str
    phase_ns: int

    def moments(self, from_ns: int, to_ns: int) -> Iterator[Moment]:
        """Each beat, except while the producer boots."""
        number = self._first(from_ns)
        while (at_ns := self._origin_ns + number * PERIOD_NS) < to_ns:
            if not any(0 <= at_ns - boot_ns < REBOOT_NS for boot_ns in self._boots(at_ns)):
                yield number, at_ns
            number += 1

    def stamp(self, number: int, at_ns: int) -> Stamp:
        """Producer, boot and the number since that boot."""
        boots = [boot_ns for boot_ns in self._boots(at_ns) if boot_ns <= at_ns]
        first = self._first(boots[-1] + REBOOT_NS) if boots else 0
        boot = identity(self.body.story.seed, self.body.story.start_ns, self.producer, len(boots))
        return Stamp(self.producer, boot, number - first)

    @property
    def _origin_ns(self) -> int:
        return self.body.story.start_ns + self.phase_ns

    def _first(self, from_ns: int) -> int:
        return max(0, -((self._origin_ns - from_ns) // PERIOD_NS))

    def _boots(self, at_ns: int) -> Sequence[int]:
        return self.body.story.reboots(self.producer, at_ns)


@dataclass(frozen=True, slots=True)
class WaveformStream:
    """An accelerometer: one AWB1 block per period, with the shaft's speed if it has a tacho."""

    body: Body
    point: Point
    phase_ns: int
    has_tacho: bool
    channel: Channel = "mqtt"
    late: float = STRAYING
    twice: float = STRAYING

    @property
    def name(self) -> str:
        """Asset and point."""
        return f"{self.body.machine.id}/{self.point.id}"

    def moments(self, from_ns: int, to_ns: int) -> Iterator[Moment]:
        """Every period, until it falls silent."""
        for number, at_ns in Beat(self.body, self.name, self.phase_ns).moments(from_ns, to_ns):
            if not self.body.story.is_silent(self.body.machine.id, self.point.id, at_ns):
                yield number, at_ns

    def items(self, number: int, at_ns: int, due_ns: int) -> Sequence[Item]:
        """The block that begins at `at_ns`."""
        stamp = Beat(self.body, self.name, self.phase_ns).stamp(number, at_ns)
        vibration = self.body.vibration(self.point.id, self.point.bearing, at_ns)
        rng = generator(self.body.story.seed, self.name, number)
        samples = synthesise(vibration, rng, n=SAMPLES, rate_hz=RATE_HZ)
        raw = np.clip(np.rint(samples * np.float32(1 / SCALE_G)), -32768, 32767).astype("<i2")
        block = waveform_block(
            raw,
            at_ns=at_ns,
            rate_hz=RATE_HZ,
            scale=SCALE_G,
            boot=stamp.boot,
            block_seq=stamp.seq,
            sensor=self.name,
            rpm=vibration.speed_hz * 60 if self.has_tacho else None,
        )
        return (MqttMessage(due_ns, topic_of(self.body, "wave", self.point.id), block),)


@dataclass(frozen=True, slots=True)
class TelemetryStream:
    """The gateway of a machine on line 1: one JSON message per period with all slow channels and the state."""

    body: Body
    phase_ns: int
    channel: Channel = "mqtt"
    late: float = STRAYING
    twice: float = STRAYING

    @property
    def name(self) -> str:
        """The machine's id."""
        return self.body.machine.id

    def moments(self, from_ns: int, to_ns: int) -> Iterator[Moment]:
        """Every period."""
        return Beat(self.body, self.name, self.phase_ns).moments(from_ns, to_ns)

    def items(self, number: int, at_ns: int, due_ns: int) -> Sequence[Item]:
        """The readings taken at `at_ns`."""
        stamp = Beat(self.body, self.name, self.phase_ns).stamp(number, at_ns)
        message_id = f"{self.name}:{stamp.boot.hex()[:8]}:{stamp.seq}"
        message = telemetry(self.body, readings(self.body, number, at_ns), at_ns, message_id, stamp)
        return (MqttMessage(due_ns, topic_of(self.body, "telemetry", "process"), message),)


@dataclass(frozen=True, slots=True)
class OpcuaStream:
    """The PLC of a machine on line 2: each slow channel is a variable that takes a new value per period."""

    body: Body
    phase_ns: int
    channel: Channel = "opcua"
    late: float = 0.0
    twice: float = 0.0

    @property
    def name(self) -> str:
        """The machine's id."""
        return self.body.machine.id

    def moments(self, from_ns: int, to_ns: int) -> Iterator[Moment]:
        """Every period."""
        return Beat(self.body, self.name, self.phase_ns).moments(from_ns, to_ns)

    def items(self, number: int, at_ns: int, due_ns: int) -> Sequence[OpcuaValue]:
        """The values read at `at_ns`."""
        return [
            OpcuaValue(due_ns, f"{self.name}/{channel}", self._seen(channel, value, at_ns), at_ns)
            for channel, value, _ in readings(self.body, number, at_ns)
        ]

    def last(self, at_ns: int) -> list[OpcuaValue]:
        """The last value of each variable by then, also of those that are silent since."""
        values = []
        for channel, _ in CHANNELS:
            silent_ns = self.body.story.silent_from(self.name, channel.partition("/")[0], at_ns)
            end_ns = at_ns + 1 if silent_ns is None else min(at_ns + 1, silent_ns)
            for number, said_ns in Beat(self.body, self.name, self.phase_ns).moments(
                end_ns - PERIOD_NS, end_ns
            ):
                known = self.items(number, said_ns, said_ns)
                values += [one for one in known if one.node == f"{self.name}/{channel}"]
        return values

    def _seen(self, channel: str, value: float, at_ns: int) -> float:
        """The value; not a number for the half minute in which one machine's current sensor is broken."""
        story = self.body.story
        minute = (at_ns - story.start_ns) / MINUTE_NS
        broken = channel == "M/current" and self.name == story.cast.not_a_number and 15 <= minute < 15.5
        return float("nan") if broken and not story.healthy else value
