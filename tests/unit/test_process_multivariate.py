"""Process channels together: rows from readings, a frozen baseline, the channels that carry a change."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from andon.events import SECOND_NS, Action, Finding, Float64, Origin, Readings
from andon.plant import Asset, Point
from detectors import process_methods
from detectors.process_model import learned, settled
from detectors.process_multivariate import Detector
from detectors.process_rows import Rows, taken

T0 = 1_790_000_000 * SECOND_NS
NAMES = ("flow", "pressure", "current", "temperature")
POINTS = tuple(Point(id=name, component="circuit", quantities={"value": "1"}) for name in NAMES)
ASSET = Asset(id="M1", name="", asset_class="pump", path="e/s/a/l/c", points=POINTS)


def make(**parameters: object) -> Detector:
    return Detector(ASSET, Detector.Parameters.model_validate({"learn_rows": 200, **parameters}))


def block(k: int, row: Float64, state: int | None = None) -> Readings:
    """One row of the channels, and the machine's state before it if given; NaN is of no value."""
    names = (*(("state",) if state is not None else ()), *(f"{name}/value" for name in NAMES))
    n = len(names)
    value = np.concatenate([[] if state is None else [float(state)], row])
    at_ns = T0 + k * SECOND_NS
    return Readings(
        asset="M1",
        channels=names,
        units=("1",) * n,
        at_ns=np.full(n, at_ns, np.int64),
        channel=np.arange(n, dtype=np.int32),
        value=value,
        quality=np.zeros(n, np.uint32),
        origin=Origin("plc", k, at_ns),
    )


def healthy(k: int, rng: np.random.Generator) -> Float64:
    """Flow and pressure follow one load; current and temperature their own noise."""
    load = rng.normal()
    return np.array([32 + load, 2 + 0.1 * load, 1.0, 70.0]) + rng.normal(size=4) * [0.3, 0.03, 0.1, 0.2]


def told(
    detector: Detector,
    rows: int,
    fault: Callable[[int], Sequence[float]] = lambda _: (0, 0, 0, 0),
    state: Callable[[int], int | None] = lambda _: None,
) -> list[Finding]:
    rng = np.random.default_rng(3)
    found: list[Finding] = []
    for k in range(rows):
        found += detector.update(block(k, healthy(k, rng) + fault(k), state(k)))
    return found


def test_a_healthy_machine_is_silent() -> None:
    assert told(make(), 2000) == []


def test_a_change_is_raised_once_names_its_channel_and_is_cleared() -> None:
    found = told(make(), 1200, lambda k: (-4.0 if 500 <= k < 800 else 0.0, 0, 0, 0))
    said = [finding for finding in found if finding.action is not Action.UPDATE]
    assert [finding.action for finding in said] == [Action.RAISE, Action.CLEAR]
    raised = said[0]
    assert 500 <= (raised.onset_ns - T0) / SECOND_NS <= 530
    assert raised.text["channels"].split(", ")[0] == "flow/value"
    assert [number.name for number in raised.numbers][:2] == ["distance", "flow/value"]
    assert len(raised.numbers) == 4
    assert raised.evidence["contributions"]["channel"] == [f"{name}/value" for name in NAMES]
    assert raised.component == "circuit"


def test_channels_that_no_longer_follow_one_another_are_seen_inside_their_own_ranges() -> None:
    found = told(make(), 900, lambda k: (0, 0.12 if k >= 500 else 0, 0, 0))
    assert found
    assert "pressure/value" in found[0].text["channels"]


def test_what_a_large_disturbance_leaves_behind_in_other_channels_is_no_news_beside_it() -> None:
    def left(k: int) -> Sequence[float]:
        return (-40 if 500 <= k < 800 else 0, 0, 0.3 if k >= 500 else 0, 0)

    flagged: list[list[bool]] = [[], []]
    for i, recovered in enumerate((0.4, 0.0)):
        detector, rng = make(recovered=recovered), np.random.default_rng(3)
        for k in range(1000):
            detector.update(block(k, healthy(k, rng) + left(k)))
            flagged[i].append(detector.flagged)
    assert all(flagged[0][560:800])
    assert not any(flagged[0][860:])
    assert all(flagged[1][860:])


