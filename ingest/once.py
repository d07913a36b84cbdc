"""Whether the message that a run stands at is here for the first time, by the strongest identity that it has."""

import zlib

from ingest.blocks import Run
from ingest.envelope import Envelope
from ingest.identity import MAX_SEQUENCES, Identity
from ingest.refusal import Reason, Refused
from ingest.sequence import NEW, Verdict

DUP = 0x01
_REFUSALS = {
    Verdict.CONFLICT: (
        Reason.ID_CONFLICT,
        "came before with another payload; the first one was kept (who starts over needs a new boot id)",
    ),
    Verdict.FORGOTTEN: (Reason.SEQUENCE_FORGOTTEN, "is too old to tell whether it came before"),
}


def is_new(run: Run, message: Envelope, *, sent_ns: int | None, at_ns: int, timed: bool) -> bool:
    """Judge a JSON message: numbered, named, timed (`timed`: its values say when), re-sent, or none of these.

    `sent_ns` is the sender's time. A duplicate is counted; a conflict is Refused; what has no identity is new.
    """
    if run.identified:
        return True
    body, identity = run.record.body, run.identity
    if message.seq is not None and message.producer is not None and message.boot is not None:
        key = f"{message.producer}\x00{message.boot}"
        return follows(run, key=key, number=message.seq, sent_ns=sent_ns or 0, at_ns=at_ns)
    if message.id is not None:
        scope = run.record.topic if message.source is None else message.source.encode()
        said = scope + b"\x00" + message.id.encode()
        return accept(run, identity.opaque(run.source, said, zlib.crc32(body)), f"id {message.id!r}")
    if timed:
        # The same bytes for the same time; two readings of one moment differ in their bytes.
        said = run.record.topic + b"\x00\x00" + body
        return accept(run, identity.opaque(run.source, said, 0), "message")
    if run.record.packet:
        packet = (run.record.connection, run.record.packet)
        checksum = zlib.crc32(body, zlib.crc32(run.record.topic))
        resent = bool(run.record.flags & DUP)
        return accept(run, identity.packet(run.source, packet, checksum, resent=resent), "packet")
    return True


def follows(
    run: Run,
    *,
    key: str,
    number: int,
    sent_ns: int,
    at_ns: int,
    point: str | None = None,
) -> bool:
    """Judge a numbered message of the producer and boot in `key`; holes that stand too long become gaps."""
    if run.identified:
        return True
    sequence = run.identity.sequence(key)
    if run.identity.forgotten:
        _say_what_was_forgotten(run.identity, run)
    equipment = run.route.equipment
    verdict = sequence.take(
        number,
        zlib.crc32(run.record.body),
        source_ns=sent_ns,
        at_ns=at_ns,
        received_ns=run.received_ns,
        asset=None if equipment is None else equipment.id,
        point=point,
    )
    if verdict is not NEW:
        return accept(run, verdict, f"number {number}")
    if sequence.holes:
        for hole, filled in sequence.news(run.received_ns):
            run.gap(hole, filled=filled)
        run.identity.wait(run.source, key, sequence)
    run.identified = True
    return True


def accept(run: Run, verdict: Verdict, what: str) -> bool:
    """Whether to go on with a message judged so: a duplicate is counted, a conflict is Refused."""
    if verdict is NEW or run.identified:
        run.identified = True
        return True
    if verdict is Verdict.DUPLICATE:
        run.duplicates += 1
        return False
    reason, detail = _REFUSALS[verdict]
    if verdict is Verdict.CONFLICT:
        run.remark(reason, run.source, 600, f"{run.record.topic.decode('utf-8', 'replace')}: {what} {detail}")
    raise Refused(reason, f"{what} {detail}")


def _say_what_was_forgotten(identity: Identity, run: Run) -> None:
    run.tally("identities_forgotten", identity.forgotten)
    identity.forgotten = 0
    run.remark(
        "identity_overflow",
        "andon",
        500,
        f"more than {MAX_SEQUENCES:,} producers and boots: those longest unheard are forgotten, so that a "
        "message of theirs that comes twice is taken twice",
    )
