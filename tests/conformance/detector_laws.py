"""The laws of detectors, each a function that a detector class passes or fails, and the stream they are tried on."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from andon.events import (
    HOUR_NS,
    SECOND_NS,
    Action,
    Declaration,
    Declared,
    Event,
    Finding,
    Gap,
    Origin,
    PackMLState,
    Quality,
    Readings,
    StopAlarm,
    Tick,
    Waveform,
)
from andon.plant import Asset, Point
from andon.ports import Detector, State
from detectors.features import features_of
from detectors.state import size_bytes
from tests.vibration import BEARING, PERIOD_NS, SPEED_HZ, T0, Shaking, samples, waveform

Make = Callable[[], Detector]
BLOCKS, FAULT, LOUD, QUIET, BACK = 240, 125, 150, 205, 218
CHANGED, HALF_LOAD = 3, range(80, 84)
WEEK_NS = 7 * 24 * HOUR_NS
POINTS = (
    Point(id="NDE", component="bearing_nde", kind="waveform", bearing=BEARING),
    Point(id="DE", component="bearing_de", kind="waveform", period_s=10, bearing=BEARING, speed_hz=SPEED_HZ),
    Point(id="VEL", component="bearing_nde", period_s=10, quantities={"velocity_rms": "mm/s"}),
    *(Point(id=f"L{i}", component=f"roll_{i}", quantities={"mean_abs": "g"}) for i in range(4)),
    Point(id="SLOW", component="oil", quantities={"temperature": "Cel"}),
    Point(id="CLK", component="gateway", period_s=10, quantities={"voltage": "V"}),
)
ASSET = Asset(id="M1", name="M1", asset_class="pump", path="e/s/a/l/c", power_kw=75, points=POINTS)


def scalars(k: int, velocity: float, state: int = 6, *, asset: str = "M1", rows: int = 3) -> Readings:
    """One message of an asset: its state and some rows of velocity and temperature, received at once."""
    channels, units = ("state", "VEL/velocity_rms", "VEL/temperature"), ("1", "mm/s", "Cel")
    at_ns = T0 + k * PERIOD_NS + np.arange(rows) * (2 * SECOND_NS)
    value = np.concatenate([[state], np.full(rows, velocity), np.full(rows, 40.0)])
    return Readings(
        asset=asset,
        channels=channels,
        units=units,
        at_ns=np.concatenate([at_ns[:1], at_ns, at_ns]).astype(np.int64),
        channel=np.array([0] + [1] * rows + [2] * rows, np.int32),
        value=value,
        quality=np.zeros(value.size, np.uint32),
        origin=Origin("plc", k, T0 + k * PERIOD_NS + SECOND_NS),
    )


def alike(k: int, worn: float) -> Readings:
    """Four like points in one message; the last one wears."""
    level = (
        0.1 * np.exp(0.01 * np.random.default_rng([k, 11]).standard_normal(4)) * np.array([1, 1, 1, 1 + worn])
    )
    channels, at_ns = tuple(f"L{i}/mean_abs" for i in range(4)), np.full(4, T0 + k * PERIOD_NS)
    origin = Origin("plc", k, T0 + k * PERIOD_NS + SECOND_NS)
    index, good = np.arange(4, dtype=np.int32), np.zeros(4, np.uint32)
    return Readings("M1", channels, ("g",) * 4, at_ns, index, level, good, origin)


def gateway(k: int, *, healthy: bool) -> Readings:
    """What a gateway says of itself; its stamps lose their rhythm, and its clock falls behind by 20 s."""
    loose_s = 0 if healthy or not 100 <= k < 190 else 4 * (k % 2)
    at_ns = np.array([T0 + k * PERIOD_NS + loose_s * SECOND_NS], np.int64)
    behind_ns = 0 if healthy or not 130 <= k < 200 else 20 * SECOND_NS
    origin = Origin("gateway", k, int(at_ns[0]) + SECOND_NS // 5 + behind_ns)
    index, good = np.zeros(1, np.int32), np.zeros(1, np.uint32)
    return Readings("M1", ("CLK/voltage",), ("V",), at_ns, index, np.array([24.0]), good, origin)


def slow(k: int, *, healthy: bool) -> Readings:
    """Four hours of a temperature, told ahead of the rest of the story: forty days in which all goes wrong in turn."""
    rng = np.random.default_rng([k, 13])
    days = k / 6 + np.arange(8) / 48
    value = 40 + 3 * np.sin(2 * np.pi * days) + rng.normal(0, 0.3, 8)
    if not healthy:
        value[0] += 30 * (15 <= days[0] < 16)  # spikes
        value += (18.5 <= days[0] < 20.5) * rng.normal(0, 2.0, 8)  # spreads
        value += np.where(days < 30, 0.5 * np.maximum(0, days - 21), 0)  # creeps
        value += np.where((days >= 32) & (days < 34), 6.0, 0)  # steps
        value = np.where((days >= 35) & (days < 38), 41.5, value)  # stands still
    at_ns = (T0 + days * 86_400 * SECOND_NS).astype(np.int64)
    origin, index, good = Origin("plc", k, int(at_ns[-1])), np.zeros(8, np.int32), np.zeros(8, np.uint32)
    return Readings("M1", ("SLOW/temperature",), ("Cel",), at_ns, index, value, good, origin)


def nuisance(k: int) -> Iterator[StopAlarm]:
    """A minor stop and its end, four seconds later."""
    for active, at_s in ((True, 3), (False, 7)):
        alarm = stop(k, active=active, reason="E9", severity=400)
        yield replace(alarm, at_ns=alarm.at_ns + at_s * SECOND_NS)


def stop(k: int, *, active: bool, asset: str = "M1", reason: str = "E7", severity: int = 700) -> StopAlarm:
    at_ns = T0 + k * PERIOD_NS
    state = PackMLState.STOPPED if active else PackMLState.RESETTING
    origin = Origin("mes", k, at_ns)
    return StopAlarm(asset, at_ns, state, reason, 7, "Guard open", "safety", active, severity, origin)


def tick(k: int) -> Tick:
    at_ns = T0 + k * PERIOD_NS + 2 * SECOND_NS
    return Tick(at_ns, Origin("clock", k, at_ns))


def gap(k: int, to_k: int | None, asset: str | None = None, source: str = "plc") -> Gap:
    to_ns = None if to_k is None else T0 + to_k * PERIOD_NS
    origin = Origin(source, k, T0 + k * PERIOD_NS)
    return Gap(source, asset, None, T0 + k * PERIOD_NS, to_ns, "source_silent", False, origin)


def broken(k: int) -> tuple[Readings, Waveform]:
    """A block of a sensor whose cable is off."""
    block = waveform(np.zeros(4096, np.float32), k, point="NDE")
    return features_of(block, POINTS[0]), block


def loaded(k: int, percent: float) -> Readings:
    """The load of the drive end's shaft, told a little before block k."""
    at_ns, origin = np.array([T0 + k * PERIOD_NS - SECOND_NS]), Origin("drive", k, T0 + k * PERIOD_NS)
    index, good = np.zeros(1, np.int32), np.zeros(1, np.uint32)
    return Readings("M1", ("DE/load",), ("%",), at_ns, index, np.array([percent]), good, origin)


