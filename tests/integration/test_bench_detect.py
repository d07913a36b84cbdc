"""`andon bench detect`: all goals have their rows, and what is compared with river says what river says."""

from andon.benches import Row, detect, scalars


def test_the_goals_have_their_rows_and_river_agrees() -> None:
    rows = detect.rows(lambda _: None, quick=True)
    assert {row.goal for row in rows} >= {"G3", "G6", "G7"}
    agreement = [
        row for row in rows if "river says another" in row.name or "difference from river" in row.name
    ]
    assert len(agreement) == 3
    assert all(row.met for row in agreement)
    assert all(row.value > 0 for row in rows if row not in agreement)
    assert len({(row.name, row.versus, row.unit) for row in rows}) == len(rows)


def test_a_disagreement_with_river_is_seen() -> None:
    other = scalars._disagreement([True, False], [True, True])
    assert other == 1


def test_a_limit_from_below_is_met_from_above() -> None:
    assert Row("x", 6000, "channels", limit=5000, at_least=True).met
    assert not Row("x", 4000, "channels", limit=5000, at_least=True).met
    assert not Row("x", 6000, "channels", "y", 0.5, limit=0.7, at_least=True).met
