"""What kept a beat gets an expected period; what speaks when something changes gets none."""

import pytest

from andon.events import SECOND_NS
from andon.plant import Asset, Plant, Point
from ingest.discover_mqtt import Heard, Minute
from ingest.discover_periods import period_of, with_periods
from ingest.discover_trial import Outcome

PLANT = Plant(
    name="works",
    assets=(
        Asset(
            id="M1",
            name="Press",
            asset_class="press",
            path="e/s/a/L1/c",
            points=(Point(id="DE", component="b"), Point(id="T", component="m", period_s=60)),
        ),
    ),
)


def heard(*seconds: float) -> Heard:
    minute = Minute()
    for second in seconds:
        minute.hear("t", b"1", 10**18 + int(second * SECOND_NS), retained=False)
    return minute.topics["t"]


@pytest.mark.parametrize(
    ("seconds", "period_s"),
    [
        ([0, 1, 2, 3, 4, 5], 1),
        ([0, 9.8, 20.1, 30, 40, 50.2], 15),  # the longest wait was 10.3 s
        ([0, 1, 2, 3], None),  # too few
        ([0, 1, 2, 30, 31, 32], None),  # no beat
        ([0, 700, 1400, 2100, 2800], None),  # longer than any usual period
    ],
)
def test_the_period_is_the_next_longer_usual_one_where_there_is_a_beat(
    seconds: list[float], period_s: float | None
) -> None:
    assert period_of(heard(*seconds)) == period_s


def test_only_points_without_a_period_get_one_and_the_quickest_topic_counts() -> None:
    topics = {"slow": heard(*range(0, 60, 10)), "quick": heard(*range(6)), "odd": heard(0, 1, 2, 30, 31)}
    outcomes = [
        Outcome("slow", "readings", "M1", points=("DE", "T")),
        Outcome("quick", "readings", "M1", points=("DE",)),
        Outcome("odd", "readings", "M1", points=("T",)),
    ]
    points = with_periods(PLANT, outcomes, topics).assets[0].points
    assert [point.period_s for point in points] == [1, 60]
