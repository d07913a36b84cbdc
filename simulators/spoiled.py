"""Messages that cannot be used: one of each kind that a plant really sends, so that dead letters are seen."""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from simulators.chance import identity
from simulators.messages import Channel, Item, MqttMessage, envelope, metrics, waveform_block
from simulators.physics import Body
from simulators.streams import RATE_HZ, SCALE_G, Moment, topic_of

Letter = tuple[str, bytes]
"""Topic and body."""


@dataclass(frozen=True, slots=True)
class SpoiledStream:
    """A device that was set up badly. Its messages bear no number: each is told by its time."""

    body: Body
    channel: Channel = "mqtt"
    late: float = 0.0
    twice: float = 0.0

    @property
    def name(self) -> str:
        """What it is called in the plant."""
        return "spoiled"

    def moments(self, from_ns: int, to_ns: int) -> Iterator[Moment]:
        """Each spoiled message; the number is its place in its chapter."""
        for chapter in self.body.story.until(to_ns):
            for number, spoiled in enumerate(chapter.spoiled):
                if from_ns <= spoiled.at_ns < to_ns:
                    yield number, spoiled.at_ns

    def items(self, number: int, at_ns: int, due_ns: int) -> Sequence[Item]:
        """The message that its dead letter will give that reason for."""
        chapters = self.body.story.until(at_ns)
        reason = next(
            spoiled.reason
            for chapter in chapters
            for place, spoiled in enumerate(chapter.spoiled)
            if (place, spoiled.at_ns) == (number, at_ns)
        )
        topic, message = _LETTERS[reason](self.body, at_ns)
        return (MqttMessage(due_ns, topic, message),)


def _reading(body: Body, at_ns: int, value: float = 21.5) -> bytes:
    return envelope(
        message_id=f"spoiled:{at_ns}",
        source="gateway/badly-set-up",
        kind="andon.telemetry.v1",
        at_ns=at_ns,
        subject=f"{body.machine.path}/{body.machine.id}",
        data=metrics([("DE/temperature", value, "Cel")]),
    )


def _block(body: Body, at_ns: int) -> bytes:
    return waveform_block(
        np.zeros(256, "<i2"),
        at_ns=at_ns,
        rate_hz=RATE_HZ,
        scale=SCALE_G,
        boot=identity(body.story.seed, "spoiled", at_ns),
        block_seq=0,
    )


def _malformed(body: Body, at_ns: int) -> Letter:
    return topic_of(body, "telemetry", "process"), _reading(body, at_ns)[:-7]


def _not_finite(body: Body, at_ns: int) -> Letter:
    return topic_of(body, "telemetry", "process"), _reading(body, at_ns, float("nan"))


def _schema(body: Body, at_ns: int) -> Letter:
    return topic_of(body, "telemetry", "process"), _reading(body, at_ns).replace(b'"metrics"', b'"values"')


def _invalid_utf8(body: Body, at_ns: int) -> Letter:
    return topic_of(body, "telemetry", "process"), _reading(body, at_ns).replace(b'"Cel"', b'"\xb0C"')


def _unknown_topic(body: Body, at_ns: int) -> Letter:
    return f"andon/v1/{body.machine.path}/{body.machine.id}/temperature", _reading(body, at_ns)


def _unknown_asset(body: Body, at_ns: int) -> Letter:
    return topic_of(body, "telemetry", "process").replace(body.machine.id, "L1-OLD-99"), _reading(body, at_ns)


def _bad_header(body: Body, at_ns: int) -> Letter:
    return topic_of(body, "wave", "DE"), b"AWB9" + _block(body, at_ns)[4:]


def _wrong_crc(body: Body, at_ns: int) -> Letter:
    return topic_of(body, "wave", "DE"), _block(body, at_ns)[:-2] + struct.pack("<h", 1)


_LETTERS: dict[str, Callable[[Body, int], Letter]] = {
    "malformed_json": _malformed,
    "not_finite_json": _not_finite,
    "schema": _schema,
    "invalid_utf8": _invalid_utf8,
    "unknown_topic": _unknown_topic,
    "unknown_asset": _unknown_asset,
    "bad_waveform_header": _bad_header,
    "waveform_crc": _wrong_crc,
}