def declared(at_ns: int, what: Declared, *, asset: str = "M1", component: str | None = None) -> Declaration:
    origin = Origin("engine", at_ns % 997, at_ns)
    return Declaration(at_ns, asset, component, what, "li.wei", "as agreed", None, origin)


def shaken(
    rng: np.random.Generator, k: int, impact_g: float, asset: str = "M1", shaft_g: float = 0.02
) -> tuple[Readings, Waveform]:
    """A waveform with its features, as the pipeline gives them."""
    block = waveform(samples(rng, Shaking(impact_g=impact_g, shaft_g=shaft_g)), k, asset=asset)
    return features_of(block, POINTS[1]), block


def story(*, healthy: bool = False, blocks: int = BLOCKS) -> list[Event]:
    """Forty minutes of a machine: it stops once, wears, grows loud and out of balance, falls silent and comes back.

    At first a change is declared; twice it runs a little while at half its load.
    """
    rng = np.random.default_rng(5)
    events: list[Event] = []
    for k in range(blocks):
        if k == CHANGED:
            events.append(declared(T0 + k * PERIOD_NS - 1, Declared.OPERATING_CHANGE))
        if k % 100 in {0, HALF_LOAD.start, HALF_LOAD.stop}:
            events.append(loaded(k, 45.0 if k % 100 in HALF_LOAD else 90.0))
        worn = 0.0 if healthy else min(1.5, max(0.0, 0.05 * (k - FAULT)))
        silent = not healthy and QUIET <= k < BACK
        if not healthy and k in {60, 66}:
            events.append(stop(k, active=k == 60))
        events += shaken(rng, k, worn, shaft_g=0.02 if healthy or k < LOUD else 0.12)
        if not silent:
            events.append(scalars(k, 1.1 if healthy or k < LOUD else 3.4))
            events.append(alike(k, worn / 3))
        if not healthy and 100 <= k < 200:
            events += broken(k)
        events.append(gateway(k, healthy=healthy))
        events.append(slow(k, healthy=healthy))
        if not healthy and (60 < k < 66 or (k > 180 and k % 5 == 0)):
            events += nuisance(k)
        events.append(tick(k))
    if not healthy:
        events.insert(30, gap(9, 10))
    return events


