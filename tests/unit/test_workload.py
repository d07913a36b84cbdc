"""What the engine tells of its work: turns that took something, and sizes that no turn waits for."""

import threading
from pathlib import Path

import pytest

from andon import workload
from andon.workload import SIZES_EVERY_S, Workload


def test_a_turn_that_took_nothing_is_not_counted(tmp_path: Path) -> None:
    work = Workload(tmp_path)
    outcomes = iter((None, "a batch", None))
    assert [work.timed(outcomes.__next__) for _ in range(3)] == [None, "a batch", None]
    assert work.report(0.0)["turns"] == 1


def test_sizes_are_there_at_once_and_then_looked_at_beside_the_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    work = Workload(tmp_path)
    assert work.report(1.0)["photos_bytes"] == 0
    (tmp_path / "photos" / "one").write_bytes(b"12345")
    free, looked, of = threading.Event(), threading.Event(), workload.sizes

    def slow(data: Path) -> dict[str, object]:
        assert free.wait(60)
        found = of(data)
        looked.set()
        return found

    monkeypatch.setattr(workload, "sizes", slow)
    assert (
        work.report(1.0 + SIZES_EVERY_S)["photos_bytes"] == 0
    )  # and it came back, though the walk has not ended
    assert work.report(1.0 + 3 * SIZES_EVERY_S)["photos_bytes"] == 0
    free.set()
    assert looked.wait(60)
    work._looking.join()
    assert work.report(1.0 + 3 * SIZES_EVERY_S)["photos_bytes"] == 5
