"""Stop pattern: a machine stops more often than it used to, or for longer, as a whole or for one reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel, ConfigDict, Field

from andon.events import (
    MINUTE_NS,
    SECOND_NS,
    Declaration,
    Event,
    Family,
    Finding,
    Gap,
    Number,
    Origin,
    Readings,
    StopAlarm,
    Tick,
)
from andon.plant import Asset
from andon.ports import State
from detectors.baseline import RELEARNED, cleared, source_of
from detectors.episode import Speaker, Word, parameters_hash
from detectors.evidence import significant
from detectors.intake import Intake
from detectors.rates import HOUR_S, Crowd, Usual, crowd, tail
from detectors.running import STATE, Running
from detectors.state import flatten, load
from detectors.stop_times import Stops

MACHINE = "machine"
_ALL = ""
_LOOK_EVERY_S = 300  # running seconds between two looks at whether a pattern is over
_USUAL_AGAIN = 0.05
_ONE_REASON = 0.6  # of the stops: then the reason speaks, not the machine
_RAREST = 1e-9  # nothing is said to be rarer: the sum of chances is no more exact
_MOST_PAUSE_NS = 2 * MINUTE_NS  # of the ticks: a longer one is Andon's own absence, and no running time


@dataclass(slots=True)
class _State:
    version: int = 1
    running: Running = field(default_factory=Running)
    tick_ns: int = -1
    running_ns: int = 0
    looked_s: int = 0
    sources: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)


class Detector:
    """Stops against the machine's own frozen baseline, counted per running hour.

    What is compared is the number of the latest 4 to 64 stops in the running time they took with what the first 120
    running hours make likely. Raises when chance gives as many once in 100,000 spans ("9 stops in 8 h, usual 1.2"):
    `minor_stops` if most of them are brief, else `stop_rate`; `longer_stops` when the latest eight of a reason took
    twice as long as its first twenty, by five standard errors. A reason speaks under its own name, so that the
    finding lies on the ticket of that stop; the machine speaks only where no one reason is behind it. Updates when
    the number has doubled; clears once eight running hours are as usual. A stop that comes back within 30 s is
    the same one; gaps, maintenance and what comes late count for nothing. That a failure comes back within 72 h is
    a matter of tickets (rule 4.4), not of this.
    Source: ISO 22400-2:2014 (stops and their causes); minor stops: Nakajima, Introduction to TPM (1988), six big
    losses; the test: see `rates`.
    """

    kind = "stop_pattern"
    version = "1"

    class Parameters(BaseModel):
        """What is usual, and when more is a finding."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        learn_h: float = Field(
            default=120.0, ge=1, le=10_000, description="Running hours that the baseline is made of."
        )
        chance: float = Field(
            default=1e-5,
            gt=0,
            lt=0.1,
            description="Probability that so many stops come by chance below which they are a pattern.",
        )
        minor_s: float = Field(
            default=300.0,
            gt=0,
            le=3600,
            description="Stops of a median duration in seconds up to this are minor stops.",
        )
        apart_s: float = Field(
            default=30.0,
            ge=0,
            le=3600,
            description="Seconds after a stop within which the same reason is the same stop: what chatters is one.",
        )
        longer: float = Field(
            default=2.0, gt=1, le=100, description="Times the usual duration from which stops are longer."
        )
        longer_errors: float = Field(
            default=5.0, gt=0, le=50, description="Standard errors by which they must be longer."
        )
        clear_h: float = Field(
            default=8.0, gt=0, le=1000, description="Running hours as usual that end a pattern."
        )
        late_s: float = Field(
            default=600.0, gt=0, le=86400, description="A stop told later than this is not counted."
        )
        ignored_categories: tuple[str, ...] = Field(
            default=(), description="Stop categories that are not failures, such as planned changeovers."
        )
        most_reasons: int = Field(
            default=48,
            ge=2,
            le=64,
            description="Stop reasons remembered for one asset; the longest silent one is forgotten first.",
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._hash = parameters_hash(parameters)
        self._intake = Intake(lambda channel, _: True if channel == STATE else None)
        self._state = _State()
        self._stops: dict[str, Stops] = {_ALL: Stops()}

    def update(self, event: Event) -> Sequence[Finding]:
        """Take a stop, the machine's state, a tick or a gap."""
        if isinstance(event, Tick):
            return self._tick(event)
        if isinstance(event, Gap) and event.asset in {None, self._asset.id}:
            self._gap(event)
        elif isinstance(event, Readings) and event.asset == self._asset.id:
            for at_ns, _, value in self._intake.rows(event):
                self._state.running.take_state(at_ns, value)
        elif isinstance(event, Declaration) and event.asset == self._asset.id:
            return self._declared(event)
        elif isinstance(event, StopAlarm) and event.asset == self._asset.id:
            found = self._stop(event)
            self._state.running.take_stop(event)
            return found
        return ()

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return {**flatten(self._state), "stops": [[name, flatten(one)] for name, one in self._stops.items()]}

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        load(self._state, state)
        self._stops = {}
        for name, flat in state["stops"]:
            self._stops[name] = Stops()
            load(self._stops[name], flat)

    @property
    def _running_s(self) -> int:
        return self._state.running_ns // SECOND_NS

    @property
    def _learning(self) -> bool:
        return self._running_s < self._parameters.learn_h * HOUR_S

    def _learned_s(self) -> float:
        return min(float(self._running_s), self._parameters.learn_h * HOUR_S)

    def _usual(self, stops: Stops) -> Usual:
        """Its baseline; a reason's stops come at least as unevenly as the machine's."""
        usual, machine = stops.usual(self._learned_s()), self._stops[_ALL].usual(self._learned_s())
        return replace(usual, at_least_uneven=machine.uneven)

    def _declared(self, event: Declaration) -> list[Finding]:
        self._state.running.take_word(event)
        if event.what not in RELEARNED or event.component is not None:
            return []
        said = [
            f for name, one in self._stops.items() for f in cleared(self._speaker(name), one.episode, event)
        ]
        self._state.version += 1
        self._forget_baseline()
        return said

    def _forget_baseline(self) -> None:
        self._state.running_ns = self._state.looked_s = 0
        for name, stops in list(self._stops.items()):
            kept = Stops(stops.active, stops.last_ns, stops.began_ns, stops.ended_ns, episode=stops.episode)
            self._stops[name] = kept

    def _gap(self, gap: Gap) -> None:
        state = self._state
        if gap.point is not None or gap.source not in state.sources:
            return
        state.away = [source for source in state.away if source != gap.source]
        if gap.to_ns is None:
            state.away.append(gap.source)

    def _tick(self, tick: Tick) -> list[Finding]:
        state = self._state
        passed_ns = tick.at_ns - state.tick_ns
        if passed_ns <= 0:
            return []
        first, state.tick_ns = state.tick_ns < 0, tick.at_ns
        if first or passed_ns > _MOST_PAUSE_NS or state.away or not state.running.runs_at(tick.at_ns, 0):
            return []
        state.running_ns += passed_ns
        if self._running_s - state.looked_s < _LOOK_EVERY_S:
            return []
        state.looked_s = self._running_s
        return [
            self._clears(name, stops, tick.at_ns, tick.origin)
            for name, stops in self._stops.items()
            if stops.episode.stands and self._is_usual_again(stops)
        ]

    def _is_usual_again(self, stops: Stops) -> bool:
        if stops.episode.condition == "longer_stops":
            return False
        span_s = self._parameters.clear_h * HOUR_S
        latest = sum(mark > self._running_s - span_s for mark in stops.marks)
        return tail(latest, span_s, self._usual(stops)) > _USUAL_AGAIN

    def _stop(self, alarm: StopAlarm) -> list[Finding]:
        if alarm.category in self._parameters.ignored_categories:
            return []
        state, reason = self._state, alarm.reason_id or " "
        if alarm.origin.source not in state.sources:
            state.sources = [*state.sources[-7:], alarm.origin.source]
        state.away = [source for source in state.away if source != alarm.origin.source]
        stops = self._stops.pop(reason, None) or Stops()
        self._stops[reason] = stops  # the newest last
        if len(self._stops) > self._parameters.most_reasons + 1:
            self._forget()
        if alarm.at_ns < stops.last_ns:
            return []
        stops.last_ns, stops.message, stops.severity = alarm.at_ns, alarm.message[:120], alarm.severity
        return self._begins(reason, stops, alarm) if alarm.active else self._ends(reason, stops, alarm)

    def _begins(self, reason: str, stops: Stops, alarm: StopAlarm) -> list[Finding]:
        ran_ns = self._state.running.since_ns or -1
        if stops.active and ran_ns <= stops.began_ns:
            return []
        stood = any(one.active for name, one in self._stops.items() if name not in {_ALL, reason})
        stops.active = True
        if self._is_masked(alarm):
            stops.began_ns = -1
            return []
        machine, counted = self._stops[_ALL], []
        if self._is_apart(stops, alarm.at_ns):
            counted.append((reason, stops))
        elif stops.began_ns >= 0:
            stops.goes_on()
        if not stood and self._is_apart(machine, alarm.at_ns):
            counted.append((_ALL, machine))
        machine.message = alarm.message[:120]
        for _, one in counted:
            one.begins(alarm.at_ns, self._running_s)
            if self._learning and not one.episode.stands:
                one.learns(self._running_s)
        return [found for name, one in counted for found in self._judge(name, one, alarm)]

    def _is_masked(self, alarm: StopAlarm) -> bool:
        maintained_ns = self._state.running.maintained_ns
        late = alarm.origin.received_ns - alarm.at_ns > self._parameters.late_s * SECOND_NS
        return late or (maintained_ns is not None and maintained_ns <= alarm.at_ns)

    def _is_apart(self, stops: Stops, at_ns: int) -> bool:
        return stops.ended_ns < 0 or at_ns - stops.ended_ns >= self._parameters.apart_s * SECOND_NS

    def _ends(self, reason: str, stops: Stops, alarm: StopAlarm) -> list[Finding]:
        if not stops.active:
            return []
        stops.active = False
        counted = stops.began_ns >= 0
        if counted:
            stops.ends(alarm.at_ns)
        if not any(one.active for name, one in self._stops.items() if name != _ALL):
            self._stops[_ALL].ended_ns = alarm.at_ns
        return self._judge_length(reason, stops, alarm) if counted else []

    def _judge(self, name: str, stops: Stops, alarm: StopAlarm) -> list[Finding]:
        found = crowd(stops.marks, self._running_s, self._usual(stops), learning=self._learning)
        if (
            found is None
            or found.p >= self._parameters.chance
            or (name == _ALL and self._is_one_reason(found))
        ):
            return []
        speaker, standing = self._speaker(name), stops.episode.stands
        if standing and (stops.episode.condition == "longer_stops" or found.count < 2 * stops.said):
            return []
        stops.said = float(found.count)
        word = self._more(name, stops, found, alarm)
        if standing:
            return [speaker.updates(stops.episode, word)]
        began_ns = min(stops.times[-found.count :]) * SECOND_NS
        return [speaker.raises(stops.episode, began_ns, word)]

    def _is_one_reason(self, found: Crowd) -> bool:
        if any(stops.episode.stands for name, stops in self._stops.items() if name != _ALL):
            return True
        from_s = self._running_s - found.span_s
        most = max(
            (
                sum(mark >= from_s for mark in stops.marks)
                for name, stops in self._stops.items()
                if name != _ALL
            ),
            default=0,
        )
        return most > _ONE_REASON * found.count

    def _more(self, name: str, stops: Stops, found: Crowd, alarm: StopAlarm) -> Word:
        median_s = stops.median_s(found.count)
        minor = name != _ALL and 0 < median_s <= self._parameters.minor_s
        usual = significant(found.expected)
        source = f"its own {self._learned_s() / HOUR_S:.0f} running hours, {source_of(self._state.version)}"
        numbers = [
            Number("stops", float(found.count), "1"),
            Number("usual", usual, "1", None, source),
            Number("within_s", float(round(found.span_s)), "s"),
            Number(
                "one_in", significant(1 / max(found.p, _RAREST)), "1", 1 / self._parameters.chance, source
            ),
        ]
        if median_s:
            numbers.append(Number("median_s", significant(median_s), "s"))
        grave = 400 + 100 * (found.p < self._parameters.chance**2)
        return Word(
            at_ns=alarm.at_ns,
            condition="minor_stops" if minor else "stop_rate",
            severity=grave,
            origin=alarm.origin,
            confidence=0.7 if self._learning else 0.9,
            numbers=tuple(numbers),
            evidence=stops.shape(name or MACHINE, found.count),
            text={"reason": name or MACHINE, "message": stops.message, "category": alarm.category},
        )

    def _judge_length(self, reason: str, stops: Stops, alarm: StopAlarm) -> list[Finding]:
        longer, p = stops.longer(), self._parameters
        if longer is None:
            return []
        is_longer = longer.ratio >= p.longer and longer.errors >= p.longer_errors
        numbers = (
            Number(
                "ratio",
                significant(longer.ratio),
                "× usual",
                p.longer,
                f"its first stops, {source_of(self._state.version)}",
            ),
            Number("usual_s", significant(longer.usual_s), "s"),
            Number("latest_s", significant(longer.usual_s * longer.ratio), "s"),
        )
        word = Word(
            at_ns=alarm.at_ns,
            condition="longer_stops",
            severity=400,
            origin=alarm.origin,
            confidence=0.8,
            numbers=numbers,
            evidence=stops.shape(reason, 8),
            text={"reason": reason, "message": stops.message, "category": alarm.category},
        )
        speaker, episode = self._speaker(reason), stops.episode
        if not episode.stands and is_longer:
            stops.said = longer.ratio
            return [speaker.raises(episode, min(stops.times[-8:]) * SECOND_NS, word)]
        if not episode.stands or episode.condition != "longer_stops":
            return []
        if longer.ratio < p.longer**0.5:
            return [speaker.clears(episode, word)]
        if longer.ratio >= 2 * stops.said:
            stops.said = longer.ratio
            return [speaker.updates(episode, word)]
        return []

    def _clears(self, name: str, stops: Stops, at_ns: int, origin: Origin) -> Finding:
        word = Word(
            at_ns=at_ns,
            condition=stops.episode.condition,
            severity=stops.episode.severity,
            origin=origin,
            text={"reason": name or MACHINE, "message": stops.message},
        )
        return self._speaker(name).clears(stops.episode, word)

    def _speaker(self, name: str) -> Speaker:
        asset = self._asset.id
        return Speaker(self.kind, self.version, self._hash, asset, Family.STOP, name or MACHINE, "pattern")

    def _forget(self) -> None:
        older = [name for name in list(self._stops)[:-1] if name != _ALL]
        quiet = (name for name in older if not (self._stops[name].active or self._stops[name].episode.stands))
        del self._stops[next(quiet, older[0])]
