"""Process channels together: a machine's rows of readings have left what was learned of them while it was healthy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from andon.events import (
    Declaration,
    Event,
    Family,
    Finding,
    Float64,
    Json,
    Number,
    Origin,
    Readings,
    StopAlarm,
)
from andon.plant import Asset
from andon.ports import State
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.evidence import Trend, significant
from detectors.intake import Intake
from detectors.process_methods import Learned, Method, learn
from detectors.process_methods import distance as distance_of
from detectors.process_model import Baseline, Window, learned, settled, take
from detectors.process_rows import Rows, taken
from detectors.running import STATE, Running
from detectors.state import flatten, load
from detectors.votes import cast, count

_MOST = 1e100  # far beyond any reading, so that squares stay finite
_NEAR = 2.0  # reaches: what is further away is not followed
_REMEMBERED = 1.5  # times the learned rows: so long a feature's largest distance is remembered
_NAMED = 3  # channels that a finding names


@dataclass(slots=True)
class _State:
    baseline_version: int
    running: Running = field(default_factory=Running)
    rows: Rows = field(default_factory=Rows)
    learning: Float64 = field(default_factory=lambda: np.zeros(0))
    learned_rows: int = 0
    from_ns: int = 0
    to_ns: int = 0
    baseline: Baseline = field(default_factory=Baseline)
    together: Learned = field(default_factory=Learned)
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


class Detector:
    """The scalar channels of a machine, row by row, against a frozen multivariate baseline.

    Raises once when the rows stay away from it, names the channels that carry it, updates when the distance has
    doubled, clears when they are back. Rows of a machine that does not run are neither learned from nor judged.
    Source: measured on SKAB (Katser & Kozitsin, Skoltech Anomaly Benchmark, 2020).
    """

    kind = "process_multivariate"
    version = "1"

    class Parameters(BaseModel):
        """What is learned, and when leaving it is a finding."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        baseline_version: int = Field(
            default=1,
            ge=1,
            description="Raise it after an acknowledged repair or a declared operating change: the baseline is relearned.",
        )
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
            default=2.5,
            gt=0,
            le=100,
            description="Distance from the baseline, in its own reach, that counts.",
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
            default=0.2,
            ge=0,
            lt=1,
            description="Part of a feature's largest distance below which it counts as back, though not where it was.",
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
        run_settle_s: float = Field(
            default=30.0, ge=0, le=3600, description="Seconds in Execute before readings are judged."
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        scalar = [
            f"{point.id}/{name}"
            for point in asset.points
            if point.kind == "scalar"
            for name in point.quantities
        ]
        self._channels = list(parameters.channels or scalar[:64])
        self._number = {channel: i for i, channel in enumerate(self._channels)}
        self._components = [self._component_of(channel) for channel in self._channels]
        self._intake = Intake(self._wanted)
        hashed, family = parameters_hash(parameters), Family.MACHINE_CONDITION
        self._speakers = {
            component: Speaker(self.kind, self.version, hashed, asset.id, family, component)
            for component in self._components
        }
        self._settle_ns = round(parameters.run_settle_s * 1e9)
        self._creep = parameters.creep / parameters.learn_rows
        self._fading = math.exp(-1 / (_REMEMBERED * parameters.learn_rows))
        self._state = _State(parameters.baseline_version)

    @property
    def score(self) -> float:
        """Distance of the latest row from the baseline, in the baseline's own reach; 0 while it is learned."""
        return self._state.score

    @property
    def flagged(self) -> bool:
        """Whether the latest row lies beyond the limit."""
        return self._state.score > self._parameters.limit

    def update(self, event: Event) -> Sequence[Finding]:
        """Take a block of readings, or a stop."""
        if isinstance(event, StopAlarm | Declaration) and event.asset == self._asset.id:
            self._state.running.take_word(event)
        if not isinstance(event, Readings) or event.asset != self._asset.id:
            return ()
        found: list[Finding] = []
        for at_ns, channel, value in self._intake.rows(event):
            if channel < 0:
                self._state.running.take_state(at_ns, value)
                continue
            for row_ns, row in taken(self._state.rows, len(self._channels), at_ns, channel, value):
                if self._state.running.runs_at(row_ns, self._settle_ns):
                    found += self._take(row_ns, row, event.origin)
        return found

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return flatten(self._state)

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken, unless a new baseline was asked for: then learn anew."""
        load(self._state, state)
        kept = self._state
        if kept.baseline_version != self._parameters.baseline_version:
            self._state = _State(self._parameters.baseline_version, kept.running, kept.rows)
            self._state.trend, self._state.episode = kept.trend, kept.episode

    def _wanted(self, channel: str, unit: str) -> int | None:
        del unit  # a channel has one, and only its changes are judged
        return -1 if channel == STATE else self._number.get(channel)

    def _component_of(self, channel: str) -> str:
        point = self._asset.point(channel.partition("/")[0])
        return point.component if point else ""

    def _take(self, at_ns: int, row: Float64, origin: Origin) -> list[Finding]:
        row = np.minimum(np.maximum(row, -_MOST), _MOST)
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
        self._follow(away)
        if missing:
            away[np.tile(unknown, 3)] = 0.0
        if self._parameters.method == "reach":
            distance = np.abs(away)
        else:
            distance = distance_of(self._parameters.method, state.together, away)
        state.peak = np.maximum(state.peak * self._fading, distance)
        distance[distance < self._parameters.recovered * state.peak] = 0.0
        state.by_channel = distance.reshape(3, -1).max(axis=0)
        state.score = float(state.by_channel.max())

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
            return [self._speaker().raises(state.episode, state.onset_ns, self._word(at_ns, origin))]
        if state.episode.stands and state.low >= parameters.clear_rows:
            word = self._word(at_ns, origin)
            state.votes, state.onset_ns = 0, 0
            return [self._speaker().clears(state.episode, word)]
        if state.episode.stands and state.score >= 2 * state.said:
            state.said = state.score
            return [self._speaker().updates(state.episode, self._word(at_ns, origin))]
        return []

    def _speaker(self) -> Speaker:
        return self._speakers[self._state.component]

    def _word(self, at_ns: int, origin: Origin) -> Word:
        state, limit = self._state, self._parameters.limit
        source = f"frozen baseline v{state.baseline_version}"
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
            "baseline": {
                "version": state.baseline_version,
                "from_ns": state.from_ns,
                "to_ns": state.to_ns,
                "blocks": state.learned_rows,
            },
            "contributions": {"channel": self._channels, "value": significant(state.by_channel)},
        }
