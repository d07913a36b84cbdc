"""Silent sensor: a measuring point that is due and has not been received. Silence is never health."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from andon.events import Event, Family, Finding, Gap, Number, Readings, Tick, Waveform
from andon.plant import Asset, Point
from andon.ports import State
from detectors.columns import speaking
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.evidence import significant
from detectors.state import flatten, load


@dataclass(slots=True)
class _Watch:
    """When a point was last received and from where; `waits_ns` is where its timer starts."""

    heard_ns: int = -1
    source: str = ""
    waits_ns: int = -1
    away: bool = False
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    tick_ns: int
    points: dict[str, _Watch]


class Detector:
    """A point whose period is known and that has not been received for `periods` of it, at a tick.

    Measured on the server's clock (received times and ticks), so that a sensor with a wrong clock is not
    silent. Raises once, clears when the point speaks again, whatever it says. A gap of the point's source
    restarts the timer, and while it is open there is no timer: then the source is away, which is said
    elsewhere. So does a pause of the ticks longer than half the silence: then Andon itself was away.
    Source: design law 9 (nothing silent); OPC 10000-4 bad and uncertain values count as words.
    """

    kind = "silent_sensor"
    version = "1"

    class Parameters(BaseModel):
        """How long a point may be silent."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        periods: float = Field(
            default=3.0,
            ge=1.5,
            le=1000,
            description="Expected periods of a point without a word that make it silent.",
        )
        minimum_s: float = Field(
            default=30.0,
            ge=1,
            le=86400,
            description="Shortest silence in seconds that counts, however short the period.",
        )
        grace_s: float = Field(
            default=120.0,
            ge=0,
            le=604800,
            description="Seconds that a point which never spoke is given from the first tick on, at least.",
        )
        severity: int = Field(
            default=300, ge=1, le=1000, description="Severity (1-1000, OPC UA) of a silent point."
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._hash = parameters_hash(parameters)
        self._points = {point.id: point for point in asset.points if point.period_s is not None}
        self._state = _State(-1, {point_id: _Watch() for point_id in self._points})

    def update(self, event: Event) -> Sequence[Finding]:
        """Note who speaks; at a tick, who does not."""
        if isinstance(event, Tick):
            return self._tick(event)
        if isinstance(event, Readings) and event.asset == self._asset.id:
            spoken = [event.channels[i] for i in speaking(event)]
            points = dict.fromkeys(channel.partition("/")[0] for channel in spoken)
            return [f for point_id in points for f in self._heard(point_id, event)]
        if isinstance(event, Waveform) and event.asset == self._asset.id:
            return self._heard(event.point, event)
        if isinstance(event, Gap) and event.asset in {None, self._asset.id}:
            self._gap(event)
        return ()

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return flatten(self._state)

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        load(self._state, state)

    def _heard(self, point_id: str, event: Readings | Waveform) -> list[Finding]:
        watch = self._state.points.get(point_id)
        if watch is None:
            return []
        watch.source, watch.away = event.origin.source, False
        watch.heard_ns = max(watch.heard_ns, event.origin.received_ns)
        watch.waits_ns = max(watch.waits_ns, watch.heard_ns)
        if not watch.episode.stands:
            return []
        watch.waits_ns = max(watch.waits_ns, self._state.tick_ns)  # the next episode begins after this one
        point = self._points[point_id]
        word = self._word(point, event.origin.received_ns, watch.episode.onset_ns, event)
        return [self._speaker(point).clears(watch.episode, word)]

    def _gap(self, gap: Gap) -> None:
        sources = {"", gap.source, gap.origin.source}
        restart_ns = max(gap.origin.received_ns, gap.to_ns or 0)
        for point_id, watch in self._state.points.items():
            if gap.point in {None, point_id} and watch.source in sources:
                watch.away = gap.to_ns is None
                watch.waits_ns = max(watch.waits_ns, restart_ns)

    def _tick(self, tick: Tick) -> list[Finding]:
        state, before_ns = self._state, self._state.tick_ns
        if tick.at_ns <= before_ns:
            return []
        state.tick_ns = tick.at_ns
        findings = []
        for point_id, watch in state.points.items():
            point = self._points[point_id]
            limit_ns = self._limit_ns(point, spoke=watch.heard_ns >= 0)
            if before_ns < 0 or tick.at_ns - before_ns > limit_ns / 2:
                watch.waits_ns = max(watch.waits_ns, tick.at_ns)
            if watch.away or watch.episode.stands or tick.at_ns - watch.waits_ns <= limit_ns:
                continue
            word = self._word(point, tick.at_ns, watch.waits_ns, tick)
            findings.append(self._speaker(point).raises(watch.episode, watch.waits_ns, word))
        return findings

    def _limit_ns(self, point: Point, *, spoke: bool) -> int:
        parameters = self._parameters
        limit_s = max(parameters.periods * (point.period_s or 0), parameters.minimum_s)
        return round((limit_s if spoke else max(limit_s, parameters.grace_s)) * 1e9)

    def _speaker(self, point: Point) -> Speaker:
        return Speaker(
            self.kind, self.version, self._hash, self._asset.id, Family.DATA_QUALITY, component=point.id
        )

    def _word(self, point: Point, at_ns: int, since_ns: int, event: Readings | Waveform | Tick) -> Word:
        limit_ns = self._limit_ns(point, spoke=self._state.points[point.id].heard_ns >= 0)
        period_s = point.period_s or 0.0
        return Word(
            at_ns=at_ns,
            condition="silent_sensor",
            severity=self._parameters.severity,
            origin=event.origin,
            numbers=(
                Number(
                    "silent_s",
                    significant((at_ns - since_ns) / 1e9),
                    "s",
                    limit_ns / 1e9,
                    f"{self._parameters.periods:g} × period, at least {self._parameters.minimum_s:g} s",
                ),
                Number("period_s", period_s, "s"),
            ),
            text={"point": point.id, "component": point.component},
        )
