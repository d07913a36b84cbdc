"""Whether the machine runs, and since when: readings taken while it does not are masked, never judged."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from andon.events import Declaration, Declared, Float64, Int64, PackMLState, StopAlarm

STATE = "state"
"""The channel whose value is the PackML StateCurrent number."""

_MOST_STOPS = 64  # standing stops remembered; more at once is an alarm flood, the oldest are let go


@dataclass(slots=True)
class Running:
    """What is known of the machine's run state.

    It runs if its last reported state is Execute, or if it never reported one, no stop is standing and nobody said
    that it is being maintained. A change into Execute ends standing stops: MES that forgets to clear one must not blind the detectors.
    Source: ISA-TR88.00.02 (state numbers); masks: reliability engineers' first complaint, load and restarts.
    """

    state: int | None = None
    state_ns: int = 0
    since_ns: int | None = None
    stops: dict[str, int] = field(default_factory=dict)
    maintained_ns: int | None = None

    def take_state(self, at_ns: int, value: float) -> None:
        """Take a reading of the state channel; older than the last one: ignored."""
        if at_ns < self.state_ns:
            return
        state, before = round(value), self.state
        self.state, self.state_ns = state, at_ns
        if state == PackMLState.EXECUTE and before not in {None, PackMLState.EXECUTE}:
            self.since_ns = at_ns
            self.stops = {reason: ns for reason, ns in self.stops.items() if ns > at_ns}

    def stays(self, value: Float64) -> bool:
        """Whether all these readings of the state channel say what was said before, so that they change nothing."""
        return self.state is not None and bool((np.rint(value) == self.state).all())

    def take_stop(self, alarm: StopAlarm) -> None:
        """Take a stop alarm or its clearing."""
        if alarm.active:
            self.stops[alarm.reason_id] = alarm.at_ns
            if len(self.stops) > _MOST_STOPS:
                self.stops.pop(min(self.stops, key=lambda reason: (self.stops[reason], reason)))
        elif self.stops.get(alarm.reason_id, alarm.at_ns + 1) <= alarm.at_ns:
            del self.stops[alarm.reason_id]
            self.since_ns = max(self.since_ns or 0, alarm.at_ns)

    def take_word(self, event: StopAlarm | Declaration) -> None:
        """Take a stop alarm, or what a person says about maintenance: it ends like a stop."""
        if isinstance(event, StopAlarm):
            self.take_stop(event)
        elif event.what is Declared.MAINTENANCE_BEGINS:
            self.maintained_ns = event.at_ns
        elif event.what is Declared.MAINTENANCE_ENDS and self.maintained_ns is not None:
            self.maintained_ns = None
            self.since_ns = max(self.since_ns or 0, event.at_ns)

    def runs_at(self, at_ns: int, settle_ns: int) -> bool:
        """Whether a reading of that time may be judged: running, and for at least `settle_ns`.

        >>> machine = Running()
        >>> machine.runs_at(5, 10)  # a machine that never says anything is taken to run
        True
        >>> machine.take_state(10, 2); machine.runs_at(12, 10)
        False
        >>> machine.take_state(20, 6); machine.runs_at(25, 10), machine.runs_at(30, 10)
        (False, True)
        """
        if self.state not in {None, PackMLState.EXECUTE}:
            return False
        if self.maintained_ns is not None and self.maintained_ns <= at_ns:
            return False
        if self.stops and any(stop_ns <= at_ns for stop_ns in self.stops.values()):
            return False
        return self.since_ns is None or at_ns - self.since_ns >= settle_ns

    def judged(self, at_ns: Int64, settle_ns: int) -> NDArray[np.bool_]:
        """`runs_at` of many times, in the present state."""
        if self.state not in {None, PackMLState.EXECUTE}:
            return np.zeros(at_ns.size, np.bool_)
        ends = [*self.stops.values(), *([] if self.maintained_ns is None else [self.maintained_ns])]
        runs = np.ones(at_ns.size, np.bool_)
        if ends:
            runs &= at_ns < min(ends)
        if self.since_ns is not None:
            runs &= at_ns - self.since_ns >= settle_ns
        return runs
