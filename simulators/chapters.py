"""Who plays what, and what happens in each hour: the opening that shows everything, then life goes on.

Roles are disjoint, so that each planted fault has one clear outcome: a machine that goes silent never stops with
an alarm, a healthy bearing that is loud stays healthy, only machines without waveforms stop for odd reasons.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS
from simulators.bearing import Element
from simulators.chance import generator
from simulators.episodes import Chapter, Degradation, LoadStep, Reboot, Silence, Spoiled
from simulators.machines import MACHINES, Machine
from simulators.mes import REASONS, VIBRATION_TRIP, Reason, Stop

TICKET_AFTER_MIN = 18.0  # a bearing's ticket is due this long after the onset
STOP_DUE_MIN = 4.0
SILENCE_DUE_MIN = 13.0
RUNS_AGAIN_MIN = 15.0  # a stop this long after the last one is a new failure (repeat fault rule)

SPOILED = (
    "malformed_json",
    "unknown_topic",
    "not_finite_json",
    "bad_waveform_header",
    "waveform_crc",
    "schema",
    "unknown_asset",
    "invalid_utf8",
    "malformed_json",
    "unknown_topic",
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Which machine plays which part, by id."""

    degrading: tuple[str, ...]  # the first gets into zone D, the second stops because of it
    noisy: str
    loaded: str
    restarting: tuple[str, str]
    spare: tuple[str, ...]  # their bearings wear in later hours
    stopping: tuple[str, ...]  # each once, for a reason of its own
    repeating: str
    silent: tuple[str, str]  # asset and point
    not_a_number: str  # an OPC UA machine whose current reads NaN for a moment
    rebooting: tuple[str, str]  # a vibration sensor and a gateway, by producer


def cast(seed: int) -> Cast:
    """The parts of this seed."""
    rng = generator(seed, "cast")
    heard = _shuffled(rng, (m for m in MACHINES if m.waveforms == ("DE",)))
    both_ends = _shuffled(rng, (m for m in MACHINES if len(m.waveforms) == 2))
    plain = [
        _shuffled(rng, (m for m in MACHINES if not m.waveforms and m.line == line)) for line in ("L1", "L2")
    ]
    first, second = plain[0].pop(), plain[1].pop()  # one stop by MQTT, one by OPC UA, whatever the seed
    not_a_number, gateway = plain[1].pop(), plain[0].pop()
    rest = _shuffled(rng, plain[0] + plain[1])
    more = int(rng.integers(3))
    silent_id = rest.pop()
    silent = (both_ends[0], "NDE") if rng.random() < 0.4 else (silent_id, str(rng.choice(["VEL", "M", "DE"])))
    degrading = 2 + int(rng.integers(2))
    return Cast(
        degrading=tuple(heard[:degrading]),
        noisy=heard[3],
        loaded=heard[4],
        restarting=(heard[5], rest.pop()),
        spare=tuple(heard[6:]),
        repeating=rest.pop(),
        stopping=(first, second, *rest[:more]),
        silent=silent,
        not_a_number=not_a_number,
        rebooting=(f"{both_ends[1]}/DE", gateway),
    )


def _shuffled(rng: np.random.Generator, machines: Iterable[Machine | str]) -> list[str]:
    ids = [m if isinstance(m, str) else m.id for m in machines]
    return [ids[i] for i in rng.permutation(len(ids))]


