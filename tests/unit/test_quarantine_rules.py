"""When a source goes into quarantine, and that only a person lets it out."""

from pathlib import Path

import pytest

from andon.quarantine import Quarantine, is_too_often


@pytest.mark.parametrize(
    ("crashes_s", "yes"),
    [
        ([], False),
        ([990, 1000], False),
        ([980, 990, 1000], True),
        ([701, 850, 1000], True),
        ([700, 850, 1000], False),
        ([100, 200, 300, 1000], False),
    ],
)
def test_three_crashes_within_five_minutes_are_too_many(crashes_s: list[float], yes: bool) -> None:
    assert is_too_often(crashes_s, 1000) is yes


def test_a_source_stays_in_quarantine_over_a_restart_until_it_is_lifted(tmp_path: Path) -> None:
    Quarantine(tmp_path).put("plc", "died")
    again = Quarantine(tmp_path)
    assert (again.names(), again.why("plc"), again.why("floor")) == (["plc"], "died", None)
    assert again.lift("plc")
    assert not again.lift("plc")
    assert again.why("plc") is None


def test_a_damaged_file_keeps_the_source_down(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    quarantine.put("plc", "died")
    (tmp_path / "quarantine" / "plc.json").write_text("{")
    assert quarantine.why("plc") == "its file cannot be read"