def test_a_channel_that_wandered_while_it_was_learned_may_wander_further() -> None:
    """Flow is a random walk, learned on its first rows; it goes on for ten times as many."""
    walk = np.cumsum(np.random.default_rng(10).normal(size=2400)) * 0.4
    said = {stray: told(make(stray=stray), 2400, lambda k: (walk[k], 0, 0, 0)) for stray in (0.0, 0.7)}
    assert said[0.0]
    assert said[0.7] == []
    jumped = told(make(), 2400, lambda k: (walk[k] + (60 if k >= 1500 else 0), 0, 0, 0))
    assert (jumped[0].onset_ns - T0) / SECOND_NS == pytest.approx(1500, abs=30)


def test_what_a_stopped_machine_reads_is_neither_learned_nor_judged() -> None:
    def state(k: int) -> int:
        return 2 if 100 <= k < 150 or 400 <= k < 600 else 6

    def fault(k: int) -> Sequence[float]:
        return (-30, -2, -1, 0) if state(k) == 2 else (0, 0, 0, 0)

    assert told(make(), 900, fault, state) == []


def test_a_channel_that_falls_silent_does_not_stop_the_others() -> None:
    gone = float("nan")
    found = told(make(), 900, lambda k: (-4.0 if k >= 500 else 0, 0, 0, gone if k >= 300 else 0))
    assert found[0].text["channels"].split(", ")[0] == "flow/value"


def test_rows_are_put_together_however_their_channels_are_sent() -> None:
    by_time = [(k * 10 + c, c, float(k)) for k in range(40) for c in range(3)]
    by_channel = [
        one
        for first in range(0, 40, 4)
        for one in sorted(by_time[3 * first : 3 * first + 12], key=lambda r: r[1])
    ]
    given = []
    for order in (by_time, by_channel):
        rows = Rows()
        given.append(
            [(at, x.tolist()) for at_ns, c, value in order for at, x in taken(rows, 3, at_ns, c, value)]
        )
    assert given[0] == given[1]
    assert [x for _, x in given[0]] == [[float(k)] * 3 for k in range(40)]


@pytest.mark.parametrize("period_ns", [SECOND_NS, 60 * SECOND_NS])
def test_the_sampling_period_is_found(period_ns: int) -> None:
    rows = Rows()
    for k in range(20):
        list(taken(rows, 2, T0 + k * period_ns + k % 3, 0, 1.0))
    assert abs(rows.period_ns - period_ns) <= 2


@pytest.mark.parametrize("method", ["pca", "covariance", "trees"])
def test_other_methods_find_the_change_too_and_go_on_after_a_snapshot(method: str) -> None:
    def fault(k: int) -> Sequence[float]:
        return (-6.0 if k >= 500 else 0.0, 0, 0, 0)

    whole, first, second = (make(method=method, learn_most_rows=200) for _ in range(3))
    found = told(whole, 700, fault)
    assert found[0].text["channels"].split(", ")[0] in {"flow/value", "pressure/value"}
    rng = np.random.default_rng(3)
    blocks = [block(k, healthy(k, rng) + fault(k)) for k in range(700)]
    said = [finding for one in blocks[:400] for finding in first.update(one)]
    second.restore(first.snapshot())
    assert said + [finding for one in blocks[400:] for finding in second.update(one)] == found


def test_frozen_trees_give_the_scores_of_river() -> None:
    anomaly = pytest.importorskip("river.anomaly")
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(200, 6))
    forest = anomaly.HalfSpaceTrees(n_trees=25, height=6, window_size=200, seed=1)
    for row in process_methods.unit(rows):
        forest.learn_one(dict(enumerate(row.tolist())))
    ours = process_methods.trees(rows)
    for row in rng.normal(size=(50, 6)) * 2:
        theirs = forest.score_one(dict(enumerate(process_methods.unit(row).tolist())))
        assert 1 - process_methods.mass(ours, row) == pytest.approx(theirs, abs=1e-12)


def test_a_machine_that_warms_up_is_learned_from_until_it_has_settled() -> None:
    def warming(k: int) -> Sequence[float]:
        return (0, 0, 0, -20 * np.exp(-k / 150))

    detector = make()
    assert told(detector, 1500, warming) == []
    assert detector.snapshot()["learned_rows"] > 300


def test_a_disturbance_while_learning_does_not_blind_the_detector() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, 2))
    clean = learned(rows, 60)[0].scale[0]
    rows[150:200, 0] += 15
    assert learned(rows, 60)[0].scale[0] < 3 * clean
    assert settled(rows[:120])


def test_a_slow_fault_is_followed_only_so_far() -> None:
    found = told(make(), 6000, lambda k: (0, 0, 0, 0.0004 * max(0, k - 500)))
    assert found[0].text["channels"].split(", ")[0] == "temperature/value"
