"""Bytes to events: every record ends as an event, a duplicate, a dead letter or a gap, and is counted once.

The way of one message: its topic's route, strict parse, identity (twice is once), asset and point, event time.
A function of the records so far: no clock, no I/O, and the same in whatever runs the records come.
"""

import base64
import binascii
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from pydantic import ValidationError

from andon.events import ConfigChanged, Gap, Json, Notice, PackMLState, Quality, StopAlarm, Tick, Waveform
from andon.plant import Plant
from andon.ports import Decoded, Record, RecordKind, State
from ingest import envelope as words
from ingest.blocks import Row, Run
from ingest.envelope import parse
from ingest.identity import NEVER_NS, Identity
from ingest.mapping import EVENT, OPCUA, TELEMETRY, WAVE, Equipment, Routes
from ingest.once import accept, follows, is_new
from ingest.packml import state_of
from ingest.refusal import Reason, Refused
from ingest.times import source_ns
from ingest.waveform import decode_block

T = TypeVar("T")
MAX_BYTES = 1024 * 1024
MAX_WAVE_BYTES = 8 * 1024 * 1024
DEFAULT_WAVE_UNIT = "g"
_BAD = int(Quality.BAD)


class MessageDecoder:
    """The decoder of all sources; it learns the plant from CONFIG records."""

    def __init__(self) -> None:
        self._document: Mapping[str, Json] = {"name": ""}
        self._routes = Routes(Plant(name=""))
        self._identity = Identity()
        self._records: dict[RecordKind, Callable[[Run], None]] = {
            RecordKind.MESSAGE: self._message,
            RecordKind.REFUSED: _refused,
            RecordKind.GAP: _gap,
            RecordKind.TICK: _tick,
            RecordKind.CONFIG: self._config,
            RecordKind.NOTICE: _notice,
        }
        self._messages: dict[str, tuple[int, Callable[[Run], None]]] = {
            TELEMETRY: (MAX_BYTES, self._telemetry),
            EVENT: (MAX_BYTES, self._stop),
            WAVE: (MAX_WAVE_BYTES, self._wave),
            OPCUA: (MAX_WAVE_BYTES, self._opcua),
        }

    def decode(self, source: str, position: int, records: Sequence[Record]) -> Decoded:
        """Decode records of one source, the first of them at `position`. Bad input is data: it never raises.

        Beside the balance of `Decoded`, `counts` holds `clock_skew`: stamps from the future that were replaced.
        """
        run = Run(source)
        due_ns = self._identity.due_ns
        for place, record in enumerate(records, position):
            run.stand_at(place, record)
            if record.received_ns >= due_ns.get(source, NEVER_NS):
                for hole, filled in self._identity.overdue(source, record.received_ns):
                    run.gap(hole, filled=filled)
            try:
                self._records[record.kind](run)
            except Refused as refusal:
                run.refuse(refusal)
        return run.decoded()

    def snapshot(self) -> State:
        """The plant document and everything that is remembered of messages."""
        return {"document": self._document, **self._identity.snapshot()}

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        document: Json = state["document"]
        self._document, self._routes = document, Routes(Plant.model_validate(document))
        self._identity.restore(state)

    def _config(self, run: Run) -> None:
        body = _own(run, words.CONFIG)
        try:
            plant = Plant.model_validate(body.document)
        except ValidationError as error:
            run.received += 1
            raise Refused(Reason.RECORD_CORRUPT, f"not a plant: {error}") from None
        self._document, self._routes = body.document, Routes(plant)
        run.put(ConfigChanged(run.received_ns, body.version, body.document, run.origin()), None)

    def _message(self, run: Run) -> None:
        run.received += 1
        run.route = self._routes.of(run.record.topic)
        limit, take = self._messages.get(run.route.kind, (0, _nowhere))
        if len(run.record.body) > limit > 0:
            raise Refused(Reason.TOO_LARGE, f"{len(run.record.body)} bytes; at most {limit} are taken")
        take(run)

    def _telemetry(self, run: Run) -> None:
        message = parse(words.TELEMETRY, run.record.body)
        metrics = message.data.metrics
        sent_ns = None if message.time is None else source_ns(message.time)
        at_ns = run.received_ns if sent_ns is None else run.at(sent_ns)
        timed = sent_ns is not None or None not in [metric.ts for metric in metrics]
        if not is_new(self._identity, run, message, sent_ns=sent_ns, at_ns=at_ns, timed=timed):
            return
        equipment = _equipment(run)
        rows = [
            _row(
                at_ns if metric.ts is None else run.at(source_ns(metric.ts)),
                equipment.channel(metric.name, metric.unit),
                metric.value,
                metric.quality,
            )
            for metric in metrics
        ]
        run.add(equipment.id, rows)
        run.stored += 1

    def _stop(self, run: Run) -> None:
        message = parse(words.STOP, run.record.body)
        stop = message.data
        stamp = (stop.start_time if stop.reason.trigger else stop.end_time) or message.time
        sent_ns = None if stamp is None else source_ns(stamp)
        at_ns = run.received_ns if sent_ns is None else run.at(sent_ns)
        if not is_new(self._identity, run, message, sent_ns=sent_ns, at_ns=at_ns, timed=stamp is not None):
            return
        state = _state(stop.state)
        if stop.state_num not in {None, int(state)}:
            raise Refused(Reason.SCHEMA, f"state {stop.state!r} has number {state:d}, not {stop.state_num}")
        _put_stop(run, _equipment(run), at_ns, state, stop)

    def _wave(self, run: Run) -> None:
        self._block(run, run.record.body)

    def _block(self, run: Run, body: bytes) -> None:
        block = decode_block(body)
        at_ns = run.at(block.at_ns)
        # The topic belongs to it: a sensor may number the blocks of each of its points by itself.
        key = f"{run.record.topic.decode()}\x00{block.sensor}\x00{block.boot}"
        point_id = run.route.name
        if not follows(
            self._identity,
            run,
            key=key,
            number=block.number,
            sent_ns=block.at_ns,
            at_ns=at_ns,
            point=point_id,
        ):
            return
        equipment = _equipment(run)
        wave = Waveform(
            asset=equipment.id,
            point=equipment.point(point_id).id,
            at_ns=at_ns,
            rate_hz=block.rate_hz,
            samples=block.samples,
            unit=block.unit or DEFAULT_WAVE_UNIT,
            speed_hz=block.speed_hz,
            origin=run.origin(),
        )
        run.put(wave, equipment.id)
        run.stored += 1

    def _opcua(self, run: Run) -> None:
        try:
            message = parse(words.OPCUA, run.record.body)
        except Refused:
            if words.type_of(run.record.body).startswith("opcua."):
                raise
            raise self._routes.nowhere(run.record.topic.decode()).refusal() from None
        if isinstance(message, words.OpcUaEvent):
            self._opcua_event(run, message)
        elif message.encoding is not None:
            self._block(run, _bytes(message.value))
        else:
            self._opcua_value(run, message)

    def _opcua_value(self, run: Run, message: words.OpcUaData) -> None:
        stamp = message.source_time or message.server_time
        sent_ns = None if stamp is None else source_ns(stamp)
        if message.source_time is not None:
            # Every connection begins with the values as they stand: most of them came before.
            said = f"{message.node}\x00{message.source_time}\x00{message.value!r}\x00{message.status}"
            identity = run.record.topic + b"\x00" + said.encode()
            if not accept(run, self._identity.opaque(run.source, identity, 0), "data change"):
                return
        equipment = _equipment(run)
        channel = equipment.channel(run.route.name, None)
        value = _number(run.route.name, message.value)
        at_ns = run.received_ns if sent_ns is None else run.at(sent_ns)
        run.add(equipment.id, [_row(at_ns, channel, value, message.status)])
        run.stored += 1

    def _opcua_event(self, run: Run, message: words.OpcUaEvent) -> None:
        identity = b"event\x00" + message.event_id.encode()
        verdict = self._identity.opaque(run.source, identity, zlib.crc32(run.record.body))
        if not accept(run, verdict, f"event {message.event_id}"):
            return
        run.route = self._routes.to(OPCUA, message.asset or "", "")
        at_ns = run.received_ns if message.time is None else run.at(source_ns(message.time))
        _put_stop(run, _equipment(run), at_ns, _state(message.state), message)


