"""What the sealing of series is told, and when it is worth it; light, for who only has it done."""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done with the series at `path`: until when, by the clock of the installation, and what is kept."""

    path: str
    now_ns: int
    raw_days: int = 90
    view_days: int = 1825
    mirrored: bool = False


def unsealed(path: Path) -> int:
    """How many readings of the series at `path` wait in the tail to be sealed."""
    with contextlib.closing(sqlite3.connect(path, timeout=1)) as conn:
        (count,) = conn.execute(
            "SELECT coalesce(sum(length(at_ns)) / 8, 0) FROM block, sealed WHERE batch > through"
        ).fetchone()
    return int(count)
