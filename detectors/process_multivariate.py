"""Process channels together: a machine's rows of readings have left what was learned of them while it was healthy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from andon.events import Declaration, Finding, Float64, Json, Number, Origin
from andon.plant import Asset, Point
from detectors.baseline import cleared, shape, source_of
from detectors.episode import Episode, Speaker, Word
from detectors.evidence import Trend, significant
from detectors.operating import RunningParameters
from detectors.pace import Pace
from detectors.process_methods import Learned, Method, learn
from detectors.process_methods import distance as distance_of
from detectors.process_model import Baseline, Window, learned, settled, take
from detectors.process_rows import Rows, taken
from detectors.votes import cast, count
from detectors.watching import MACHINE, Watching

_MOST = 1e100  # far beyond any reading, so that squares stay finite
_NEAR = 2.0  # reaches: what is further away is not followed
_REMEMBERED = 1.5  # times the learned rows: so long a feature's largest distance is remembered
_OLDEST = 10  # times the learned rows: after that the reach grows no more
_BESIDE = 0.5  # of the largest distance of all: what is small beside it is its echo in other channels
_NAMED = 3  # channels that a finding names


@dataclass(slots=True)
class _State:
    version: int = 1
    pace: Pace = field(default_factory=Pace)
    rows: Rows = field(default_factory=Rows)
    learning: Float64 = field(default_factory=lambda: np.zeros(0))
    learned_rows: int = 0
    from_ns: int = 0
    to_ns: int = 0
    baseline: Baseline = field(default_factory=Baseline)
    together: Learned = field(default_factory=Learned)
    judged_rows: int = 0
    moved: Float64 = field(default_factory=lambda: np.zeros(0))  # of the centre, in reaches
    peak: Float64 = field(default_factory=lambda: np.zeros(0))
    window: Window = field(default_factory=Window)
    score: float = 0.0
    by_channel: Float64 = field(default_factory=lambda: np.zeros(0))
    votes: int = 0
    low: int = 0
    onset_ns: int = 0
    said: float = 0.0
    component: str = ""
    trend: Trend = field(default_factory=Trend)
    episode: Episode = field(default_factory=Episode)


class Detector(Watching[int]):
    """The scalar channels of a machine, row by row, against a frozen multivariate baseline.

    Speed and load are among the channels, so it has one baseline for all operating states. Raises once when the rows stay away from it, names the channels that carry it, updates when the distance has
    doubled, clears when they are back. Rows of a machine that does not run are neither learned from nor judged.
    Source: measured on SKAB (Katser & Kozitsin, Skoltech Anomaly Benchmark, 2020).
    """

    kind = "process_multivariate"
    version = "1"

    class Parameters(RunningParameters):
        """What is learned, and when leaving it is a finding."""

        method: Method = Field(
            default="reach",
            description="How features make one distance: the furthest by its own reach, or `pca` (T2 and Q), `trees` "
            "(half-space trees) or `covariance` (robust) over all of them.",
        )
        channels: tuple[str, ...] = Field(
            default=(),
            max_length=64,
            description="Channels (point/quantity) to judge together; left out, all quantities of the scalar points.",
        )
        learn_rows: int = Field(
            default=300, ge=120, le=20_000, description="Running rows that the baseline is made of."
        )
        learn_most_rows: int = Field(
            default=4000,
            ge=120,
            le=40_000,
            description="While a channel is still on its way (warming up), rows are added up to this number.",
        )
        window_rows: int = Field(
            default=48, ge=8, le=500, description="Rows whose mean is judged; half of them for the unrest."
        )
        limit: float = Field(
            default=2.6,
            gt=0,
            le=100,
            description="Distance from the baseline, in its own reach, that counts.",
        )
        stray: float = Field(
            default=0.7,
            ge=0,
            le=20,
            description="How fast the reach (squared) of a feature that wanders grows, per `learn_rows` rows: a random walk.",
        )
        creep: float = Field(
            default=2.0,
            ge=0,
            le=20,
            description="Reaches that the baseline may follow a slow drift, per `learn_rows` rows, while nothing is amiss.",
        )
        creep_most: float = Field(
            default=4.0,
            ge=0,
            le=100,
            description="Reaches that it may follow in all: a slow fault is seen then.",
        )
        recovered: float = Field(
            default=0.4,
            ge=0,
            lt=1,
            description="Part of a feature's largest distance below which it counts as back, though not where it was; "
            "half of it for the largest of all features.",
        )
        raise_count: int = Field(
            default=45, ge=1, le=10_000, description="Rows beyond the limit needed to raise."
        )
        raise_of: int = Field(
            default=60, ge=1, le=10_000, description="Latest rows among which they are counted."
        )
        clear_rows: int = Field(
            default=120, ge=1, le=100_000, description="Rows in a row below the limit needed to clear."
        )

    _state: _State

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        super().__init__(asset, parameters, _State())
        self._parameters = parameters
        scalar = [
            f"{point.id}/{name}"
            for point in asset.points
            if point.kind == "scalar"
            for name in point.quantities
        ]
        self._channels = list(parameters.channels or scalar[:64])
        self._number = {channel: i for i, channel in enumerate(self._channels)}
        self._components = [self._component_of(channel) for channel in self._channels]
        self._creep = parameters.creep / parameters.learn_rows
        self._fading = math.exp(-1 / (_REMEMBERED * parameters.learn_rows))

    @property
    def score(self) -> float:
        """Distance of the latest row from the baseline, in the baseline's own reach; 0 while it is learned."""
        return self._state.score

    @property
    def flagged(self) -> bool:
        """Whether the latest row lies beyond the limit."""
        return self._state.score > self._parameters.limit

    def _wanted(self, channel: str, unit: str) -> int | None:
        del unit  # a channel has one, and only its changes are judged
        return self._number.get(channel)

    def _value(self, at_ns: int, key: int, value: float, origin: Origin) -> list[Finding]:
        return [
            finding
            for row_ns, row in taken(self._state.rows, len(self._channels), at_ns, key, value)
            if self._runs_at(MACHINE, row_ns)
            for finding in self._take(row_ns, row, origin)
        ]

    def _learn_anew(self, points: Sequence[Point], why: Declaration) -> list[Finding]:
        """The channels have one baseline together: a repair of any of them makes all of it void."""
        kept = self._state
        if not {point.component for point in points} & set(self._components):
            return []
        found = cleared(self._spoken(), kept.episode, why) if kept.episode.stands else []
        self._state = _State(kept.version + 1, rows=kept.rows, trend=kept.trend, episode=kept.episode)
        return found

    def _component_of(self, channel: str) -> str:
        point = self._asset.point(channel.partition("/")[0])
        return point.component if point else ""

    def _take(self, at_ns: int, row: Float64, origin: Origin) -> list[Finding]:
        row = np.minimum(np.maximum(row, -_MOST), _MOST)
        if self._state.pace.pauses(at_ns, self._parameters.gap_s):
            self._state.votes = self._state.low = 0
        if not self._state.baseline.scale.size:
            self._learn(at_ns, row)
            return []
        self._judge(row)
        self._state.trend.add(at_ns, self._state.score)
        return self._speak(at_ns, origin)

    def _learn(self, at_ns: int, row: Float64) -> None:
        state = self._state
        if not state.learned_rows:
            state.learning, state.from_ns = np.zeros((0, row.size)), at_ns
        if state.learned_rows == len(state.learning):
            more = np.zeros((max(16, state.learned_rows), row.size))
            state.learning = np.concatenate([state.learning, more])
        state.learning[state.learned_rows] = row
        state.learned_rows += 1
        state.to_ns = at_ns
        if self._learned_enough():
            self._freeze()

    def _learned_enough(self) -> bool:
        """At the least number of rows, or a multiple of half of it, once settled; at most at the most."""
        rows, least = self._state.learned_rows, self._parameters.learn_rows
        if rows >= max(least, self._parameters.learn_most_rows):
            return True
        return rows >= least and (rows - least) % (least // 2) == 0 and settled(self._state.learning[:rows])

    def _freeze(self) -> None:
        state = self._state
        rows = state.learning[: state.learned_rows]
        state.baseline, state.window, series = learned(rows, self._parameters.window_rows)
        if self._parameters.method != "reach":
            away = (series - state.baseline.centre) / state.baseline.scale
            state.together = learn(self._parameters.method, away)
        state.learning = np.zeros(0)
        state.moved, state.peak = np.zeros(3 * rows.shape[1]), np.zeros(3 * rows.shape[1])

    def _judge(self, row: Float64) -> None:
        state = self._state
        unknown = np.isnan(row)
        missing = bool(unknown.any())
        if missing:
            row = np.where(unknown, state.baseline.mean, row)
        features = take(state.window, state.baseline, row, self._parameters.window_rows)
        away = (features - state.baseline.centre) / state.baseline.scale - state.moved
        away = away / self._grown()
        self._follow(away)
        if missing:
            away[np.tile(unknown, 3)] = 0.0
        if self._parameters.method == "reach":
            distance = np.abs(away)
        else:
            distance = distance_of(self._parameters.method, state.together, away)
        state.peak = np.maximum(state.peak * self._fading, distance)
        largest = np.maximum(state.peak, _BESIDE * state.peak.max())
        distance[distance < self._parameters.recovered * largest] = 0.0
        state.by_channel = distance.reshape(3, -1).max(axis=0)
        state.score = float(state.by_channel.max())

    def _grown(self) -> Float64:
        """How many times its learned reach each feature has by now: those that wander go further with time."""
        state, learned_rows = self._state, self._parameters.learn_rows
        state.judged_rows = min(state.judged_rows + 1, _OLDEST * learned_rows)
        return np.sqrt(1 + self._parameters.stray * state.judged_rows / learned_rows * state.baseline.strays)

    def _follow(self, away: Float64) -> None:
        """Let the baseline creep after features that are near it, slowly and not far."""
        step = np.minimum(np.maximum(away, -self._creep), self._creep)
        step[np.abs(away) >= _NEAR] = 0.0
        most = self._parameters.creep_most
        self._state.moved = np.minimum(np.maximum(self._state.moved + step, -most), most)

    def _speak(self, at_ns: int, origin: Origin) -> list[Finding]:
        state, parameters = self._state, self._parameters
        state.votes = cast(state.votes, self.flagged, parameters.raise_of)
        state.low = 0 if self.flagged else state.low + 1
        if not state.votes:
            state.onset_ns = 0
        elif not state.onset_ns:
            state.onset_ns = at_ns
        if not state.episode.stands and count(state.votes) >= parameters.raise_count:
            state.said, state.component = state.score, self._components[int(state.by_channel.argmax())]
            return [self._spoken().raises(state.episode, state.onset_ns, self._word(at_ns, origin))]
        if state.episode.stands and state.low >= parameters.clear_rows:
            word = self._word(at_ns, origin)
            state.votes, state.onset_ns = 0, 0
            return [self._spoken().clears(state.episode, word)]
        if state.episode.stands and state.score >= 2 * state.said:
            state.said = state.score
            return [self._spoken().updates(state.episode, self._word(at_ns, origin))]
        return []

    def _spoken(self) -> Speaker:
        return self._speaker(self._state.component)

    def _word(self, at_ns: int, origin: Origin) -> Word:
        state, limit = self._state, self._parameters.limit
        source = source_of(state.version)
        leading = np.argsort(-state.by_channel, kind="stable")[:_NAMED].tolist()
        named = [
            Number(self._channels[i], significant(state.by_channel[i]), "× reach", limit, source)
            for i in leading
        ]
        return Word(
            at_ns=at_ns,
            condition="process_change",
            severity=500 if state.score >= 3 * limit else 400,
            origin=origin,
            confidence=0.8,
            numbers=(Number("distance", significant(state.score), "× reach", limit, source), *named),
            evidence=self._evidence(limit),
            text={"channels": ", ".join(self._channels[i] for i in leading)},
        )

    def _evidence(self, limit: float) -> dict[str, Json]:
        state = self._state
        return {
            "trend": state.trend.shape("distance", "× reach", limit=limit),
            "baseline": shape(state.version, state.from_ns, state.to_ns, state.learned_rows),
            "contributions": {"channel": self._channels, "value": significant(state.by_channel)},
        }
