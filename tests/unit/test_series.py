"""The series store: what is written once is read back in order, thinned for drawing without losing an extreme."""

import math
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.events import Quality
from ingest.series import SeriesStore
from ingest.thinning import thin
from tests.series_rows import block

BAD = int(Quality.BAD)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SeriesStore]:
    made = SeriesStore(tmp_path / "series.sqlite")
    yield made
    made.close()


def read(
    store: SeriesStore, channel: str = "a", from_ns: int = 0, to_ns: int = 2**62
) -> list[tuple[int, float, int]]:
    columns = store.read("M1", channel, from_ns, to_ns)
    return [(int(at), float(value), int(quality)) for at, value, quality in zip(*columns, strict=True)]


def test_a_channel_comes_back_in_time_order_with_its_quality(store: SeriesStore) -> None:
    store.write(1, [block([(30, "a", 3.0, 0), (10, "b", 9.0, 0)]), block([(20, "a", 2.0, BAD)])])
    store.write(2, [block([(25, "a", 2.5, 0)])])
    assert read(store) == [(20, 2.0, BAD), (25, 2.5, 0), (30, 3.0, 0)]
    assert read(store, "b") == [(10, 9.0, 0)]
    assert read(store, "c") == []


def test_both_ends_of_the_range_are_included(store: SeriesStore) -> None:
    store.write(1, [block([(at, "a", float(at), 0) for at in range(10)])])
    assert [at for at, _, _ in read(store, from_ns=3, to_ns=5)] == [3, 4, 5]


def test_writing_a_batch_again_changes_nothing(store: SeriesStore) -> None:
    store.write(1, [block([(10, "a", 1.0, 0)])])
    store.write(2, [block([(20, "a", 2.0, 0)])])
    store.write(1, [block([(10, "a", 1.0, 0)])])
    assert [at for at, _, _ in read(store)] == [10, 20]
    assert store.channels("M1") == [("a", "u", 20, 2.0)]


def test_channels_tell_the_last_value_by_time_not_by_arrival(store: SeriesStore) -> None:
    store.write(1, [block([(30, "a", 3.0, 0), (5, "b", math.nan, BAD)])])
    store.write(2, [block([(20, "a", 2.0, 0)], units="v")])
    assert store.channels("M1")[0] == ("a", "v", 30, 3.0)
    name, _, at_ns, value = store.channels("M1")[1]
    assert (name, at_ns, math.isnan(value)) == ("b", 5, True)
    assert store.channels("M9") == []


def test_nan_and_infinity_come_back_as_they_were(store: SeriesStore) -> None:
    store.write(1, [block([(1, "a", math.nan, BAD), (2, "a", math.inf, BAD)])])
    assert [repr(value) for _, value, _ in read(store)] == ["nan", "inf"]


def test_a_batch_that_cannot_be_written_whole_is_not_written_at_all(store: SeriesStore) -> None:
    wrong = block([(1, "a", 1.0, 0)], asset="M2")
    object.__setattr__(wrong, "channel", np.array([7], np.int32))
    with pytest.raises(IndexError):
        store.write(1, [block([(1, "a", 1.0, 0)]), wrong])
    assert read(store) == []
    store.write(1, [block([(1, "a", 1.0, 0)])])
    assert len(read(store)) == 1


def test_another_process_reads_while_this_one_writes(store: SeriesStore, tmp_path: Path) -> None:
    reader = SeriesStore(tmp_path / "series.sqlite", read_only=True)
    store.write(1, [block([(1, "a", 1.0, 0)])])
    assert len(read(reader)) == 1
    with pytest.raises(sqlite3.OperationalError):
        reader.write(2, [block([(1, "a", 1.0, 0)])])
    reader.close()


def test_what_was_synced_is_in_the_file_itself(store: SeriesStore, tmp_path: Path) -> None:
    """A power cut may take the write-ahead log of a file that was not synced."""
    store.sync()
    for batch, synced in ((1, False), (2, True)):
        store.write(batch, [block([(batch, "a", 1.0, 0)])])
        if synced:
            store.sync()
        left = tmp_path / f"after{batch}.sqlite"
        left.write_bytes((tmp_path / "series.sqlite").read_bytes())
        after = SeriesStore(left)
        assert len(read(after)) == (2 if synced else 0)
        after.close()


def test_a_reader_may_open_before_anything_is_written(tmp_path: Path) -> None:
    reader = SeriesStore(tmp_path / "none.sqlite", read_only=True)
    assert read(reader) == []
    assert reader.channels("M1") == []
    reader.close()


def test_several_threads_may_read_and_write(store: SeriesStore) -> None:
    def work(first: int) -> None:
        for batch in range(first, first + 50):
            store.write(batch, [block([(batch, "a", 1.0, 0)])])
            read(store)

    threads = [threading.Thread(target=work, args=(n * 50,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read(store)) == 150


def test_a_long_channel_is_thinned_to_the_points_asked_for(store: SeriesStore) -> None:
    store.write(1, [block([(at, "a", math.sin(at), 0) for at in range(5000)])])
    at_ns, value, _ = store.read("M1", "a", 0, 5000, points=100)
    assert len(at_ns) <= 100
    assert list(at_ns) == sorted(set(at_ns))
    assert value.max() > 0.99999


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.floats(width=32) | st.integers(-5, 5).map(float), st.sampled_from([0, BAD])),
        max_size=300,
    ),
    st.integers(4, 40),
)
def test_thinning_keeps_the_ends_and_every_extreme(rows: list[tuple[float, int]], points: int) -> None:
    at_ns = np.arange(len(rows), dtype=np.int64)
    value = np.array([value for value, _ in rows], np.float64)
    quality = np.array([quality for _, quality in rows], np.uint32)
    thin_at, thin_value, thin_quality = thin((at_ns, value, quality), points)
    assert len(thin_at) <= max(points, 4)
    assert np.array_equal(value[thin_at], thin_value, equal_nan=True)
    good = (quality == 0) & np.isfinite(value)
    kept = (thin_quality == 0) & np.isfinite(thin_value)
    if good.any():
        assert (value[good].min(), value[good].max()) == (thin_value[kept].min(), thin_value[kept].max())
    if len(rows):
        assert (thin_at[0], thin_at[-1]) == (0, len(rows) - 1)
