"""Shares and what stands out: against published intervals, counting all ways by hand, and laws of many comparisons."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from andon.rules.quality import Quality
from ticketing.quality.shares import Counted, contrasts, holm, share

RULES = Quality()
chance = st.floats(0, 1)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons_as_newcombe_printed_it_in_1998(count, of, low, high):
    found = share(count, of)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def ways_by_hand(here: Counted, others: Counted) -> float:
    """Fisher's test, counted: of all ways to draw, those with at least as many."""
    together, whole = here.count + others.count, here.of + others.of
    some = range(here.count, min(here.of, together) + 1)
    return sum(comb(together, k) * comb(whole - together, here.of - k) for k in some) / comb(whole, here.of)


groups = st.integers(1, 40).flatmap(lambda of: st.builds(Counted, st.integers(0, of), st.just(of)))


@given(groups, groups)
def test_the_chance_of_a_share_is_that_of_all_ways_to_draw_it(here, others):
    (found,) = contrasts([(here, others)], RULES)
    assert found.p == pytest.approx(ways_by_hand(here, others), rel=1e-9)


def test_what_was_watched_longer_is_not_blamed_for_more_failures():
    young, old = Counted(6, 10, exposure=100.0), Counted(24, 40, exposure=400.0)
    assert contrasts([(young, old)], RULES)[0].verdict == "not_much_more"
    young = Counted(16, 20, exposure=100.0)
    (found,) = contrasts([(young, old)], RULES)
    by_hand = sum(comb(40, k) * 0.2**k * 0.8 ** (40 - k) for k in range(16, 41))
    assert found.p == pytest.approx(by_hand, rel=1e-9)
    assert found.stands_out


def test_41_of_100_beside_12_percent_is_a_finding_and_2_of_5_is_none():
    of_v8000, of_few = contrasts(
        [(Counted(41, 100), Counted(60, 500)), (Counted(2, 5), Counted(60, 500))], RULES
    )
    assert of_v8000.stands_out
    assert of_v8000.here.value == 0.41
    assert (of_few.verdict, of_few.here.value) == ("too_few", 0.4)
    assert contrasts([(Counted(9, 9), Counted(0, 0))], RULES)[0].verdict == "no_others"
    assert contrasts([(Counted(6, 100), Counted(60, 500))], RULES)[0].verdict == "not_much_more"


def test_one_of_many_looks_is_no_finding_where_alone_it_would_be():
    suspect = Counted(10, 20), Counted(20, 80)
    assert contrasts([suspect], RULES)[0].stands_out
    among = contrasts([suspect, *[(Counted(5, 20), Counted(25, 100))] * 5], RULES)
    assert (among[0].verdict, among[0].p) == ("chance", pytest.approx(6 * ways_by_hand(*suspect)))


@given(st.lists(st.none() | chance, max_size=8))
def test_adjusted_chances_keep_their_order_and_are_never_smaller(chances):
    adjusted = holm(chances)
    assert [one is None for one in adjusted] == [one is None for one in chances]
    pairs = sorted((p, q) for p, q in zip(chances, adjusted, strict=True) if p is not None and q is not None)
    assert all(p <= q <= 1 for p, q in pairs)
    assert [q for _, q in pairs] == sorted(q for _, q in pairs)
    if pairs:
        assert pairs[0][1] == min(1.0, pairs[0][0] * len(pairs))
