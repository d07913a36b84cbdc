"""What one Sparkplug metric is worth: a reading, a waveform block, a machine stop, or nothing that is kept.

Where it belongs is the plant's business: its mapping rules name asset and channel (see `ingest.mapping`).
"""

import math
import zlib
from collections.abc import Iterator, Mapping

import msgspec

from andon.events import Quality, Waveform
from ingest import envelope as words
from ingest.blocks import Run, row
from ingest.envelope import parse, type_of
from ingest.mapping import Equipment
from ingest.refusal import Reason, Refused
from ingest.sequence import Verdict
from ingest.sparkplug import Metric, Value, value_of
from ingest.sparkplug_host import Known, Member, Told
from ingest.take_stop import packml, put_stop
from ingest.take_waveform import DEFAULT_WAVE_UNIT
from ingest.times import source_ns
from ingest.waveform import MAGIC, decode_block

STALE = 0x4090_0000
"""Uncertain_LastUsableValue (OPC 10000-8): what was last heard of an edge node that is dead."""
_QUALITIES = {192: int(Quality.GOOD), 0: int(Quality.BAD), 500: STALE}
_OWN = ("Node Control/", "Device Control/")
_MS = 1_000_000
_STOP = msgspec.json.Decoder(words.Stop)


def is_own(name: str) -> bool:
    """Whether a metric is Sparkplug's own affair, not a value of the machine."""
    return name == "bdSeq" or name.startswith(_OWN)


