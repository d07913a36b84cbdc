"""What DuckDB is asked when segments are written: the same for one file that is split and for many that are merged.

Rows of one channel and moment stay in the order in which they were written: that of the files, then that in the file.
"""

from ingest.series_tail import Kind

_ROWS = "FROM read_parquet(?, file_row_number = true)"
_PART = "WHERE asset IN (SELECT unnest(?::VARCHAR[])) AND {at} BETWEEN ? AND ?"
_RAW = "SELECT asset, channel, at_ns, value, quality {rows} ORDER BY asset, channel, at_ns, file_index, file_row_number"
_VIEW = """
SELECT asset, channel, from_ns, low.at_ns AS low_at_ns, low.value AS low, low.quality AS low_quality,
       high.at_ns AS high_at_ns, high.value AS high, high.quality AS high_quality, total, good, row_count
FROM (
    SELECT asset, channel, from_ns,
           arg_min(struct_pack(at_ns := low_at_ns, value := low, quality := low_quality),
                   row(good = 0, CASE WHEN good > 0 THEN low END, low_at_ns, file_index)) AS low,
           arg_min(struct_pack(at_ns := high_at_ns, value := high, quality := high_quality),
                   row(good = 0, CASE WHEN good > 0 THEN -high END, high_at_ns, file_index)) AS high,
           sum(total) AS total, sum(good)::BIGINT AS good, sum(row_count)::BIGINT AS row_count
    {rows}
    GROUP BY asset, channel, from_ns
)
ORDER BY asset, channel, from_ns
"""


def merged_sql(kind: Kind, *, part: bool) -> str:
    """The rows of a list of files as one; with `part` only of a list of assets, from one time up to another."""
    rows = f"{_ROWS} {_PART.format(at=_time(kind))}" if part else _ROWS
    return (_RAW if kind is Kind.RAW else _VIEW).format(rows=rows)


def partitions_sql(kind: Kind) -> str:
    """Which (asset, period) a list of files has rows of, given the length of a period first."""
    at = _time(kind)
    return f"SELECT DISTINCT asset, ({at} - (({at} % $1) + $1) % $1) // $1 FROM read_parquet($2)"  # noqa: S608


def range_sql(kind: Kind) -> str:
    """How many rows a file has, and from when to when."""
    return f"SELECT count(*), min({_time(kind)}), max({_time(kind)}) FROM read_parquet(?)"  # noqa: S608


def columns_sql() -> str:
    """How a file is written: delta-encoded times, dictionary or byte-split values, zstd."""
    return "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, ROW_GROUP_SIZE 61440"


def _time(kind: Kind) -> str:
    return "at_ns" if kind is Kind.RAW else "from_ns"
