"""A shared story stands still until somebody says go, then runs for every process alike and never steps back."""

import time
from pathlib import Path

from andon.clock import SharedStory, StoryClock
from andon.events import SECOND_NS


def test_a_story_stands_until_go_and_then_runs_at_its_speed(tmp_path: Path) -> None:
    told, heard = SharedStory(tmp_path / "clock.json"), SharedStory(tmp_path / "clock.json")
    told.stand_at(1000 * SECOND_NS)
    assert heard() == told() == 1000 * SECOND_NS
    told.go(1000.0)
    before, began_s = heard(), time.monotonic()
    time.sleep(0.02)
    least_s, ran_s = time.monotonic() - began_s, (heard() - before) / SECOND_NS
    assert ran_s >= 1000 * least_s
    assert told() >= heard() - SECOND_NS


def test_a_told_story_never_steps_back() -> None:
    clock = StoryClock(5)
    clock.advance(9)
    clock.advance(7)
    assert clock() == 9
