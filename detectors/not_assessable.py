"""Not assessable: a measuring point that speaks, but for long nothing that could be judged. That is not health either."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from andon.events import (
    Declaration,
    Event,
    Family,
    Finding,
    Number,
    Origin,
    Quality,
    Readings,
    StopAlarm,
    Waveform,
)
from andon.plant import Asset
from andon.ports import State
from detectors.columns import columns, is_long
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.evidence import significant
from detectors.running import STATE, Running
from detectors.state import flatten, load
from detectors.validity import problem_of


@dataclass(slots=True)
class _Watch:
    """One point: when it last spoke, when it last said something good, and since when it has not."""

    last_ns: int = -1
    good_ns: int = -1
    since_ns: int = -1
    times: int = 0
    flaw: str = ""
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    running: Running
    points: dict[str, _Watch]


class Detector:
    """A point of a running machine whose readings and blocks are all of bad or uncertain quality, for `after_s`.

    Raises once with what is wrong (a code of `detectors/flaws.py`), clears
    with the first good word. A block that gives some features is assessable: those that it cannot give say so by
    their own quality.
    Source: OPC 10000-4:2022, 7.39 (quality); design law 9 (nothing silent); ISO 13374-2:2007 (data quality of a block).
    """

    kind = "not_assessable"
    version = "1"

    class Parameters(BaseModel):
        """How long a point may say nothing that can be judged."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        after_s: float = Field(
            default=300.0, ge=1, le=604_800, description="Seconds without a good word until it is told."
        )
        least: int = Field(
            default=5,
            ge=2,
            le=10_000,
            description="Words that must have come in this time, none of them good.",
        )
        severity: int = Field(
            default=300, ge=1, le=1000, description="Severity (1-1000, OPC UA) of such a point."
        )
        run_settle_s: float = Field(
            default=30.0, ge=0, le=3600, description="Seconds in Execute before words are counted."
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        hashed = parameters_hash(parameters)
        self._speakers = {
            point.id: Speaker(
                self.kind, self.version, hashed, asset.id, Family.DATA_QUALITY, component=point.id
            )
            for point in asset.points
        }
        self._settle_ns, self._after_ns = (
            round(seconds * 1e9) for seconds in (parameters.run_settle_s, parameters.after_s)
        )
        self._components = {point.id: point.component for point in asset.points}
        self._state = _State(Running(), {point.id: _Watch() for point in asset.points})

    def update(self, event: Event) -> Sequence[Finding]:
        """Note of each point whether what it says can be judged."""
        if getattr(event, "asset", None) != self._asset.id:
            return ()
        if isinstance(event, StopAlarm | Declaration):
            self._state.running.take_word(event)
        elif isinstance(event, Waveform):
            self._block(event)
        elif isinstance(event, Readings):
            return self._readings(event)
        return ()

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return flatten(self._state)

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        load(self._state, state)

    def _block(self, waveform: Waveform) -> None:
        """Keep what is wrong with the point's blocks; whether they are good is told by their readings."""
        watch, problem = self._state.points.get(waveform.point), problem_of(waveform)
        if watch is not None and problem is not None:
            watch.flaw = problem[0]

    def _readings(self, event: Readings) -> list[Finding]:
        if is_long(event):
            event = self._without_good(event)
        points = [channel.partition("/")[0] for channel in event.channels]
        found: list[Finding] = []
        for at_ns, i, value, quality in zip(
            event.at_ns.tolist(),
            event.channel.tolist(),
            event.value.tolist(),
            event.quality.tolist(),
            strict=True,
        ):
            good = quality < Quality.UNCERTAIN and isfinite(value)
            watch = self._state.points.get(points[i])
            if event.channels[i] == STATE and good:
                self._state.running.take_state(at_ns, value)
            elif watch is not None and at_ns >= watch.last_ns:
                found += (
                    self._good(points[i], watch, at_ns, event.origin)
                    if good
                    else self._bad(points[i], watch, at_ns, event.origin)
                )
        return found

    def _without_good(self, event: Readings) -> Readings:
        """What is left of a block when points that say nothing but good have been noted."""
        named = [(event.channels[column.index].partition("/")[0], column) for column in columns(event)]
        other = {point for point, column in named if column.good is not None} | {STATE}
        left = []
        for point, column in named:
            watch = self._state.points.get(point)
            if point in other or (watch is not None and watch.episode.stands):
                left.append(column.row)
            elif watch is not None and (newest_ns := int(column.at_ns.max())) >= watch.last_ns:
                self._good(point, watch, newest_ns, event.origin)
        rows = np.sort(np.concatenate(left)) if left else np.zeros(0, np.int64)
        return replace(
            event,
            at_ns=event.at_ns[rows],
            channel=event.channel[rows],
            value=event.value[rows],
            quality=event.quality[rows],
        )

    def _good(self, point: str, watch: _Watch, at_ns: int, origin: Origin) -> list[Finding]:
        watch.last_ns = watch.good_ns = at_ns
        watch.since_ns, watch.times = -1, 0
        if not watch.episode.stands:
            return []
        return [self._speakers[point].clears(watch.episode, self._word(point, watch, at_ns, origin))]

    def _bad(self, point: str, watch: _Watch, at_ns: int, origin: Origin) -> list[Finding]:
        if at_ns in {watch.last_ns, watch.good_ns}:
            return []  # another channel of the same word
        watch.last_ns = at_ns
        if not self._state.running.runs_at(at_ns, self._settle_ns):
            watch.since_ns, watch.times = -1, 0  # many a sensor says nothing of a machine that stands
            return []
        if watch.since_ns < 0:
            watch.since_ns = at_ns
        watch.times += 1
        enough = watch.times >= self._parameters.least and at_ns - watch.since_ns >= self._after_ns
        if not enough or watch.episode.stands:
            return []
        word = self._word(point, watch, at_ns, origin)
        return [self._speakers[point].raises(watch.episode, watch.since_ns, word)]

    def _word(self, point: str, watch: _Watch, at_ns: int, origin: Origin) -> Word:
        since_ns = watch.since_ns if watch.since_ns >= 0 else watch.episode.onset_ns
        limit_s = self._parameters.after_s
        return Word(
            at_ns=at_ns,
            condition="not_assessable",
            severity=self._parameters.severity,
            origin=origin,
            numbers=(
                Number(
                    "unassessed_s",
                    significant((at_ns - since_ns) / 1e9),
                    "s",
                    limit_s,
                    "no good word for so long",
                ),
                Number(
                    "words",
                    float(watch.times),
                    "1",
                    float(self._parameters.least),
                    "no good word for so long",
                ),
            ),
            text={
                "point": point,
                "component": self._components[point],
                "flaw": watch.flaw or "bad_quality",
            },
        )
