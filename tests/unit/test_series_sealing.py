"""Sealing, merging and forgetting: what is read stays the same, whatever has become a file, and whenever it was killed."""

import contextlib
import json
import math
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Quality
from ingest import series, series_sealing
from ingest.series import SeriesStore
from ingest.series_order import Order
from ingest.series_sealing import seal
from ingest.series_tail import DAY_NS, Kind
from tests.series_rows import Row, block

ROOT = Path(__file__).parents[2]
BAD, UNCERTAIN = int(Quality.BAD), int(Quality.UNCERTAIN)
START = 20_000 * DAY_NS
Read = list[tuple[int, str, int]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "series.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SeriesStore]:
    with contextlib.closing(SeriesStore(path)) as made:
        yield made


def order(
    path: Path, *, now_ns: int = START, raw_days: int = 90, view_days: int = 1825, mirrored: bool = False
) -> Order:
    return Order(str(path), now_ns, raw_days, view_days, mirrored)


def read(
    store: SeriesStore, channel: str = "a", first: int = 0, last: int = 2**62, points: int = 10**9
) -> Read:
    columns = store.read("M1", channel, first, last, points)
    return [(int(at), repr(float(value)), int(q)) for at, value, q in zip(*columns, strict=True)]


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.with_suffix("").glob("*.parquet"))


