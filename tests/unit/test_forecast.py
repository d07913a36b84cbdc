"""When a trend reaches its limit: how often the interval holds the truth, and when it is not foretold."""

from collections.abc import Callable

import numpy as np
import pytest

from andon.events import MINUTE_NS, Float64
from detectors.forecast import CONFIDENCE, forecast

LIMIT, STEP_NS = 8.0, 10 * MINUTE_NS
Growth = Callable[[np.random.Generator, Float64], Float64]


def exponential(rng: np.random.Generator, t: Float64) -> Float64:
    return np.exp(rng.uniform(1, 2) * t)


def linear(rng: np.random.Generator, t: Float64) -> Float64:
    return 1 + rng.uniform(2, 6) * t


def wandering(rng: np.random.Generator, t: Float64) -> Float64:
    return np.exp(1.5 * t + np.cumsum(rng.normal(0, 0.03, t.size)))


@pytest.mark.parametrize(("growth", "least"), [(exponential, 0.9), (linear, 0.9), (wandering, CONFIDENCE)])
def test_the_interval_holds_the_truth_as_often_as_it_says(growth: Growth, least: float) -> None:
    held: list[bool] = []
    for seed in range(100):
        rng = np.random.default_rng([seed, 3])
        n = int(rng.integers(150, 500))
        value = growth(rng, np.arange(4 * n) / n) * np.exp(rng.normal(0, 0.05, 4 * n))
        reached = np.flatnonzero(np.convolve(value, np.ones(5) / 5, "same") >= LIMIT)
        for share in (0.4, 0.6, 0.8):
            seen = int((reached[0] if reached.size else n) * share)
            at = forecast(np.arange(seen) * STEP_NS, value[:seen], LIMIT)["at_ns"]
            if at != "unknown":
                truth_ns = int(reached[0]) * STEP_NS if reached.size else 10**30
                held.append(at["low"] <= truth_ns <= at["high"])
    assert len(held) > 150
    assert sum(held) / len(held) >= least


def test_a_straight_line_without_noise_is_met_exactly() -> None:
    hours = np.arange(100)
    at = forecast(hours * 6 * STEP_NS, 1 + hours / 50, 4.0)["at_ns"]
    assert at["high"] == pytest.approx(150 * 6 * STEP_NS, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.linspace(1, 2, 20), "too few values since it began"),
        (np.full(100, 2.0), "no clear rise"),
        (np.linspace(3, 1, 100), "no clear rise"),
        (np.linspace(1, 9, 100), "the limit has been reached"),
        (np.linspace(1, 1.2, 100), "too far ahead for what was seen so far"),
        (np.where(np.arange(120) < 60, 1 + np.arange(120) / 60, 2 + np.arange(120) / 1e3), "uneven"),
        (np.zeros(100), "values that are not above 0"),
        (np.full(100, np.nan), "values that are not above 0"),
    ],
)
def test_it_says_when_it_does_not_know_and_why(value: Float64, said: str) -> None:
    found = forecast(np.arange(value.size) * STEP_NS, value, LIMIT)
    assert found["at_ns"] == "unknown"
    assert said in found["reason"]


def test_times_that_stand_still_are_no_trend() -> None:
    assert (
        forecast(np.zeros(50, np.int64), np.linspace(1, 2, 50), LIMIT)["reason"] == "times that do not rise"
    )
