"""What a broker had retained says how things stood, not that they have just changed: it is stored, and raises nothing.

A broker sets RETAIN on what it sends because of a subscription, and not on what it forwards as it is published
(MQTT 5, 3.3.1.3). The same retained message comes again with each subscription, for as long as it is retained.
"""

from andon.events import MINUTE_NS
from ingest.blocks import Run

RETAIN = 0x02
LAST_KNOWN = 0x4090_0000
"""UncertainLastUsableValue (OPC 10000-4, 7.39): what was true once; detectors judge good values only."""
MISSED_NS = 15 * MINUTE_NS


def is_state(run: Run, sent_ns: int | None) -> bool:
    """Whether the record at hand tells a state, which is then counted as `retained` beside the balance.

    One that its sender made less than 15 minutes ago (the time in which repeats join a ticket), and that was not
    here before, is the event itself, missed a moment ago. What carries no time may be of any age.
    """
    if not run.record.flags & RETAIN:
        return False
    if sent_ns is not None and run.received_ns - sent_ns <= MISSED_NS:
        return False
    run.tally("retained", 1)
    return True


def quality_floor(run: Run, sent_ns: int | None) -> int:
    """The best quality that values of this record can have: last known ones if it tells a state (0 is good)."""
    return LAST_KNOWN if is_state(run, sent_ns) else 0
