"""Foreign stops in a mapping rule's words, Andon's envelopes on foreign topics, and what is known and not wanted."""

from andon.events import Json
from ingest import envelope as words
from ingest import take_stop, take_telemetry
from ingest.blocks import Run
from ingest.envelope import Envelope, parse
from ingest.filled import Filled
from ingest.once import is_new
from ingest.refusal import Reason, Refused
from ingest.take_plain import ANY, equipment_of, rule_of

_ACTIVE = {"true": True, "1": True, "false": False, "0": False}


def ignore(run: Run) -> None:
    """A message that a rule says is not wanted: counted, and nothing else."""
    run.ignored += 1


def take_envelope(run: Run) -> None:
    """Take a message in Andon's own envelope, of whichever type it says it is."""
    if words.type_of(run.record.body) == "andon.machine.stop.v1":
        take_stop.take(run)
    else:
        take_telemetry.take(run)


def take_foreign_stop(run: Run) -> None:
    """Take a stop message of another system, by the fields and tables of its rule."""
    filled = rule_of(run)
    payload: Json = parse(ANY, run.record.body)
    sent_ns = filled.sent_ns(payload)
    at_ns = run.received_ns if sent_ns is None else run.at(sent_ns)
    identity = Envelope(id=filled.id_of(payload))
    if not is_new(run, identity, sent_ns=sent_ns, at_ns=at_ns, timed=sent_ns is not None):
        return
    stop = filled.rule.stop
    if stop is None:
        raise run.route.refusal()
    state_word = filled.stop_field("state", payload)
    state = take_stop.packml(_whole(stop.states.get(state_word, state_word)))
    severity_word = filled.stop_field("severity", payload)
    severity = stop.severities.get(severity_word, _whole(severity_word))
    if not isinstance(severity, int) or not 1 <= severity <= 1000:
        raise Refused(Reason.SCHEMA, f"rule {filled.number} knows no severity {severity_word[:40]!r}")
    reason = _reason(filled, payload, active=_is_active(filled, payload))
    equipment_of(run, filled, payload)
    take_stop.put_stop(run, at_ns, state, reason, severity, sent_ns=sent_ns)


def _reason(filled: Filled, payload: Json, *, active: bool) -> words.StopReason:
    reason_id = filled.stop_field("reason", payload)[:200]
    if not reason_id or "\x00" in reason_id:
        raise Refused(Reason.SCHEMA, f"rule {filled.number} finds no reason id in the payload")
    return words.StopReason(
        id=reason_id,
        trigger=active,
        message=filled.stop_field("message", payload).replace("\x00", ""),
        category=filled.stop_field("category", payload).replace("\x00", ""),
    )


def _is_active(filled: Filled, payload: Json) -> bool:
    word = filled.stop_field("active", payload)
    actives = filled.rule.stop.actives if filled.rule.stop is not None else {}
    active = actives.get(word, _ACTIVE.get(word.casefold()))
    if active is None:
        raise Refused(
            Reason.SCHEMA, f"rule {filled.number}: does {word[:40]!r} begin or end a stop? Say in `actives`"
        )
    return active


def _whole(word: str) -> str | int:
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else word