def run(detector: Detector, events: Sequence[Event]) -> list[Finding]:
    return [finding for event in events for finding in detector.update(event)]


def is_deterministic(make: Make, events: Sequence[Event]) -> None:
    assert run(make(), events) == run(make(), events)


def splits_do_not_matter(make: Make, events: Sequence[Event]) -> None:
    """Blocks cut into single rows, or into pieces at random, give the same findings and the same state."""
    rng = np.random.default_rng(1)
    whole = make()
    expected = run(whole, events)
    for most in (1, 4):
        cut = make()
        pieces = [piece for event in events for piece in cut_up(event, rng, most)]
        assert run(cut, pieces) == expected
        assert same(cut.snapshot(), whole.snapshot())


def cut_up(event: Event, rng: np.random.Generator, most: int) -> Iterator[Event]:
    if not isinstance(event, Readings):
        yield event
        return
    at, end = 0, event.at_ns.size
    while at < end:
        upto = at + int(rng.integers(1, most + 1))
        yield replace(
            event,
            at_ns=event.at_ns[at:upto],
            channel=event.channel[at:upto],
            value=event.value[at:upto],
            quality=event.quality[at:upto],
        )
        at = upto


def goes_on_after_a_snapshot(make: Make, events: Sequence[Event]) -> None:
    """Snapshot in mid-stream, through npz and JSON, into a fresh detector: the rest is the same, bit for bit."""
    whole = make()
    expected = run(whole, events)
    for cut in np.random.default_rng(2).integers(1, len(events), 6).tolist():
        first, second = make(), make()
        before = run(first, events[:cut])
        kept = through_files(first.snapshot())
        run(first, events[cut : cut + 50])  # what goes on must not touch the snapshot
        second.restore(kept)
        assert before + run(second, events[cut:]) == expected
        assert same(second.snapshot(), whole.snapshot())


def through_files(state: State) -> State:
    """The snapshot written as arrays and JSON, and read again."""
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        read = {name: loaded[name] for name in arrays}
    rest = {name: value for name, value in state.items() if name not in arrays}
    return {**read, **json.loads(json.dumps(rest, allow_nan=False))}


def same(one: State, other: State) -> bool:
    def equal(a: object, b: object) -> bool:
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        return type(a) is type(b) and a == b

    return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)