def in_tail(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as conn:
        return int(conn.execute("SELECT count(*) FROM block").fetchone()[0])


def second(number: int, value: float | None = None) -> Row:
    return START + number * SECOND_NS, "a", float(number) if value is None else value, 0


moments = st.integers(-50, 400) | st.sampled_from([-4000, 90_000])
values = st.sampled_from([1.0, 2.0, 2.0, -7.5, 0.0, math.nan, math.inf, 1e300])
rows = st.tuples(moments, st.sampled_from("ab"), values, st.sampled_from([0, 0, 0, UNCERTAIN, BAD]))
writes = st.lists(rows, min_size=1, max_size=12)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.one_of(writes, writes, st.just("seal")), min_size=1, max_size=8),
    st.tuples(moments, moments),
    st.sampled_from([2, 20, 100_000]),
    st.sampled_from([3, 5, 10**9]),
)
def test_what_is_read_does_not_depend_on_what_is_sealed_or_merged(
    steps: list[list[Row] | str], between: tuple[int, int], raw_rows: int, points: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as closing:
        patch.setattr(series, "RAW_ROWS", raw_rows)
        patch.setattr(series_sealing, "FRESH_MOST", 2)
        patch.setattr(series_sealing, "MERGE_AT", 2)
        patch.setattr(series_sealing, "PORTION", 20)
        patch.setattr(series_sealing, "GRACE_NS", 0)
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        sealed, plain = SeriesStore(folder / "sealed.sqlite"), SeriesStore(folder / "plain.sqlite")
        closing.callback(sealed.close)
        closing.callback(plain.close)
        batch = 0
        for what in steps:
            if isinstance(what, str):
                seal(order(folder / "sealed.sqlite"))
                continue
            batch += 1
            made = block([(START + at * SECOND_NS, *rest) for at, *rest in what])  # type: ignore[misc]
            for each in (sealed, plain):
                each.write(batch, [made, block([second(batch)], asset="M2")])
        seal(order(folder / "sealed.sqlite"))
        first, last = (START + moment * SECOND_NS for moment in sorted(between))
        for channel in "ab":
            for ends in ((0, 2**62), (first, last), (first + 1, last - 1)):
                assert read(sealed, channel, *ends, points) == read(plain, channel, *ends, points)
            for kind in (Kind.MINUTE, Kind.HOUR):
                _same_summary(sealed, plain, channel, kind)


def _same_summary(one: SeriesStore, other: SeriesStore, channel: str, kind: Kind) -> None:
    here, there = (each.summary("M1", channel, 0, START + 100 * DAY_NS, kind) for each in (one, other))
    for column in ("from_ns", "low", "high", "count"):
        assert np.array_equal(getattr(here, column), getattr(there, column)), column
    assert np.allclose(here.mean, there.mean, rtol=1e-12)


def test_a_long_range_is_drawn_from_minutes_with_its_ends_exact(
    store: SeriesStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "RAW_ROWS", 50)
    generator = np.random.default_rng(3)
    sent = [second(number, float(generator.normal())) for number in range(1200)]
    store.write(1, [block(sent)])
    seal(order(path))
    first, last = START + 90 * SECOND_NS, START + 1110 * SECOND_NS
    drawn = store.read("M1", "a", first, last, points=10**6)
    wanted = [(at, value) for at, _, value, _ in sent if first <= at <= last]
    assert drawn[0][0] == first
    assert drawn[0][-1] == last
    assert len(drawn[0]) < 110
    for minute in range(START + 2 * MINUTE_NS, START + 18 * MINUTE_NS, MINUTE_NS):
        here = [value for at, value in wanted if minute <= at < minute + MINUTE_NS]
        kept = drawn[1][(drawn[0] >= minute) & (drawn[0] < minute + MINUTE_NS)]
        assert (kept.min(), kept.max()) == (min(here), max(here))


def test_a_batch_that_is_written_again_after_it_was_sealed_changes_nothing(
    store: SeriesStore, path: Path
) -> None:
    for batch in (1, 2):
        store.write(batch, [block([second(batch)])])
    seal(order(path))
    before = read(store)
    for batch in (1, 2):
        store.write(batch, [block([second(batch)])])
    store.write(3, [block([second(3)])])
    assert len(before) == 2
    assert read(store) == [*before, *read(store)[2:]]
    assert len(read(store)) == 3


def test_a_late_reading_takes_its_place_among_the_sealed_ones(store: SeriesStore, path: Path) -> None:
    store.write(1, [block([second(10), second(30)])])
    seal(order(path))
    store.write(2, [block([second(20)])])
    assert [value for _, value, _ in read(store)] == ["10.0", "20.0", "30.0"]
    seal(order(path))
    assert [value for _, value, _ in read(store)] == ["10.0", "20.0", "30.0"]


def test_many_seals_leave_few_files(store: SeriesStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_sealing, "GRACE_NS", 0)
    for batch in range(30):
        rows = [second(batch * 7200 + number) for number in range(5)]
        store.write(batch + 1, [block(rows), block(rows, asset="M2"), block(rows, asset="M3")])
        seal(order(path))
    raw = [name for name in files(path) if name.startswith("raw")]
    assert len(raw) <= 3 * 4 + series_sealing.FRESH_MOST  # three days, four buckets
    assert len(read(store)) == 150


def test_what_is_sealed_leaves_the_tail(store: SeriesStore, path: Path) -> None:
    for batch in range(700):
        store.write(batch + 1, [block([second(batch)])])
    assert seal(order(path))["sealed"] == 700
    assert in_tail(path) == 0
    assert len(read(store)) == 700


def test_a_file_holds_a_few_bytes_for_each_reading(store: SeriesStore, path: Path) -> None:
    generator = np.random.default_rng(1)
    for channel in range(4):
        level = np.round(generator.normal(50, 1, 20_000), 2)
        store.write(
            channel + 1, [block([(second(n)[0], f"c{channel}", float(level[n]), 0) for n in range(20_000)])]
        )
    report = seal(order(path))
    assert report["bytes"] / report["readings"] < 4


def test_readings_go_after_their_days_and_their_minutes_stay(
    store: SeriesStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_sealing, "FRESH_MOST", 1)
    monkeypatch.setattr(series_sealing, "GRACE_NS", 0)
    store.write(1, [block([second(number) for number in range(600)])])
    store.write(2, [block([second(86_400 * 40)])])
    seal(order(path, now_ns=START + 40 * DAY_NS, raw_days=30))
    left = read(store, last=START + DAY_NS)
    assert [value for _, value, _ in left][:4] == ["0.0", "59.0", "60.0", "119.0"]
    assert len(left) == 20
    inside = read(store, first=START + 5 * SECOND_NS, last=START + 130 * SECOND_NS)
    assert [value for _, value, _ in inside] == ["59.0", "60.0", "119.0", "120.0"]
    summary = store.summary("M1", "a", START, START + DAY_NS, Kind.MINUTE)
    assert (list(summary.count), summary.mean[0], summary.low[1], summary.high[1]) == (
        [60] * 10,
        29.5,
        60,
        119,
    )
    seal(order(path, now_ns=START + 500 * DAY_NS, raw_days=30, view_days=60))
    assert read(store) == []
    assert files(path) == []


STEPS = ["written", "renamed", "committed", "trimmed"]


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("occurrence", [1, 2, 7])
def test_a_kill_anywhere_leaves_each_reading_exactly_once(path: Path, name: str, occurrence: int) -> None:
    with contextlib.closing(SeriesStore(path)) as store:
        for batch in range(1, 901):
            store.write(batch, [block([second(batch)])])
        before = read(store)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(START), name, str(occurrence)],
            cwd=ROOT,
            check=False,
        )
        assert killed.returncode in (0, -signal.SIGKILL)
        assert read(store) == before
        for batch in range(890, 902):  # the engine recovers and repeats
            store.write(batch, [block([second(batch)])])
        assert [value for _, value, _ in read(store)] == [f"{batch}.0" for batch in range(1, 902)]
        seal(order(path))
        assert [value for _, value, _ in read(store)] == [f"{batch}.0" for batch in range(1, 902)]
    with contextlib.closing(sqlite3.connect(path)) as conn:
        known = conn.execute("SELECT file FROM segment UNION SELECT file FROM retired").fetchall()
    assert files(path) == sorted(file for (file,) in known)
    assert list(path.with_suffix("").glob("*.partial")) == []


