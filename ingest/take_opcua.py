"""What the OPC UA collector wrote: data changes become readings or waveforms, events become stop alarms."""

import base64
import binascii
import zlib

from ingest import envelope as words
from ingest import take_waveform
from ingest.blocks import Run, row
from ingest.envelope import parse
from ingest.mapping import OPCUA
from ingest.once import accept
from ingest.refusal import Reason, Refused
from ingest.take_stop import packml, put_stop
from ingest.times import source_ns


def take(run: Run) -> None:
    """Take a record of the collector."""
    try:
        message = parse(words.OPCUA, run.record.body)
    except Refused:
        if words.type_of(run.record.body).startswith("opcua."):
            raise
        raise run.routes.nowhere(run.record.topic.decode()).refusal() from None
    if isinstance(message, words.OpcUaEvent):
        _event(run, message)
    elif message.encoding is not None:
        take_waveform.block(run, _bytes(message.value))
    else:
        _value(run, message)


def _value(run: Run, message: words.OpcUaData) -> None:
    stamp = message.source_time or message.server_time
    sent_ns = None if stamp is None else source_ns(stamp)
    if message.source_time is not None:
        # Every connection begins with the values as they stand: most of them came before. So does what is read
        # from history, whose status has other flags in its low half.
        said = f"{message.node}\x00{message.source_time}\x00{message.value!r}\x00{message.status >> 16}"
        identity = run.record.topic + b"\x00" + said.encode()
        if not accept(run, run.identity.opaque(run.source, identity, 0), "data change"):
            return
    equipment = run.equipment()
    channel = equipment.channel(run.route.name, None)
    value = _number(run.route.name, message.value)
    at_ns = run.received_ns if sent_ns is None else run.at(sent_ns)
    run.add(equipment.id, [row(at_ns, channel, value, message.status)])
    run.stored += 1


def _event(run: Run, message: words.OpcUaEvent) -> None:
    identity = b"event\x00" + message.event_id.encode()
    # ConditionRefresh tells an event again with its id; only its words may differ, in another language say.
    said = f"{message.asset}\x00{message.reason.id}\x00{message.reason.trigger}"
    verdict = run.identity.opaque(run.source, identity, zlib.crc32(said.encode()))
    if not accept(run, verdict, f"event {message.event_id}"):
        return
    run.route = run.routes.to(OPCUA, message.asset or "", "")
    at_ns = run.received_ns if message.time is None else run.at(source_ns(message.time))
    put_stop(run, at_ns, packml(message.state), message.reason, message.severity)


def _number(channel: str, value: float | str | None) -> float | None:
    if not isinstance(value, str):
        return value
    if channel != "state":
        raise Refused(Reason.SCHEMA, f"{channel} is a text, {value[:40]!r}, where a number is wanted")
    return float(packml(value))


def _bytes(value: float | str | None) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(Reason.SCHEMA, f"no base64: {error}") from None
