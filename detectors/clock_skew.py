"""Clock skew: the stamps of a point have moved against the time at which they are received, beyond the usual delay."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from andon.events import (
    MINUTE_NS,
    SECOND_NS,
    Event,
    Family,
    Finding,
    Gap,
    Json,
    Number,
    Origin,
    Readings,
    Waveform,
)
from andon.plant import Asset, Point
from andon.ports import State
from detectors.columns import columns, is_long
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.evidence import significant
from detectors.state import flatten, load
from detectors.votes import cast, count

CLOCK = "clock"
_KEPT, _LEARN, _OF = 60, 10, 5
_ZONE_S, _ZONE_OFF_S = 900, 60
_STEADY_S, _STEADY_NOISE = 2.0, 6.0
_DAY_S = 86_400
_REPLACED_S = 300.0  # a stamp further in the future is replaced when it is decoded
_TOGETHER = 3  # votes of the other points for it to be the clock of all


@dataclass(slots=True)
class _Watch:
    """One point. `low_ms` is the least delay in the minute that runs; delays and their minutes are the latest 60.

    `replaced`: no stamp of that minute is the point's own. `bare` counts such minutes among
    those that were learned from: where there are any, it is the way of that source.
    """

    minute: int = -1
    low_ms: int = 0
    replaced: bool = False
    bare: int = 0
    delays_ms: list[int] = field(default_factory=list)
    minutes: list[int] = field(default_factory=list)
    learned_ms: list[int] = field(default_factory=list)
    learned: bool = False
    usual_s: float = 0.0
    spread_s: float = 0.0
    votes: int = 0
    back: int = 0
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    points: dict[str, _Watch]
    common: Episode = field(default_factory=Episode)
    common_back: int = 0


class Detector:
    """The least delay between stamp and receipt in each minute: its lower envelope is transport plus clock.

    The first ten minutes give the usual delay. Raises when five minutes in a row stand away from it by more than
    ten seconds (and six times its spread), and steadily: a backlog that is being sent is no clock. A delay of whole
    quarter hours is a time zone, and said at once, without a usual one. Stamps from the future are replaced when
    they are decoded: their delay is then exactly nothing, which a real one never is. When all points have moved it
    is one finding, of the clock they share. Clears after ten minutes as usual. Late rows do no harm: they are late.
    Says the drift in seconds per day. Waveforms count with the time of their last sample.
    Source: the lower envelope of one-way delays (Paxson, On calibrating measurements of packet transit times,
    SIGMETRICS 1998; RFC 5905, clock filter of minimum delay); zones: ISO 8601-1:2019, 4.3.13.
    """

    kind = "clock_skew"
    version = "1"

    class Parameters(BaseModel):
        """How far a clock may be off."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        limit_s: float = Field(
            default=10.0, gt=0, le=86_400, description="Seconds beyond the usual delay that are a skew."
        )
        noise_guard: float = Field(
            default=6.0, ge=0, le=50, description="Times the spread of the usual delay that a skew exceeds."
        )
        clear_minutes: int = Field(
            default=10, ge=1, le=1440, description="Minutes in a row below half the limit needed to clear."
        )
        severity: int = Field(
            default=350, ge=1, le=1000, description="Severity (1-1000, OPC UA) of a wrong clock."
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._hash = parameters_hash(parameters)
        self._points = {point.id: point for point in asset.points}
        self._state = _State({point_id: _Watch() for point_id in self._points})

    def update(self, event: Event) -> Sequence[Finding]:
        """Take the delay of what a point says."""
        if isinstance(event, Readings) and event.asset == self._asset.id:
            return self._readings(event)
        if isinstance(event, Waveform) and event.asset == self._asset.id:
            seconds = len(event.samples) / event.rate_hz if event.rate_hz > 0 else 0.0
            return self._take(event.point, event.at_ns + round(seconds * SECOND_NS), event.origin)
        if isinstance(event, Gap) and event.asset in {None, self._asset.id}:
            for point_id, watch in self._state.points.items():
                if event.point in {None, point_id}:
                    watch.minute, watch.votes = -1, 0
        return ()

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return flatten(self._state)

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        load(self._state, state)

    def _readings(self, event: Readings) -> list[Finding]:
        found: list[Finding] = []
        if is_long(event) and not _any_at_once(event):
            for column in columns(event):
                point_id = event.channels[column.index].partition("/")[0]
                found += self._take(point_id, int(column.at_ns[0]), event.origin)
                self._take(
                    point_id, int(column.at_ns.max()), event.origin
                )  # received with it: no other minute
            return found
        for at_ns, index in zip(event.at_ns.tolist(), event.channel.tolist(), strict=True):
            found += self._take(event.channels[index].partition("/")[0], at_ns, event.origin)
        return found

    def _take(self, point_id: str, at_ns: int, origin: Origin) -> list[Finding]:
        watch = self._state.points.get(point_id)
        if watch is None:
            return []
        minute, delay_ns = origin.received_ns // MINUTE_NS, origin.received_ns - at_ns
        if minute <= watch.minute:
            watch.low_ms = min(watch.low_ms, delay_ns // 1_000_000)
            watch.replaced = watch.replaced and delay_ns == 0
            return []
        found = self._minute(self._points[point_id], watch, origin) if watch.minute >= 0 else []
        watch.minute, watch.low_ms, watch.replaced = minute, delay_ns // 1_000_000, delay_ns == 0
        return found

    def _minute(self, point: Point, watch: _Watch, origin: Origin) -> list[Finding]:
        """A minute is over: learn its delay or judge it."""
        watch.delays_ms = [*watch.delays_ms[1 - _KEPT :], watch.low_ms]
        watch.minutes = [*watch.minutes[1 - _KEPT :], watch.minute]
        if not watch.learned:
            watch.learned_ms = [*watch.learned_ms, watch.low_ms]
            watch.bare += watch.replaced
            if len(watch.learned_ms) < _LEARN:
                return []
            self._learned(watch)
        limit_s = max(self._parameters.limit_s, self._parameters.noise_guard * watch.spread_s)
        off_s = abs(self._skew_s(watch))
        watch.votes = cast(watch.votes, off_s > limit_s, _OF)
        watch.back = 0 if off_s > limit_s / 2 else watch.back + 1
        stands = watch.episode.stands or self._state.common.stands
        return self._speak(point, watch, limit_s, origin) if stands or watch.votes else []

    def _learned(self, watch: _Watch) -> None:
        """The usual delay, without the whole quarter hours in it: these are no delay but a time zone."""
        usual_s = median(watch.learned_ms) / 1000
        watch.usual_s = usual_s - _zone_s(usual_s)
        watch.spread_s = 1.4826 * median(abs(ms / 1000 - usual_s) for ms in watch.learned_ms)
        watch.learned, watch.learned_ms = True, []

    def _skew_s(self, watch: _Watch) -> float:
        """How far the clock is ahead (+) or behind (-); at least so far, where stamps from the future are replaced."""
        if self._is_replaced(watch):
            return _REPLACED_S
        return watch.usual_s - watch.delays_ms[-1] / 1000

    def _is_replaced(self, watch: _Watch) -> bool:
        """Whether its stamps lie in the future: never has a minute without any delay been usual."""
        return watch.replaced and not watch.bare

    def _is_steady(self, watch: _Watch) -> bool:
        latest = watch.delays_ms[-_OF:]
        spread_s = max(_STEADY_S, _STEADY_NOISE * watch.spread_s)
        return max(latest) - min(latest) <= 1000 * spread_s

    def _speak(self, point: Point, watch: _Watch, limit_s: float, origin: Origin) -> list[Finding]:
        state, episode = self._state, watch.episode
        raises = count(watch.votes) == _OF and self._is_steady(watch)
        if episode.stands or state.common.stands:
            return self._back(point, watch, limit_s, origin)
        if not raises:
            return []
        since_ns = watch.minutes[-_OF] * MINUTE_NS
        together = self._together(watch)
        speaker = self._speaker(CLOCK if together else point.id)
        word = self._word(CLOCK if together else point.id, watch, limit_s, origin)
        return [speaker.raises(state.common if together else episode, since_ns, word)]

    def _together(self, watch: _Watch) -> bool:
        """Whether every other point that was heard lately moved the same way."""
        ahead = self._skew_s(watch) > 0
        others = [
            one
            for one in self._state.points.values()
            if one is not watch and one.learned and one.minute >= watch.minute - _OF
        ]
        return bool(others) and all(
            count(one.votes) >= _TOGETHER and (self._skew_s(one) > 0) == ahead for one in others
        )

    def _back(self, point: Point, watch: _Watch, limit_s: float, origin: Origin) -> list[Finding]:
        state, enough = self._state, self._parameters.clear_minutes
        if watch.episode.stands and watch.back >= enough:
            word = self._word(point.id, watch, limit_s, origin)
            return [self._speaker(point.id).clears(watch.episode, word)]
        heard = [one for one in state.points.values() if one.minute >= watch.minute - _OF and one.delays_ms]
        if state.common.stands and all(one.back >= enough for one in heard):
            word = self._word(CLOCK, watch, limit_s, origin)
            return [self._speaker(CLOCK).clears(state.common, word)]
        return []

    def _word(self, component: str, watch: _Watch, limit_s: float, origin: Origin) -> Word:
        skew_s, usual_s = self._skew_s(watch), watch.usual_s
        zone_s = _zone_s(skew_s)
        condition = "clock_zone" if zone_s else "clock_ahead" if skew_s > 0 else "clock_behind"
        condition = "clock_future" if self._is_replaced(watch) else condition
        source = "its usual delay, first ten minutes"
        hours, minutes = divmod(abs(zone_s) // 60, 60)
        sign = "+" if zone_s > 0 else "-"
        return Word(
            at_ns=origin.received_ns,
            condition=condition,
            severity=self._parameters.severity,
            origin=origin,
            confidence=0.9,
            numbers=(
                Number("skew_s", significant(abs(skew_s)), "s", significant(limit_s), source),
                Number("delay_s", significant(max(usual_s, 0.0)), "s"),
                Number("drift", significant(self._drift(watch)), "s/d"),
            ),
            evidence=self._evidence(component, watch),
            text={"point": component, "source": origin.source, "zone": f"{sign}{hours:02}:{minutes:02}"},
        )

    def _drift(self, watch: _Watch) -> float:
        """Seconds per day that the clock gains over the latest minutes since it was away, least squares."""
        minutes, delays = np.array(watch.minutes[-_OF:]), np.array(watch.delays_ms[-_OF:]) / 1000
        if minutes.size < 2 or np.ptp(minutes) == 0:
            return 0.0
        away = minutes - minutes.mean()
        return -float(away @ delays / (away @ away)) * _DAY_S / 60

    def _evidence(self, component: str, watch: _Watch) -> dict[str, Json]:
        usual_s = watch.usual_s
        return {
            "trend": {
                "channel": f"{component}/delay",
                "unit": "s",
                "at_ns": [minute * MINUTE_NS for minute in watch.minutes],
                "value": [ms / 1000 for ms in watch.delays_ms],
                "baseline": significant(usual_s),
                "limit": None,
                "zones": None,
            }
        }

    def _speaker(self, component: str) -> Speaker:
        asset = self._asset.id
        return Speaker(self.kind, self.version, self._hash, asset, Family.DATA_QUALITY, component, "skew")


def _any_at_once(event: Readings) -> bool:
    """Whether a stamp without any delay comes before each channel has spoken."""
    first = np.flatnonzero(event.at_ns == event.origin.received_ns)
    return bool(first.size) and int(first[0]) <= max(int(column.row[0]) for column in columns(event))


def _zone_s(seconds: float) -> int:
    """The whole quarter hours that so many seconds are, within a minute; 0 if they are none.

    >>> _zone_s(-28_790), _zone_s(5400), _zone_s(1000)
    (-28800, 5400, 0)
    """
    quarters = round(seconds / _ZONE_S)
    near = abs(seconds - quarters * _ZONE_S) <= _ZONE_OFF_S and abs(quarters) <= 56
    return quarters * _ZONE_S if near else 0