KILLED = """
import os, signal, sys
from ingest import series_order, series_sealing
series_sealing.PORTION, series_sealing.FRESH_MOST, series_sealing.MERGE_AT = 300, 2, 2
series_sealing.TRIM_BLOCKS = 100
left = int(sys.argv[4])
def step(name):
    global left
    left -= name == sys.argv[3]
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
series_sealing.seal(series_order.Order(sys.argv[1], int(sys.argv[2])), step)
"""


def test_the_kills_hit_every_step(path: Path) -> None:
    with contextlib.closing(SeriesStore(path)) as store:
        for batch in range(1, 901):
            store.write(batch, [block([second(batch)])])
    for name in STEPS:
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(START), name, "1"], cwd=ROOT, check=False
        )
        assert killed.returncode == -signal.SIGKILL, name


def test_deleting_the_tail_before_the_manifest_names_the_file_would_lose_readings(path: Path) -> None:
    """The naive way, to see that the kill tests would notice."""
    with contextlib.closing(SeriesStore(path)) as store:
        store.write(1, [block([second(1)])])
        with contextlib.closing(sqlite3.connect(path)) as conn, conn:
            conn.execute("DELETE FROM block")
        assert read(store) == []


def test_a_reader_with_an_older_list_asks_again_when_a_file_is_gone(store: SeriesStore, path: Path) -> None:
    store.write(1, [block([second(1)])])
    seal(order(path))
    looked = store._files._ask
    merged = threading.Event()

    def ask(query: str, names: list[str], values: tuple[object, ...]) -> "dict[str, np.ndarray] | None":
        if not merged.is_set():
            merged.set()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(series_sealing, "FRESH_MOST", 1)
                patch.setattr(series_sealing, "GRACE_NS", 0)
                seal(order(path))
        return looked(query, names, values)

    store._files._ask = ask  # type: ignore[method-assign]
    assert [value for _, value, _ in read(store)] == ["1.0"]
    assert merged.is_set()


def test_a_file_that_was_merged_stays_a_while_for_those_who_read_it(
    store: SeriesStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_sealing, "FRESH_MOST", 1)
    store.write(1, [block([second(1)])])
    seal(order(path))
    assert len(files(path)) == 6
    monkeypatch.setattr(series_sealing, "GRACE_NS", 0)
    seal(order(path))
    assert len(files(path)) == 3


def test_files_of_another_manifest_are_left_alone(store: SeriesStore, path: Path) -> None:
    store.write(1, [block([second(1)])])
    seal(order(path))
    kept = files(path)
    store.close()
    for name in ("", "-wal", "-shm"):
        Path(f"{path}{name}").unlink(missing_ok=True)
    with contextlib.closing(SeriesStore(path)) as fresh:
        fresh.write(1, [block([second(2)])])
        seal(order(path))
    assert set(kept) < set(files(path))


def test_two_sealers_do_not_work_on_the_same_series(store: SeriesStore, path: Path) -> None:
    store.write(1, [block([second(1)])])
    inner: list[dict[str, int]] = []
    seal(order(path), lambda _name: inner.append(seal(order(path))))
    assert inner
    assert not any(inner)


def test_the_engine_writes_and_people_read_while_it_is_sealed(store: SeriesStore, path: Path) -> None:
    done = threading.Event()

    def sealing() -> None:
        while not done.is_set():
            seal(order(path))

    thread = threading.Thread(target=sealing)
    thread.start()
    try:
        for batch in range(1, 200):
            store.write(batch, [block([second(batch)])])
            if batch % 20 == 0:
                assert len(read(store)) == batch
    finally:
        done.set()
        thread.join()


def test_the_process_prints_its_report(store: SeriesStore, path: Path) -> None:
    store.write(1, [block([second(1)])])
    said = subprocess.run(
        [sys.executable, "-m", "ingest.series_sealing", json.dumps({"path": str(path), "now_ns": START})],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert json.loads(said)["sealed"] == 1
    assert len(read(store)) == 1


def test_any_other_program_can_read_a_file(store: SeriesStore, path: Path) -> None:
    store.write(1, [block([(START, "DE/velocity_rms", 2.5, 0)], asset="L1-SPN-01")])
    seal(order(path))
    (name,) = [name for name in files(path) if name.startswith("raw")]
    assert duckdb.read_parquet(str(path.with_suffix("") / name)).fetchall() == [
        ("L1-SPN-01", "DE/velocity_rms", START, 2.5, 0)
    ]


def test_a_day_begins_at_midnight_utc() -> None:
    assert Kind.RAW.period_ns == 24 * HOUR_NS
