"""Records that Andon wrote itself: refusals before parsing, gaps, ticks and notices."""

from typing import TypeVar

import msgspec

from andon.events import Declaration, Declared, Gap, Notice, Tick
from ingest import envelope as words
from ingest.blocks import Run
from ingest.envelope import parse
from ingest.refusal import Reason, Refused

T = TypeVar("T")


def body(decoder: msgspec.json.Decoder[T], run: Run) -> T:
    """The body of such a record: if it cannot be read, the journal is at fault."""
    try:
        return parse(decoder, run.record.body)
    except Refused as refusal:
        run.received += 1
        raise Refused(Reason.RECORD_CORRUPT, str(refusal)) from None


def tick(run: Run) -> None:
    """A second has passed."""
    run.put(Tick(run.received_ns, run.origin()), None)


def gap(run: Run) -> None:
    """Data is missing; what had arrived and was dropped for want of room is counted."""
    said = body(words.GAP, run)
    run.received += said.count
    run.overflow += said.count
    missing = Gap(
        source=run.source,
        asset=said.asset,
        point=said.point,
        from_ns=said.from_ns,
        to_ns=said.to_ns,
        cause=said.cause,
        backfilled=said.backfilled,
        origin=run.origin(),
    )
    run.put(missing, said.asset)


def notice(run: Run) -> None:
    """Something about our own line that a person has to know."""
    said = body(words.NOTICE, run)
    heard = Notice(
        at_ns=run.received_ns,
        code=said.code,
        subject=said.subject,
        active=said.active,
        severity=said.severity,
        detail=said.detail,
        origin=run.origin(),
    )
    run.put(heard, None)


def declaration(run: Run) -> None:
    """A person declares something about a machine."""
    said = body(words.DECLARATION, run)
    declared = Declaration(
        at_ns=run.received_ns,
        asset=said.asset,
        component=said.component,
        what=Declared(said.what),
        by=said.by,
        note=said.note,
        ticket=said.ticket,
        origin=run.origin(),
        id=said.id,
    )
    run.put(declared, said.asset)


def refused(run: Run) -> None:
    """A message was refused before it was parsed; here it becomes a dead letter."""
    said = body(words.REFUSED, run)
    run.received += 1
    run.letter(said.reason, said.detail, head=said.head, length=said.length, sha256=said.sha256)


def unreadable(run: Run) -> None:
    """A record of ours that holds nothing readable."""
    run.received += 1
    raise Refused(Reason.RECORD_CORRUPT, f"a {run.record.kind.name.lower()} record without its content")