def _nowhere(run: Run) -> None:
    raise run.route.refusal()


def _tick(run: Run) -> None:
    run.put(Tick(run.received_ns, run.origin()), None)


def _gap(run: Run) -> None:
    body = _own(run, words.GAP)
    run.received += body.count
    run.overflow += body.count
    gap = Gap(
        source=run.source,
        asset=body.asset,
        point=body.point,
        from_ns=body.from_ns,
        to_ns=body.to_ns,
        cause=body.cause,
        backfilled=body.backfilled,
        origin=run.origin(),
    )
    run.put(gap, body.asset)


def _notice(run: Run) -> None:
    body = _own(run, words.NOTICE)
    said = Notice(
        at_ns=run.received_ns,
        code=body.code,
        subject=body.subject,
        active=body.active,
        severity=body.severity,
        detail=body.detail,
        origin=run.origin(),
    )
    run.put(said, None)


def _refused(run: Run) -> None:
    body = _own(run, words.REFUSED)
    run.received += 1
    run.letter(body.reason, body.detail, head=body.head, length=body.length, sha256=body.sha256)


def _own(run: Run, decoder: msgspec.json.Decoder[T]) -> T:
    """The body of a record that Andon wrote itself: if it cannot be read, the journal is at fault."""
    try:
        return parse(decoder, run.record.body)
    except Refused as refusal:
        run.received += 1
        raise Refused(Reason.RECORD_CORRUPT, str(refusal)) from None


def _equipment(run: Run) -> Equipment:
    if run.route.equipment is None:
        raise run.route.refusal()
    return run.route.equipment


def _put_stop(
    run: Run, equipment: Equipment, at_ns: int, state: PackMLState, stop: words.Stop | words.OpcUaEvent
) -> None:
    alarm = StopAlarm(
        asset=equipment.id,
        at_ns=at_ns,
        state=state,
        reason_id=stop.reason.id,
        reason_value=stop.reason.value,
        message=stop.reason.message,
        category=stop.reason.category,
        active=stop.reason.trigger,
        severity=stop.severity,
        origin=run.origin(),
    )
    run.put(alarm, equipment.id)
    run.stored += 1


def _row(at_ns: int, channel: tuple[str, str], value: float | None, quality: int) -> Row:
    if value is None:  # there is no value: kept as such, and never of good quality
        return at_ns, channel, math.nan, max(quality, _BAD)
    return at_ns, channel, value, quality


def _state(word: str | int) -> PackMLState:
    try:
        return state_of(word)
    except ValueError as error:
        raise Refused(Reason.SCHEMA, str(error)) from None


def _number(channel: str, value: float | str | None) -> float | None:
    if not isinstance(value, str):
        return value
    if channel != "state":
        raise Refused(Reason.SCHEMA, f"{channel} is a text, {value[:40]!r}, where a number is wanted")
    return float(_state(value))


def _bytes(value: float | str | None) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(Reason.SCHEMA, f"no base64: {error}") from None
