"""Freshness per point: fresh, stale or never seen, by the server's clock and the open gaps."""

import pytest

from andon.database import reading, writing
from andon.events import SECOND_NS, Gap, Origin
from andon.plant import Asset, Plant, Point
from ingest import freshness
from ingest.freshness import Freshness, Heard, State
from tests.stores import Stores

PLANT = Plant(
    name="works",
    assets=(
        Asset(
            id="M1",
            name="Press",
            asset_class="press",
            path="e/s/a/L1/c",
            points=(
                Point(id="DE", component="bearing", period_s=10),
                Point(id="T", component="motor", period_s=60),
                Point(id="count", component="counter"),
            ),
        ),
    ),
)
NOW_NS = 10_000 * SECOND_NS


def at(seconds_ago: float, source: str = "floor") -> Heard:
    return Heard(NOW_NS - int(seconds_ago * SECOND_NS), source)


def gap(seconds_ago: float, cause: str, asset: str | None = None, point: str | None = None) -> Gap:
    from_ns = NOW_NS - int(seconds_ago * SECOND_NS)
    return Gap("floor", asset, point, from_ns, None, cause, False, Origin("floor", 1, from_ns))


def judged(point: str, *gaps: Gap, **known: Heard) -> Freshness:
    found = freshness.judge(PLANT, {("M1", name): one for name, one in known.items()}, gaps, NOW_NS)
    return next(one for one in found if one.point == point)


def test_a_point_that_nobody_heard_is_never_seen() -> None:
    assert judged("DE").state is State.NEVER_SEEN


@pytest.mark.parametrize(
    ("point", "seconds_ago", "state"),
    [
        ("DE", 29, State.FRESH),  # three periods, and at the least 30 s
        ("DE", 31, State.STALE),
        ("T", 179, State.FRESH),
        ("T", 181, State.STALE),
        ("count", 9_000, State.FRESH),  # nobody said how often it speaks
    ],
)
def test_a_point_is_stale_after_three_of_its_periods(point: str, seconds_ago: float, state: State) -> None:
    found = judged(point, **{point: at(seconds_ago)})
    assert (found.state, found.why) == (state, "silent" if state is State.STALE else "")


def test_an_open_gap_of_its_source_makes_a_point_stale_and_gives_the_cause() -> None:
    found = judged("count", gap(20, "connection"), count=at(25))
    assert (found.state, found.why) == (State.STALE, "connection")


def test_an_open_gap_of_another_source_or_point_says_nothing_of_this_one() -> None:
    assert judged("count", gap(20, "connection"), count=at(25, "other")).state is State.FRESH
    assert judged("count", gap(20, "connection", "M1", "DE"), count=at(25)).state is State.FRESH


def test_a_point_that_spoke_after_the_gap_opened_is_fresh() -> None:
    assert judged("DE", gap(20, "connection"), DE=at(5)).state is State.FRESH


def test_what_was_heard_is_kept_and_replaced(stores: Stores) -> None:
    database = stores.open()
    with writing(database) as conn:
        freshness.save(conn, {("M1", "DE"): (1, "floor"), ("M1", "T"): (2, "floor")})
        freshness.save(conn, {("M1", "DE"): (5, "other")})
        freshness.save(conn, {})
    with reading(database) as conn:
        assert freshness.heard(conn) == {
            ("M1", "DE"): Heard(5, "other"),
            ("M1", "T"): Heard(2, "floor"),
        }
