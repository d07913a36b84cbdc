"""What every kind that judges a running machine shares: what it hears of the machine, and what that masks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite, nan
from typing import Any, ClassVar, Generic, TypeVar

from andon.events import (
    Declaration,
    Event,
    Family,
    Finding,
    Float64,
    Gap,
    Int64,
    Json,
    Number,
    Origin,
    Readings,
    StopAlarm,
    Waveform,
)
from andon.plant import Asset, Point
from andon.ports import State
from detectors.baseline import RELEARNED, Versions, shape, source_of
from detectors.columns import Column, columns, in_order, in_turn, is_long
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.intake import Intake
from detectors.operating import SPEED, Axis, Operating, OperatingParameters, RunningParameters, forget
from detectors.running import STATE, Running
from detectors.state import Grown, flatten, load

Key = TypeVar("Key")

MACHINE = "machine"
"""The component that a finding about the machine as a whole names."""


@dataclass(slots=True)
class Outside:
    """How long a point was in no operating state that it can be judged in."""

    rows: int = 0
    since_ns: int = 0
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class Machine:
    """What is known of the machine: whether it runs, how fast and how loaded, and which baselines hold."""

    running: Running = field(default_factory=Running)
    axes: Grown[Axis] = field(default_factory=lambda: Grown(Axis))
    versions: Versions = field(default_factory=Versions)
    outside: Grown[Outside] = field(default_factory=lambda: Grown(Outside))


class Watching(Generic[Key]):
    """Hands a kind the values and blocks of its asset, and tells it in which operating state they are judged.

    A kind gives what it wants of `_wanted`, `_value`, `_block` and `_learn_anew`. One whose keys know nothing of each
    other says so by `apart`, and takes at once by `_calm` what of a long block says nothing (`detectors/columns.py`).
    """

    kind: ClassVar[str]
    version: ClassVar[str]
    apart: ClassVar[bool] = False

    def __init__(self, asset: Asset, parameters: RunningParameters, state: Json) -> None:
        self._asset = asset
        self._bins = parameters if isinstance(parameters, OperatingParameters) else OperatingParameters()
        self._points = {point.id: point for point in asset.points}
        self._hash = parameters_hash(parameters)
        self._speakers = {point.id: self._speaker(point.component, point.id) for point in asset.points}
        self._speakers[""] = self._speaker(MACHINE)
        self._settle_ns = round(parameters.run_settle_s * 1e9)
        self._operating = Operating(asset, self._bins)
        self._intake = Intake(self._heard)
        self._machine, self._state = Machine(), state
        self._aside: list[Finding] = []

    def update(self, event: Event) -> Sequence[Finding]:
        """Take one event; what is of another asset says nothing."""
        if isinstance(event, Gap):
            if event.asset in {None, self._asset.id}:
                forget(self._machine.axes, event.source)
        elif getattr(event, "asset", None) != self._asset.id:
            return ()
        elif isinstance(event, Readings):
            return self._readings(event)
        elif isinstance(event, Waveform):
            return self._waveform(event)
        elif isinstance(event, StopAlarm | Declaration):
            self._machine.running.take_word(event)
            if isinstance(event, Declaration) and event.what in RELEARNED:
                return self._declared(event)
        return ()

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return flatten(self._machine, "machine/") | flatten(self._state)

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        load(self._machine, state, "machine/")
        load(self._state, state)

    def _wanted(self, channel: str, unit: str) -> Key | None:
        """The kind's own key of a channel that it judges."""
        del channel, unit
        return None

    def _value(self, at_ns: int, key: Key, value: float, origin: Origin) -> list[Finding]:
        """Take one good, finite value."""
        raise NotImplementedError

    def _calm(self, key: Key, at_ns: Int64, value: Float64) -> int:
        """Take the first of these values at once, as many as surely say nothing; gives how many."""
        del key, at_ns, value
        return 0

    def _is_settled(self, key: Key, at_ns: Int64) -> bool:
        """Whether the key is in one operating state, that is known, at all these times, if the machine stays as it is."""
        del key, at_ns
        return True

    def _block(self, waveform: Waveform) -> list[Finding]:
        """Take a block, good or bad."""
        del waveform
        return []

    def _learn_anew(self, points: Sequence[Point], why: Declaration) -> list[Finding]:
        """Forget what was learned of these points, and clear what stands of them."""
        raise NotImplementedError

    def _heard(self, channel: str, unit: str) -> tuple[str, str, Key | None] | None:
        told = channel if channel == STATE or self._operating.tells(channel) else ""
        key = self._wanted(channel, unit)
        return (told, unit, key) if told or key is not None else None

    def _readings(self, event: Readings) -> list[Finding]:
        if self.apart and is_long(event):
            heard = [(self._intake.key(event, column.index), column.sound()) for column in columns(event)]
            wanted = [(key, column) for key, column in heard if key is not None and column.row.size]
            if self._hears_nothing_new(wanted, event.origin.source):
                return self._at_once(wanted, event.origin)
        found: list[Finding] = []
        for at_ns, (told, unit, key), value in self._intake.rows(event):
            if told == STATE:
                self._machine.running.take_state(at_ns, value)
            elif told:
                self._operating.take(self._machine.axes, (told, unit), at_ns, value, event.origin.source)
            if key is not None:
                found += self._judged(key, event.origin, at_ns, value)
        return found

    def _hears_nothing_new(
        self, wanted: Sequence[tuple[tuple[str, str, Key | None], Column]], source: str
    ) -> bool:
        """Take what is told of the machine if it stays as it is; else nothing is taken."""
        running = self._machine.running
        axes: dict[str, Axis] = {}
        for (told, unit, _), column in wanted:
            if told == STATE and not running.stays(column.value):
                return False
            if told and told != STATE:
                values = zip(column.at_ns.tolist(), column.value.tolist(), strict=True)
                name, axis = self._operating.stays(
                    {**self._machine.axes, **axes}, (told, unit), values, source
                )
                if axis is None:
                    return False
                axes[name] = axis
        if axes and not all(self._is_settled(key, c.at_ns) for (_, _, key), c in wanted if key is not None):
            return False
        self._machine.axes.update(axes)
        for (told, _, _), column in wanted:
            if told == STATE:
                running.state_ns = max(running.state_ns, int(column.at_ns.max()))
        return True

    def _at_once(
        self, wanted: Sequence[tuple[tuple[str, str, Key | None], Column]], origin: Origin
    ) -> list[Finding]:
        """Key by key, while the machine stays as it is."""
        said: list[tuple[int, Finding]] = []
        for (_, _, key), column in wanted:
            if key is not None:
                said += in_turn(column, partial(self._calm, key), partial(self._judged, key, origin))
        return in_order(said)

    def _judged(self, key: Key, origin: Origin, at_ns: int, value: float) -> list[Finding]:
        return self._with_aside(self._value(at_ns, key, value, origin))

    def _waveform(self, event: Waveform) -> list[Finding]:
        speed_hz = _speed_hz(event)
        if event.point in self._points and isfinite(speed_hz):
            told, source = (f"{event.point}/{SPEED}", "Hz"), event.origin.source
            self._operating.take(self._machine.axes, told, event.at_ns, speed_hz, source)
        return self._with_aside(self._block(event))

    def _declared(self, why: Declaration) -> list[Finding]:
        points = [point for point in self._points.values() if why.component in {None, point.component}]
        for component in {point.component: None for point in points} | {MACHINE: None}:
            self._machine.versions.declare(component, why.at_ns)
        return self._learn_anew(points, why) if points else []

    def _runs_at(self, component: str, at_ns: int) -> bool:
        """Whether the machine runs, undisturbed, and the reading is of the time since the latest declaration."""
        running, versions = self._machine.running, self._machine.versions
        return versions.holds_at(component, at_ns) and running.runs_at(at_ns, self._settle_ns)

    def _runs_through(self, component: str, at_ns: Int64) -> bool:
        """Whether it does at all these times."""
        holds = self._machine.versions.holds_at(component, int(at_ns.min()))
        return holds and bool(self._machine.running.judged(at_ns, self._settle_ns).all())

    def _state_through(self, bins: Grown[Any], point: Point, at_ns: Int64) -> str | None:
        """The operating state that is known and judged at all these times; None if it is not so simple."""
        if point.id in self._machine.outside or not self._runs_through(point.component, at_ns):
            return None
        name = self._operating.state_at(self._machine.axes, point.id, int(at_ns.min()), self._settle_ns)
        return name if name in bins else None

    def _state_of(self, bins: Grown[Any], point: Point | None, at_ns: int, origin: Origin) -> str | None:
        """The operating state in which a point (None: the machine) is judged at that time; None: it is not.

        `bins` is what is kept by state: beyond `most_bins` of them nothing is judged.
        """
        point_id, component = (point.id, point.component) if point else ("", MACHINE)
        if not self._runs_at(component, at_ns):
            return None
        name = self._operating.state_at(self._machine.axes, point_id, at_ns, self._settle_ns)
        if name is not None and name not in bins and len(bins) >= self._bins.most_bins:
            name = None
        if name is None or point_id in self._machine.outside:
            self._outside(point_id, at_ns, origin, inside=name is not None)
        return name

    def _outside(self, point_id: str, at_ns: int, origin: Origin, *, inside: bool) -> None:
        """Count what is not judged for want of an operating state: too much of it is a finding of its own."""
        outside, limit = self._machine.outside[point_id], self._bins.outside_rows
        if not outside.rows:
            outside.since_ns = at_ns
        outside.rows = 0 if inside else outside.rows + 1
        number = Number("rows", float(outside.rows), "1", float(limit), "readings in a row in no known state")
        present = ", ".join(self._operating.present(self._machine.axes, point_id))
        text = {"point": point_id or MACHINE, "state": present or "?"}
        word = Word(at_ns, "not_judged", 200, origin, numbers=(number,), text=text)
        speaker = replace(self._speakers[point_id], family=Family.DATA_QUALITY)
        if outside.rows >= limit and not outside.episode.stands:
            self._aside.append(speaker.raises(outside.episode, outside.since_ns, word))
        elif inside and outside.episode.stands:
            self._aside.append(speaker.clears(outside.episode, word))

    def _with_aside(self, found: list[Finding]) -> list[Finding]:
        if self._aside:
            found, self._aside = [*found, *self._aside], []
        return found

    def _baseline(self, point: Point, from_ns: int, to_ns: int, blocks: int) -> dict[str, Json]:
        """The baseline of a point in its present operating state as evidence."""
        version = self._machine.versions.of(point.component)
        state = self._operating.shape(self._machine.axes, point.id)
        return shape(version, from_ns, to_ns, blocks, state)

    def _source(self, component: str) -> str:
        return source_of(self._machine.versions.of(component))

    def _speaker(self, component: str, subject: str = "") -> Speaker:
        family = Family.MACHINE_CONDITION
        return Speaker(self.kind, self.version, self._hash, self._asset.id, family, component, subject)


def _speed_hz(waveform: Waveform) -> float:
    """The shaft speed that a block itself tells, by its tacho or its source; NaN if it does not."""
    turns = waveform.turns
    if turns is not None and len(turns) > 1:
        return float((len(turns) - 1) * waveform.rate_hz / (turns[-1] - turns[0]))
    return nan if waveform.speed_hz is None else waveform.speed_hz
