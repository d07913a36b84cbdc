"""Machine stops in Andon's own envelope become stop alarms; one that a broker had retained is only a state."""

from andon.events import PackMLState, StopAlarm
from ingest import envelope as words
from ingest.blocks import Run, row
from ingest.envelope import parse
from ingest.once import is_new
from ingest.packml import state_of
from ingest.refusal import Reason, Refused
from ingest.retained import LAST_KNOWN, is_state
from ingest.times import source_ns


def take(run: Run) -> None:
    """Take a stop message."""
    message = parse(words.STOP, run.record.body)
    stop = message.data
    stamp = (stop.start_time if stop.reason.trigger else stop.end_time) or message.time
    sent_ns = None if stamp is None else source_ns(stamp)
    at_ns = run.received_ns if sent_ns is None else run.at(sent_ns)
    if not is_new(run, message, sent_ns=sent_ns, at_ns=at_ns, timed=stamp is not None):
        return
    state = packml(stop.state)
    if stop.state_num not in {None, int(state)}:
        raise Refused(Reason.SCHEMA, f"state {stop.state!r} has number {state:d}, not {stop.state_num}")
    put_stop(run, at_ns, state, stop.reason, stop.severity, sent_ns=sent_ns)


def put_stop(
    run: Run,
    at_ns: int,
    state: PackMLState,
    reason: words.StopReason,
    severity: int,
    *,
    sent_ns: int | None = None,
) -> None:
    """The alarm of the machine that the run's route leads to; Refused if it leads to none.

    What a broker had retained only tells the state of the machine, unless it was sent (`sent_ns`) a moment ago.
    """
    equipment = run.equipment()
    if is_state(run, sent_ns) and reason.trigger:  # that a stop is over is true whenever it is told
        run.add(equipment.id, [row(at_ns, equipment.channel("state", None), float(state), LAST_KNOWN)])
        run.stored += 1
        return
    alarm = StopAlarm(
        asset=equipment.id,
        at_ns=at_ns,
        state=state,
        reason_id=reason.id,
        reason_value=reason.value,
        message=reason.message,
        category=reason.category,
        active=reason.trigger,
        severity=severity,
        origin=run.origin(),
        event_id=reason.event_id,
    )
    run.put(alarm, equipment.id)
    run.stored += 1


def packml(word: str | int) -> PackMLState:
    """The PackML state of that name or number; else Refused."""
    try:
        return state_of(word)
    except ValueError as error:
        raise Refused(Reason.SCHEMA, str(error)) from None
