"""Readings in Parquet files, through DuckDB: which columns they have, and how one channel is read out of them.

DuckDB is loaded when the first file is read or written, so that who only writes the tail stays small.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from andon.events import Float64, Int64
from ingest.errors import SegmentGone
from ingest.series_tail import Kind, Segment
from ingest.thinning import Columns

if TYPE_CHECKING:
    import duckdb

Channel = tuple[str, str]
"""The asset and the name of a channel."""
MEMORY = "40MB"
"""What DuckDB may hold; what it sorts beyond that goes to a folder beside the files."""


def folder_of(path: Path) -> Path:
    """The folder of the segments that the manifest at `path` lists."""
    return path.with_suffix("")


def connect(folder: Path) -> "duckdb.DuckDBPyConnection":
    """A DuckDB of one thread and bounded memory that neither fetches nor loads anything from elsewhere."""
    import duckdb  # noqa: PLC0415 - 45 MB that only who needs them pays for

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": "1",
        "temp_directory": str(folder / "sorting"),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    return duckdb.connect(":memory:", config=settings)


class SegmentReader:
    """Reads single channels out of segments in `folder`. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._duck: duckdb.DuckDBPyConnection | None = None

    def raw(self, segments: Sequence[Segment], of: Channel, from_ns: int, to_ns: int) -> Columns:
        """The readings from `from_ns` up to and including `to_ns`, in the order of files, then of time."""
        found = self._ask(
            "SELECT at_ns, value, quality FROM read_parquet(?) "
            "WHERE asset = ? AND channel = ? AND at_ns BETWEEN ? AND ?",
            _chosen(segments, Kind.RAW, from_ns, to_ns),
            (*of, from_ns, to_ns),
        )
        if found is None:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.uint32)
        return found["at_ns"], _with_nan(found["value"]), found["quality"]

    def count(
        self, segments: Sequence[Segment], of: Channel, from_ns: int, to_ns: int
    ) -> tuple[int, int, int]:
        """How many readings the minutes hold that begin in that range, and when the first and last of these begin."""
        found = self._ask(
            "SELECT sum(row_count)::BIGINT n, min(from_ns) first, max(from_ns) last FROM read_parquet(?) "
            "WHERE asset = ? AND channel = ? AND from_ns BETWEEN ? AND ?",
            _chosen(segments, Kind.MINUTE, from_ns, to_ns),
            (*of, from_ns, to_ns),
        )
        if found is None or np.ma.is_masked(found["n"]):
            return 0, to_ns, from_ns
        return int(found["n"][0]), int(found["first"][0]), int(found["last"][0])

    def extremes(
        self, segments: Sequence[Segment], kind: Kind, of: Channel, from_ns: int, to_ns: int
    ) -> Columns:
        """The lowest and highest readings of each stretch that begins in that range, file by file."""
        found = self._ask(
            "SELECT low_at_ns, low, low_quality, high_at_ns, high, high_quality FROM read_parquet(?) "
            "WHERE asset = ? AND channel = ? AND from_ns BETWEEN ? AND ?",
            _chosen(segments, kind, from_ns, to_ns),
            (*of, from_ns, to_ns),
        )
        if found is None:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.uint32)
        return (
            np.stack((found["low_at_ns"], found["high_at_ns"]), axis=1).ravel(),
            np.stack((_with_nan(found["low"]), _with_nan(found["high"])), axis=1).ravel(),
            np.stack((found["low_quality"], found["high_quality"]), axis=1).ravel(),
        )

    def summary(
        self, segments: Sequence[Segment], kind: Kind, of: Channel, from_ns: int, to_ns: int
    ) -> tuple[Int64, Float64, Float64, Float64, Int64]:
        """(from_ns, low, high, total, good) of each stretch that begins in that range, file by file."""
        found = self._ask(
            "SELECT from_ns, low, high, total, good FROM read_parquet(?) "
            "WHERE asset = ? AND channel = ? AND from_ns BETWEEN ? AND ? AND good > 0",
            _chosen(segments, kind, from_ns, to_ns),
            (*of, from_ns, to_ns),
        )
        if found is None:
            none = np.zeros(0)
            return np.zeros(0, np.int64), none, none, none, np.zeros(0, np.int64)
        return found["from_ns"], found["low"], found["high"], found["total"], found["good"]

    def close(self) -> None:
        """Release what DuckDB holds."""
        with self._lock:
            if self._duck is not None:
                self._duck.close()
                self._duck = None

    def _ask(
        self, query: str, files: list[str], values: tuple[object, ...]
    ) -> "dict[str, np.ndarray] | None":
        if not files:
            return None
        with self._lock:
            if self._duck is None:
                self._duck = connect(self._folder)
                self._duck.execute("SET parquet_metadata_cache = true")  # a file never changes
            asking = self._duck.cursor()
        from duckdb import IOException  # noqa: PLC0415 - see connect

        try:
            paths = [str(self._folder / file) for file in files]
            return asking.execute(query, [paths, *values]).fetchnumpy()
        except IOException as error:
            raise SegmentGone(self._folder, str(error)) from error
        finally:
            asking.close()


def _chosen(segments: Sequence[Segment], kind: Kind, from_ns: int, to_ns: int) -> list[str]:
    return [
        segment.file
        for segment in segments
        if segment.kind == kind and segment.to_ns >= from_ns and segment.from_ns <= to_ns
    ]


def _with_nan(column: "np.ndarray") -> Float64:
    """A column of numbers: what is no number stands in the file as NULL."""
    return np.ma.filled(column, np.nan)
