"""The supervisor has the series sealed when it is due, and says when that fails again and again."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from andon import sealing
from andon.config import Series
from andon.sealing import Sealing
from ingest.series import SeriesStore
from ingest.series_order import unsealed
from tests.series_rows import block

START = 1_728_000_000_000_000_000


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "LOOK_EVERY_S", 0.0)


def turn_until(what: Sealing, done: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline_s
        what.turn()
        time.sleep(0.01)


def written(path: Path, count: int) -> SeriesStore:
    store = SeriesStore(path)
    store.write(1, [block([(START + number, "a", 1.0, 0) for number in range(count)])])
    return store


def test_it_is_sealed_once_enough_readings_wait(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    made = Sealing(path, Series(seal_values=100), lambda: START, mirrored=False)
    made.turn()  # before there is anything
    store = written(path, 99)
    for _ in range(5):
        made.turn()
    assert made._process is None
    store.write(2, [block([(START, "b", 1.0, 0)])])
    turn_until(made, lambda: made.report)
    assert (made.report["sealed"], made.failure, unsealed(path)) == (100, "", 0)
    assert len(store.read("M1", "a", 0, 2**62)[0]) == 99
    store.close()


def test_few_readings_are_sealed_after_a_while(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    store = written(path, 1)
    made = Sealing(path, Series(seal_minutes=0.001), lambda: START, mirrored=False)
    turn_until(made, lambda: made.report)
    assert made.report["sealed"] == 1
    store.close()


def test_a_failure_is_told_when_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    store = written(path, 1)
    (tmp_path / "series").write_text("a file where the folder should be")
    made = Sealing(path, Series(seal_values=1), lambda: START, mirrored=False)
    turn_until(made, lambda: made._failed == 2)
    assert made.failure == ""
    turn_until(made, lambda: made.failure)
    assert "FileExistsError" in made.failure
    (tmp_path / "series").unlink()
    turn_until(made, lambda: made.report)
    assert made.failure == ""
    store.close()


def test_stopping_does_not_wait_for_it(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    store = written(path, 10)
    made = Sealing(path, Series(seal_values=1), lambda: START, mirrored=False)
    made.turn()
    assert made._process is not None
    made.stop()
    assert made._process is None
    assert len(store.read("M1", "a", 0, 2**62)[0]) == 10
    store.close()