def chapter(seed: int, start_ns: int, told: Sequence[Chapter], *, healthy: bool) -> Chapter:
    """The hour after those told; with `healthy`, restarts, reboots and load changes and nothing else."""
    number = len(told)
    pen = _Pen(generator(seed, "chapter", number), start_ns + number * HOUR_NS)
    parts = cast(seed)
    whole = _opening(pen, parts) if number == 0 else _later(pen, parts, told, number)
    if not healthy:
        return whole
    restarts = tuple(stop for stop in whole.stops if stop.reason is None and stop.asset in parts.restarting)
    return Chapter(stops=restarts, load_steps=whole.load_steps, reboots=whole.reboots)


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws times of one chapter, in minutes from its beginning; all fall on whole seconds."""

    rng: np.random.Generator
    start_ns: int

    def minutes(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def at(self, minutes: float) -> int:
        return self.start_ns + round(minutes * 60) * SECOND_NS

    def stop(self, asset: str, at_min: float, lasts_min: float, reason: Reason | None = None) -> Stop:
        return Stop(asset, self.at(at_min), self.at(at_min + lasts_min), reason)

    def degradation(self, asset: str, element: Element, onset_min: float, rise: float) -> Degradation:
        return Degradation(
            asset=asset,
            element=element,
            onset_ns=self.at(onset_min),
            severe_ns=self.at(onset_min + self.minutes(8, 12)),
            due_ns=self.at(onset_min + TICKET_AFTER_MIN),
            mended_ns=self.at(onset_min + self.minutes(55, 70)),
            velocity_rise_mm_s=rise,
        )


def _opening(pen: _Pen, parts: Cast) -> Chapter:
    """The demo's hour: baselines first, then every kind of fault, each one's ticket due within it."""
    elements = pen.rng.permutation(np.array(list(Element), dtype=object))
    onsets = [pen.minutes(18, 25), pen.minutes(18, 21), pen.minutes(20, 25)]
    rises = [pen.minutes(3.8, 4.6), pen.minutes(0.4, 0.8), pen.minutes(0.4, 0.8)]
    wearing = [
        pen.degradation(asset, element, onset, rise)
        for asset, element, onset, rise in zip(parts.degrading, elements, onsets, rises, strict=False)
    ]
    silence_min = pen.minutes(19, 22)
    load_min = pen.minutes(25, 35)
    return Chapter(
        stops=(
            *_opening_stops(pen, parts, consequence_min=onsets[1] + TICKET_AFTER_MIN + pen.minutes(2, 5)),
            pen.stop(parts.restarting[0], pen.minutes(14, 16), pen.minutes(2, 4)),
            pen.stop(parts.restarting[0], pen.minutes(34, 44), pen.minutes(2, 4)),
            pen.stop(parts.restarting[1], pen.minutes(14, 40), pen.minutes(2, 4)),
            *_repairs(wearing),
        ),
        degradations=tuple(wearing),
        silences=(Silence(*parts.silent, pen.at(silence_min), pen.at(silence_min + SILENCE_DUE_MIN)),),
        load_steps=(LoadStep(parts.loaded, pen.at(load_min), pen.at(load_min + pen.minutes(15, 30)), 1.06),),
        reboots=tuple(Reboot(producer, pen.at(pen.minutes(6, 45))) for producer in parts.rebooting),
        spoiled=tuple(Spoiled(pen.at(pen.minutes(2, 50)), reason) for reason in SPOILED),
    )


def _opening_stops(pen: _Pen, parts: Cast, consequence_min: float) -> list[Stop]:
    """The stops of the opening that MES gives a reason for."""
    reasons = [REASONS[i] for i in pen.rng.permutation(len(REASONS))]
    begins = [pen.minutes(3, 4.5), pen.minutes(10, 16), pen.minutes(24, 34), pen.minutes(38, 50)]
    stops = [
        pen.stop(asset, begin, pen.minutes(2, 6), reason)
        for asset, begin, reason in zip(parts.stopping, begins, reasons, strict=False)
    ]
    first_min, lasts_min = pen.minutes(7, 12), pen.minutes(3, 5)
    again_min = first_min + lasts_min + RUNS_AGAIN_MIN + pen.minutes(2, 6)
    return [
        *stops,
        pen.stop(parts.repeating, first_min, lasts_min, reasons[-1]),
        pen.stop(parts.repeating, again_min, pen.minutes(2, 5), reasons[-1]),
        pen.stop(parts.degrading[1], consequence_min, pen.minutes(3, 5), VIBRATION_TRIP),
    ]


def _later(pen: _Pen, parts: Cast, told: Sequence[Chapter], number: int) -> Chapter:
    """An hour like any other: a few stops, now and then a bearing, and what was worn is mended."""
    before = [stop for one in told for stop in one.stops]
    pool = [*parts.stopping, parts.repeating]
    count = int(pen.rng.integers(2, 5))
    stops: list[Stop] = []
    for slot in range(count):
        asset = str(pen.rng.choice(pool))
        begin_min = 5 + (slot + pen.minutes(0, 0.5)) * 45 / count
        stop = pen.stop(asset, begin_min, pen.minutes(2, 6), REASONS[int(pen.rng.integers(len(REASONS)))])
        if _is_free(stop, [*before, *stops]):
            stops.append(stop)
    restart = pen.stop(parts.restarting[number % 2], pen.minutes(10, 50), pen.minutes(2, 4))
    worn = parts.spare + parts.degrading
    wearing = []
    if number % 2:
        rise = float(pen.rng.choice([0.6, 4.2]))
        element = list(Element)[int(pen.rng.integers(3))]
        wearing = [pen.degradation(worn[number // 2 % len(worn)], element, pen.minutes(5, 25), rise)]
    return Chapter(
        stops=(*stops, restart, *_repairs(wearing)),
        degradations=tuple(wearing),
        reboots=(Reboot(parts.rebooting[number % 2], pen.at(pen.minutes(6, 45))),),
    )


def _is_free(stop: Stop, others: Sequence[Stop]) -> bool:
    """Whether the machine has run, and will run, long enough for this stop to be a failure of its own."""
    gap_ns = round((RUNS_AGAIN_MIN + 2) * MINUTE_NS)
    return all(
        stop.asset != other.asset
        or stop.at_ns >= other.running_ns + gap_ns
        or other.at_ns >= stop.running_ns + gap_ns
        for other in others
    )


def _repairs(wearing: Sequence[Degradation]) -> list[Stop]:
    """The planned stops in which worn bearings are replaced: no alarm, only states."""
    return [Stop(bad.asset, bad.mended_ns - MINUTE_NS, bad.mended_ns + 10 * MINUTE_NS) for bad in wearing]
