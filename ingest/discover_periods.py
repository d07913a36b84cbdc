"""How often each measuring point is to be expected, from how regularly its topics spoke."""

from collections.abc import Iterable, Mapping

from andon.events import SECOND_NS
from andon.plant import Plant
from ingest.discover_mqtt import Heard
from ingest.discover_trial import Outcome

LEAST = 5
"""Messages of a topic that can be called regular."""
REGULAR = 2.0
"""The longest time between two messages, as a multiple of the mean, up to which a topic is regular."""
PERIODS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600)


def with_periods(plant: Plant, outcomes: Iterable[Outcome], topics: Mapping[str, Heard]) -> Plant:
    """The plant with an expected period for each point that spoke regularly and has none yet.

    A point without one is never called silent: so only what kept a beat gets one. A topic that speaks when
    something changes has none.
    """
    found: dict[tuple[str, str], float] = {}
    for outcome in outcomes:
        period_s = period_of(topics[outcome.topic]) if outcome.topic in topics else None
        if period_s is not None:
            for point in outcome.points:
                place = (outcome.asset, point)
                found[place] = min(period_s, found.get(place, period_s))
    assets = [
        asset.model_copy(
            update={
                "points": tuple(
                    point.model_copy(update={"period_s": point.period_s or found.get((asset.id, point.id))})
                    for point in asset.points
                )
            }
        )
        for asset in plant.assets
    ]
    return plant.model_copy(update={"assets": tuple(assets)})


def period_of(heard: Heard) -> float | None:
    """The next longer usual period, in seconds; None if the topic keeps no beat.

    >>> period_of(Heard(count=31, longest_ns=2_100_000_000, spoke_ns=(1, 60_000_000_001)))
    5
    >>> period_of(Heard(count=31, longest_ns=20_000_000_000, spoke_ns=(1, 60_000_000_001)))
    """
    if heard.count < LEAST:
        return None
    mean_ns = (heard.spoke_ns[1] - heard.spoke_ns[0]) / (heard.count - 1)
    if heard.longest_ns > REGULAR * mean_ns:
        return None
    return next((usual for usual in PERIODS_S if usual * SECOND_NS >= heard.longest_ns), None)
