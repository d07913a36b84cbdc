"""`andon bench quality` of scalars: what is planted is found, a word too many is counted, and the goals stand beside it."""

from andon.benches import scalar_quality
from andon.benches.scalar_quality import FAULTS, GOALS, KINDS, Life, Told

LIFE = Life("bearing", "30 min", 1, 36.0)


def test_a_healthy_life_is_not_spoken_of_and_what_is_large_is_found_in_it() -> None:
    told = scalar_quality.told_of(LIFE)
    assert told.false == ()
    assert set(told.after_h) == set(FAULTS)
    found = {name: hours for name, hours in told.after_h.items() if hours is not None}
    assert {"step of 16 sigma", "creep of 1 sigma a day", "stuck"} <= found.keys()
    assert all(hours > 0 for hours in found.values())
    assert found["step of 16 sigma"] < 6 < found["creep of 1 sigma a day"]


def test_a_finding_without_a_fault_is_false_and_a_miss_is_no_find() -> None:
    month = [Life("bearing", "30 min", seed, 44.0) for seed in (1, 2)]
    hours = dict.fromkeys(FAULTS, 3.0)
    told = [Told(month[0], ("drift",), {**hours}), Told(month[1], (), {**hours, "stuck": None})]
    rows = {row.name: row for row in scalar_quality.rows(told)}
    assert (rows["scalars: false findings"].value, rows["scalars: false findings"].met) == (50, False)
    assert rows["scalars: false drift"].value == 50
    assert (rows["scalars: stuck, found"].value, rows["scalars: stuck, found"].met) == (50, False)
    assert (rows["scalars: step of 8 sigma, found"].value, rows["scalars: step of 8 sigma, found"].met) == (
        100,
        True,
    )
    assert rows["scalars: stuck, delay"].value == 3


def test_every_shape_is_lived_at_every_slower_sampling_and_each_kind_has_a_goal() -> None:
    lives = scalar_quality.lives()
    assert len(set(lives)) == len(lives)
    slow = {(one.shape, one.sampling) for one in lives if "min" in one.sampling}
    assert len(slow) == len(scalar_quality.HEALTHY) * 4
    assert {FAULTS[name][0] for name in GOALS} == set(KINDS)
