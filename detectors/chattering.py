"""Chattering: an alarm that comes and goes faster than anyone can act, or that stands for ever: a setting, not a stop."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from andon.events import (
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Event,
    Family,
    Finding,
    Number,
    Origin,
    StopAlarm,
    Tick,
)
from andon.plant import Asset
from andon.ports import State
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.evidence import significant
from detectors.state import flatten, load

_KEPT = 16
_LOOK_NS = 10 * SECOND_NS
_DELAYS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120)


@dataclass(slots=True)
class _Alarm:
    """One alarm: the latest times in ms at which it came and went, each list ending with the latest."""

    active: bool = False
    last_ns: int = -1
    came_ms: list[int] = field(default_factory=list)
    went_ms: list[int] = field(default_factory=list)
    message: str = ""
    said: int = 0
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    looked_ns: int = -1
    clears: bool = False


class Detector:
    """How often the alarm of one stop reason comes and goes.

    `chattering`: three activations within a minute, or more than five transitions in five minutes. `fleeting_alarm`:
    three times within an hour raised and gone in less than ten seconds. `standing_alarm`: active for more than 24 h,
    where the source reports clears at all. One episode per reason, under the reason's name: it lies on the ticket of
    that stop. Says the measured rate and proposes the delays that would have kept it quiet: an off-delay that
    bridges its pauses, an on-delay that outlasts its flashes. Clears after ten minutes (fleeting: two hours) with
    fewer than two transitions, at a tick. A repeat of an alarm that already stands is no transition.
    Source: ANSI/ISA-18.2-2016, 3.1 (chattering, fleeting, stale alarm) and 16; IEC 62682:2014; on- and off-delay:
    EEMUA 191, 3rd ed., OPC 10000-9, 5.8.2 (OnDelay, OffDelay).
    """

    kind = "chattering"
    version = "1"

    class Parameters(BaseModel):
        """When an alarm chatters, flashes or stands for too long."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        activations: int = Field(
            default=3, ge=2, le=8, description="Activations within a minute that are chattering."
        )
        transitions: int = Field(
            default=6, ge=3, le=16, description="Transitions within five minutes that are chattering."
        )
        fleeting_s: float = Field(
            default=10.0, gt=0, le=300, description="An alarm active for less, in seconds, is fleeting."
        )
        fleeting_count: int = Field(
            default=3, ge=2, le=8, description="Fleeting alarms within an hour that are a finding."
        )
        standing_h: float = Field(
            default=24.0, gt=0, le=10_000, description="An alarm active for longer, in hours, is stale."
        )
        severity: int = Field(
            default=300, ge=1, le=1000, description="Severity (1-1000, OPC UA) of a nuisance alarm."
        )
        most_reasons: int = Field(
            default=64,
            ge=2,
            le=256,
            description="Alarms remembered for one asset; the longest silent one is forgotten first.",
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._hash = parameters_hash(parameters)
        self._state = _State()
        self._alarms: dict[str, _Alarm] = {}

    def update(self, event: Event) -> Sequence[Finding]:
        """Count what comes and goes; at a tick, see what stands and what has become quiet."""
        if isinstance(event, Tick):
            return self._tick(event)
        if isinstance(event, StopAlarm) and event.asset == self._asset.id:
            return self._take(event)
        return ()

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return {
            **flatten(self._state),
            "alarms": [[name, flatten(one)] for name, one in self._alarms.items()],
        }

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        load(self._state, state)
        self._alarms = {}
        for name, flat in state["alarms"]:
            self._alarms[name] = _Alarm()
            load(self._alarms[name], flat)

    def _take(self, event: StopAlarm) -> list[Finding]:
        alarm = self._alarms.pop(event.reason_id, None) or _Alarm()
        self._alarms[event.reason_id] = alarm  # the newest last
        if len(self._alarms) > self._parameters.most_reasons:
            self._forget()
        self._state.clears |= not event.active
        if event.at_ns < alarm.last_ns or event.active == alarm.active:
            return []
        alarm.active, alarm.last_ns, alarm.message = event.active, event.at_ns, event.message[:120]
        at_ms = event.at_ns // 1_000_000
        if event.active:
            alarm.came_ms = [*alarm.came_ms[1 - _KEPT :], at_ms]
        else:
            alarm.went_ms = [*alarm.went_ms[1 - _KEPT :], at_ms]
        return self._judge(event.reason_id, alarm, event.at_ns, event.origin)

    def _judge(self, reason: str, alarm: _Alarm, at_ns: int, origin: Origin) -> list[Finding]:
        at_ms, p = at_ns // 1_000_000, self._parameters
        a_minute, five = _since(alarm.came_ms, at_ms, 60), _since(alarm.came_ms, at_ms, 300)
        transitions = five + _since(alarm.went_ms, at_ms, 300)
        flashes = [
            ms for came, ms in _flashes(alarm) if ms < 1000 * p.fleeting_s and at_ms - came <= 3_600_000
        ]
        if a_minute >= p.activations or transitions >= p.transitions:
            return self._says(("chattering", a_minute), reason, alarm, at_ns, origin)
        if len(flashes) >= p.fleeting_count:
            return self._says(("fleeting_alarm", len(flashes)), reason, alarm, at_ns, origin)
        return []

    def _says(
        self, what: tuple[str, int], reason: str, alarm: _Alarm, at_ns: int, origin: Origin
    ) -> list[Finding]:
        """The first word; another when it becomes worse in kind, or twice as fast."""
        (condition, count), speaker, episode = what, self._speaker(reason), alarm.episode
        worse = episode.condition != condition or count >= 2 * alarm.said
        if episode.stands and (not worse or (episode.condition == "chattering" != condition)):
            return []
        alarm.said = count
        word = self._word(condition, count, alarm, at_ns, origin)
        if episode.stands:
            return [speaker.updates(episode, word)]
        return [speaker.raises(episode, alarm.came_ms[-min(count, len(alarm.came_ms))] * 1_000_000, word)]

    def _word(self, condition: str, count: int, alarm: _Alarm, at_ns: int, origin: Origin) -> Word:
        p = self._parameters
        limits = {
            "chattering": ("activations", "1/min", p.activations, "ISA-18.2: activations within a minute"),
            "fleeting_alarm": (
                "activations",
                "1/h",
                p.fleeting_count,
                "ISA-18.2: fleeting alarms within an hour",
            ),
            "standing_alarm": ("standing_s", "s", 3600 * p.standing_h, "ISA-18.2: stale alarm"),
        }
        name, unit, limit, source = limits[condition]
        numbers = [Number(name, float(count), unit, float(limit), source)]
        if condition != "standing_alarm":
            numbers += self._delays(alarm)
        times = sorted([*((ms, 1.0) for ms in alarm.came_ms), *((ms, 0.0) for ms in alarm.went_ms)])
        trend = {
            "channel": "alarm/active",
            "unit": "1",
            "at_ns": [ms * 1_000_000 for ms, _ in times],
            "value": [value for _, value in times],
            "baseline": None,
            "limit": None,
            "zones": None,
        }
        return Word(
            at_ns=at_ns,
            condition=condition,
            severity=p.severity,
            origin=origin,
            confidence=0.95,
            numbers=tuple(numbers),
            evidence={"trend": trend} if times else {},
            text={"message": alarm.message},
        )

    def _delays(self, alarm: _Alarm) -> list[Number]:
        """What was measured of its flashes and pauses, and the delays that would outlast nearly all of them."""
        flashes = sorted(ms for _, ms in _flashes(alarm))
        pauses = sorted(ms for ms in _pauses(alarm) if ms <= 300_000)
        numbers = []
        for measured, proposed, values in (
            ("active", "on_delay", flashes),
            ("pause", "off_delay", pauses),
        ):
            if values:
                median_s, most_s = values[len(values) // 2] / 1000, values[9 * (len(values) - 1) // 10] / 1000
                delay_s = next((s for s in _DELAYS_S if s > most_s), _DELAYS_S[-1])
                numbers += [
                    Number(measured, significant(median_s), "s"),
                    Number(proposed, float(delay_s), "s"),
                ]
        return numbers

    def _tick(self, tick: Tick) -> list[Finding]:
        if tick.at_ns - self._state.looked_ns < _LOOK_NS:
            return []
        self._state.looked_ns = tick.at_ns
        return [
            finding
            for reason, alarm in self._alarms.items()
            for finding in self._look(reason, alarm, tick)
            if alarm.last_ns <= tick.at_ns
        ]

    def _look(self, reason: str, alarm: _Alarm, tick: Tick) -> list[Finding]:
        episode, since_ns = alarm.episode, tick.at_ns - alarm.last_ns
        stands = alarm.active and since_ns > self._parameters.standing_h * HOUR_NS
        if stands and self._state.clears and not episode.stands:
            alarm.said = since_ns // SECOND_NS
            word = self._word("standing_alarm", alarm.said, alarm, tick.at_ns, tick.origin)
            return [self._speaker(reason).raises(episode, alarm.last_ns, word)]
        if not episode.stands:
            return []
        if episode.condition == "standing_alarm":
            over = not alarm.active
        else:
            quiet_ns = 10 * MINUTE_NS if episode.condition == "chattering" else 2 * HOUR_NS
            from_ms = (tick.at_ns - quiet_ns) // 1_000_000
            over = sum(ms > from_ms for ms in (*alarm.came_ms, *alarm.went_ms)) < 2
        if not over:
            return []
        word = Word(
            tick.at_ns, episode.condition, episode.severity, tick.origin, text={"message": alarm.message}
        )
        return [self._speaker(reason).clears(episode, word)]

    def _speaker(self, reason: str) -> Speaker:
        return Speaker(self.kind, self.version, self._hash, self._asset.id, Family.STOP, reason, "nuisance")

    def _forget(self) -> None:
        older = list(self._alarms)[:-1]
        quiet = (
            name for name in older if not (self._alarms[name].active or self._alarms[name].episode.stands)
        )
        del self._alarms[next(quiet, older[0])]


def _since(times_ms: Sequence[int], at_ms: int, seconds: int) -> int:
    return sum(at_ms - ms < 1000 * seconds for ms in times_ms)


def _flashes(alarm: _Alarm) -> list[tuple[int, int]]:
    """When it came, and for how many ms, of those that have gone again."""
    return _between(alarm.came_ms, alarm.went_ms)


def _pauses(alarm: _Alarm) -> list[int]:
    """For how many ms it was gone, each time that it came back."""
    return [ms for _, ms in _between(alarm.went_ms, alarm.came_ms)]


def _between(begin_ms: Sequence[int], end_ms: Sequence[int]) -> list[tuple[int, int]]:
    """Each beginning that the next end belongs to, with the ms between them.

    >>> _between([10, 20, 30], [13, 24])
    [(10, 3), (20, 4)]
    """
    times = sorted([*((ms, True) for ms in begin_ms), *((ms, False) for ms in end_ms)])
    pairs = itertools.pairwise(times)
    return [(a, b - a) for (a, begins), (b, ends_not) in pairs if begins and not ends_not]