class Values:
    """The values of one message. Each is used, or passed over and counted; `end` says whether that was enough."""

    def __init__(self, run: Run, member: Member, sent_ms: int | None, *, birth: bool) -> None:
        if run.route.filled is None:
            raise run.route.refusal()
        self._run, self._member, self._sent_ms, self._birth = run, member, sent_ms, birth
        self._filled = run.route.filled
        self._live: dict[str, None] = {}
        self._used = self._passed_over = 0
        self._problem: Refused | None = None

    def take(self, name: str, metric: Metric) -> None:
        """Take one metric; one that cannot be used does not make the others useless."""
        try:
            self._take(name, metric)
        except Refused as refusal:
            self._problem = self._problem or refusal
            self._passed_over += 1
        else:
            self._used += 1

    def end(self, *, must_be_used: bool) -> None:
        """Count what was passed over; Refused, as the first of it was, if nothing was used where something must be."""
        if self._passed_over:
            self._run.tally("sparkplug_passed_over", self._passed_over)
        if self._problem is not None and not self._used and must_be_used:
            raise self._problem

    def filled(self, *, settled: bool) -> Iterator[tuple[str, Told]]:
        """The gaps that historical values have filled: they came, and live ones follow without a hole."""
        done = [told for told in self._member.told if told.seen and settled and told.asset in self._live]
        for told in done:
            self._member.told.remove(told)
            yield told.asset, told

    def _take(self, name: str, metric: Metric) -> None:
        known = self._member.metrics.get(name) or Known(metric.datatype, None)
        value = value_of(metric, metric.datatype or known.datatype)
        if metric.is_transient or metric.is_multi_part:
            raise Refused(Reason.SCHEMA, f"{name[:80]!r} is transient, or a part of something larger")
        ms = metric.timestamp_ms if metric.timestamp_ms is not None else self._sent_ms
        at_ns = self._run.received_ns if ms is None else self._run.at(ms * _MS)
        equipment = self._run.equipment()
        self._member.assets[equipment.id] = None
        if metric.is_historical:
            self._member.see(equipment.id, at_ns)
        else:
            self._live[equipment.id] = None
        if isinstance(value, bytes) and value[:4] == MAGIC:
            self._wave(equipment, name, value, historical=metric.is_historical)
        elif isinstance(value, str) and value.lstrip()[:1] == "{":
            self._stop(known, value.encode(), at_ns, historical=metric.is_historical)
        else:
            self._reading(equipment, name, metric, known, value, at_ns)

    def _reading(  # noqa: PLR0917 -- one value and where it belongs
        self, equipment: Equipment, name: str, metric: Metric, known: Known, value: Value | None, at_ns: int
    ) -> None:
        channel, number = self._placed(equipment, name, known, value)
        said = metric.properties.get("Quality")
        if isinstance(said, int):
            known.quality = _QUALITIES.get(said, int(Quality.UNCERTAIN))
        self._run.add(
            equipment.id, [row(at_ns, channel, number, known.quality)], historical=metric.is_historical
        )
        if not metric.is_historical:
            known.asset, known.value = equipment.id, number
            known.channel, known.unit_stored = channel

    def _placed(
        self, equipment: Equipment, name: str, known: Known, value: Value | None
    ) -> tuple[tuple[str, str], float | None]:
        """Its channel with the unit, and the number to store."""
        filled = self._filled
        told = filled.value_of(filled.named(None, metric=name))
        if told is None:
            raise Refused(Reason.UNKNOWN_POINT, f"rule {filled.number} does not name {name[:80]!r}")
        number = _number(told.channel, value, told.values)
        channel = equipment.channel(told.channel, told.unit or known.unit)
        return channel, None if number is None else number * told.scale + told.offset

    def _wave(self, equipment: Equipment, name: str, body: bytes, *, historical: bool) -> None:
        """A block of the point that the metric's name begins with; births bring the last one again."""
        run = self._run
        named = self._filled.named(None, metric=name)
        told = self._filled.rule.channels.get(named)
        point = equipment.point((told.channel if told else named).partition("/")[0]).id
        block = decode_block(body)
        at_ns = run.at(block.at_ns)
        key = f"{run.source}\x00{equipment.id}\x00{point}\x00{block.sensor}\x00{block.boot}"
        sequence = run.identity.sequence(key)
        verdict = sequence.take(
            block.number,
            zlib.crc32(body),
            source_ns=block.at_ns,
            at_ns=at_ns,
            received_ns=run.received_ns,
            asset=equipment.id,
            point=point,
        )
        if verdict is not Verdict.NEW:
            run.tally("sparkplug_repeated", 1)
            return
        if sequence.holes:
            for hole, filled in sequence.news(run.received_ns):
                run.gap(hole, filled=filled)
            run.identity.wait(run.source, key, sequence)
        wave = Waveform(
            asset=equipment.id,
            point=point,
            at_ns=at_ns,
            rate_hz=block.rate_hz,
            samples=block.samples,
            unit=block.unit or DEFAULT_WAVE_UNIT,
            speed_hz=block.speed_hz,
            origin=run.origin(),
            historical=historical,
        )
        run.put(wave, equipment.id)

    def _stop(self, known: Known, body: bytes, at_ns: int, *, historical: bool) -> None:
        """A stop as JSON has it, whole or its data alone. A birth says how things stand: only a change is news."""
        said = type_of(body) == "andon.machine.stop.v1"
        stop = parse(words.STOP, body).data if said else parse(_STOP, body)
        checksum = zlib.crc32(body)
        repeated = self._birth and known.stop == checksum
        if historical or repeated:
            self._run.tally("sparkplug_repeated" if repeated else "historical", 1)
            return
        known.stop = checksum
        stamp = stop.start_time if stop.reason.trigger else stop.end_time
        when_ns = at_ns if stamp is None else self._run.at(source_ns(stamp))
        put_stop(self._run, when_ns, packml(stop.state), stop.reason, stop.severity)


def _number(channel: str, value: Value | None, table: Mapping[str, float]) -> float | None:
    """The value as a number; Refused (schema) for what is none."""
    if value is None or isinstance(value, int | float):
        return None if value is None or not math.isfinite(value) else float(value)
    if isinstance(value, str) and value in table:
        return table[value]
    if isinstance(value, str) and channel == "state":
        return float(packml(value))
    raise Refused(Reason.SCHEMA, f"{channel} is {type(value).__name__}, where a number is wanted")