def minds_its_own_asset(make: Make, events: Sequence[Event]) -> None:
    """What other assets do in between, faults and stops and gaps, changes nothing."""
    rng = np.random.default_rng(3)
    mixed: list[Event] = []
    for i, event in enumerate(events):
        mixed.append(event)
        if i % 7 == 0:
            mixed += shaken(rng, i // 4, 3.0, asset="M2")
            mixed.append(scalars(i // 4, 9.0, state=2, asset="M2"))
            mixed.append(stop(i // 4, active=i % 2 == 0, asset="M2"))
            mixed.append(gap(i // 4, None, asset="M2"))
            mixed.append(declared(T0, Declared.REPAIR, asset="M2"))
            mixed.append(declared(T0, Declared.MAINTENANCE_BEGINS, asset="M2"))
    assert run(make(), mixed) == run(make(), events)


def takes_late_data_in_its_stride(make: Make, events: Sequence[Event]) -> None:
    """Readings and blocks that are repeated, or older than the point's last, are not judged."""
    held: list[Event] = []
    disturbed: list[Event] = []
    for event in events:
        disturbed.append(event)
        if isinstance(event, Readings | Waveform):
            held = [*held, event][-12:]
            disturbed += [
                replace(old, origin=event.origin) for old in held[::3] if of_one(old) == of_one(event)
            ]
            disturbed.append(event)
    assert run(make(), disturbed) == run(make(), events)


def of_one(event: Readings | Waveform) -> tuple[str, ...]:
    return event.channels if isinstance(event, Readings) else (event.point,)


def is_quiet_on_a_healthy_machine(make: Make, events: Sequence[Event]) -> None:
    assert run(make(), story(healthy=True)) == []


def hostile(k: int) -> list[Event]:
    """What must never stop a detector, at block `k` of the story."""
    good, origin = scalars(k, 1.1), Origin("x", k, T0)
    none = {"at_ns": np.zeros(0, np.int64), "channel": np.zeros(0, np.int32)}
    empty = replace(good, **none, value=np.zeros(0), quality=np.zeros(0, np.uint32))
    wild = np.array([np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 0.0])
    bad = np.full(good.at_ns.size, Quality.BAD, np.uint32)
    noise = np.random.default_rng(k).normal(size=4096).astype(np.float32)
    blocks = [
        noise[:0],
        noise[:1],
        noise[:300],
        noise * 1e30,
        noise * 0,
        noise.clip(-0.5, 0.5),
        noise * np.nan,
    ]
    blocks += [noise.reshape(-1, 2), noise.reshape(-1, 1)[:, :0]]
    shaken = [waveform(x, k) for x in blocks] + [
        waveform(noise, k, rate_hz=rate, speed_hz=speed, unit=unit)
        for rate, speed, unit in (
            (1e3, 1.0, "g"),
            (np.nan, 25.0, "g"),
            (12800.0, 0.0, "g"),
            (12800.0, 1e9, "g"),
            (12800.0, 1e-9, "g"),
            (12800.0, np.nan, "g"),
            (12800.0, 25.0, "furlong"),
        )
    ]
    shaken += [replace(block, point="NDE") for block in shaken]
    features = [features_of(block, POINTS[1]) for block in shaken]
    return [
        *shaken,
        *features,
        empty,
        replace(empty, channels=(), units=()),
        replace(good, value=wild),
        replace(good, value=wild[::-1].copy()),
        replace(good, quality=bad),
        replace(good, units=("", "", "")),
        replace(good, channels=("state", "DE/velocity_rms", "nowhere/at/all")),
        replace(good, at_ns=good.at_ns[::-1].copy()),
        replace(good, at_ns=np.zeros_like(good.at_ns)),
        *(
            replace(features[2], value=np.full(features[2].value.size, x), quality=features[2].quality * 0)
            for x in wild
        ),
        Tick(T0 - SECOND_NS, origin),
        Tick(0, origin),
        gap(k, None),
        gap(k, 0),
        gap(k, k + 1, source="sensor"),
        Gap("x", "M1", "DE", T0, None, "", True, origin),
        replace(stop(k, active=True), at_ns=0),
        declared(0, Declared.REPAIR, component="no such component"),
        declared(T0 + k * PERIOD_NS, Declared.MAINTENANCE_ENDS),
        loaded(k, 0.0),
        loaded(k, 1e308),
        loaded(k, -1.0),
        stop(k, active=False, reason=""),
        stop(k, active=False, reason="never raised"),
    ]


def survives_anything(make: Make, events: Sequence[Event]) -> None:
    """Empty, NaN, absurd, late and disordered events neither raise nor leave a state that cannot be kept."""
    rng = np.random.default_rng(4)
    detector = make()
    for k in range(0, 40, 2):
        for event in (*events[4 * k : 4 * k + 8], *rng.permutation(np.array(hostile(k), dtype=object))):
            for finding in detector.update(event):
                json.dumps([finding.evidence, [n.value for n in finding.numbers]], allow_nan=False)
    through_files(detector.snapshot())


def keeps_its_state_small(make: Make, events: Sequence[Event]) -> None:
    """192 KB for all these points or what the kind allows itself per channel, whatever came, a thousand stops too."""
    detector = make()
    run(detector, events)
    for i in range(1000):
        detector.update(stop(i, active=i % 3 == 0, reason=f"reason {i}"))
        detector.update(declared(T0 + i, Declared.REPAIR, component=f"component {i}"))
        detector.update(loaded(1000 + i, float(i)))
        detector.update(replace(scalars(1000 + i, 1.0), channels=("state", f"P{i}/velocity_rms", f"Q{i}/x")))
    allowed = getattr(detector, "channel_bytes", 0) * sum(len(point.quantities) for point in POINTS)
    assert size_bytes(detector.snapshot()) <= max(192 * 1024, allowed)


def speaks_in_whole_sentences(make: Make, events: Sequence[Event]) -> None:
    """Ids are unique; an episode is raised once, updated, and cleared at most once; evidence can be drawn."""
    findings = run(make(), events)
    ids = [finding.id for finding in findings]
    assert len(set(ids)) == len(ids)
    standing: dict[str, int] = {}
    for finding in findings:
        episode = finding.id.split("-")[0]
        if finding.action is Action.RAISE:
            assert episode not in standing
            standing[episode] = finding.onset_ns
        assert standing[episode] == finding.onset_ns <= finding.at_ns
        if finding.action is Action.CLEAR:
            standing[episode] = -1
        assert finding.asset == "M1"
        assert finding.condition
        assert 1 <= finding.severity <= 1000
        assert 0 <= finding.confidence <= 1
        unsourced = [one.name for one in finding.numbers if one.limit is not None and not one.limit_source]
        assert not unsourced, f"{finding.condition} gives limits without their source: {unsourced}"
        json.dumps([finding.evidence, finding.text, [n.value for n in finding.numbers]], allow_nan=False)
        can_be_drawn(finding)


def can_be_drawn(finding: Finding) -> None:
    trend = finding.evidence.get("trend")
    if trend is not None:
        assert 0 < len(trend["value"]) == len(trend["at_ns"]) <= 240
        assert trend["at_ns"] == sorted(trend["at_ns"])
    for part in ("spectrum", "envelope"):
        shape = finding.evidence.get(part)
        if shape is not None:
            assert 0 < len(shape["value"]) <= 800
            end_hz = shape["dx_hz"] * len(shape["value"])
            assert all(0 < marker["hz"] <= end_hz for marker in shape["markers"])


def a_declaration_relearns(make: Make, events: Sequence[Event]) -> None:
    """What is judged by a baseline is cleared by a declaration, and found again against what is learned after it."""
    detector = make()
    for event in events:
        raised = [f for f in detector.update(event) if f.action is Action.RAISE and "baseline" in f.evidence]
        if raised:
            break
    else:
        return
    at_ns = max(finding.at_ns for finding in raised) + 1
    said = detector.update(declared(at_ns, Declared.REPAIR))
    assert {f.id.split("-")[0] for f in raised} <= {f.id.split("-")[0] for f in said}
    assert {f.action for f in said} == {Action.CLEAR}
    assert {f.text["declared"] for f in said} == {Declared.REPAIR.value}
    by_ns = ((at_ns - T0) // WEEK_NS + 1) * WEEK_NS  # so that days and weeks look as they did
    again = [later(event, by_ns) for event in story() if not isinstance(event, Declaration)]
    found = {finding.subject: finding for finding in map(Learned.of, run(detector, again)) if finding}
    for finding in filter(None, map(Learned.of, raised)):
        assert found[finding.subject].version == finding.version + 1
        assert found[finding.subject].from_ns >= at_ns


@dataclass(frozen=True)
class Learned:
    """Which baseline a finding was raised against."""

    subject: tuple[str, str]
    version: int
    from_ns: int

    @classmethod
    def of(cls, finding: Finding) -> "Learned | None":
        baseline = finding.evidence.get("baseline")
        if finding.action is not Action.RAISE or baseline is None:
            return None
        assert baseline["from_ns"] <= baseline["to_ns"] <= finding.at_ns
        assert baseline["blocks"] > 0
        return cls((finding.component, finding.condition), baseline["version"], baseline["from_ns"])


def later(event: Event, by_ns: int) -> Event:
    """The same event at a later time."""
    if isinstance(event, Gap):
        to_ns = None if event.to_ns is None else event.to_ns + by_ns
        return replace(event, from_ns=event.from_ns + by_ns, to_ns=to_ns)
    return replace(event, at_ns=event.at_ns + by_ns)


def finds_what_is_planted(make: Make, events: Sequence[Event]) -> None:
    """The stream has something for every kind: without it the other laws would hold of silence."""
    assert Action.RAISE in {finding.action for finding in run(make(), events)}


@dataclass(frozen=True)
class Law:
    """A law by name."""

    name: str
    check: Callable[[Make, Sequence[Event]], None]


LAWS = [
    Law(check.__name__, check)
    for check in (
        is_deterministic,
        splits_do_not_matter,
        goes_on_after_a_snapshot,
        minds_its_own_asset,
        takes_late_data_in_its_stride,
        is_quiet_on_a_healthy_machine,
        survives_anything,
        keeps_its_state_small,
        speaks_in_whole_sentences,
        a_declaration_relearns,
        finds_what_is_planted,
    )
]
