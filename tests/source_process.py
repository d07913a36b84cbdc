"""A source in a process of its own, so that it can be killed: `python -m tests.source_process` and its arguments.

KIND FOLDER PARAMETERS and `honest` or `hasty`: the hasty one acknowledges before it commits, and must be found out.
The disk is slow (20 ms a commit, 500 ms for the hasty one), so that a kill finds something on its way.
"""

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from andon.clock import wall
from andon.ports import Record, SourceContext
from ingest.group_commit import GroupCommit
from ingest.journal import SqliteJournal


class SlowJournal(SqliteJournal):
    """A journal on a slow disk."""

    def __init__(self, folder: Path, slow_s: float) -> None:
        super().__init__(folder, rotate_bytes=300_000)
        self._slow_s = slow_s

    def append(self, records: Sequence[Record]) -> int:
        """Append, slowly."""
        time.sleep(self._slow_s)
        return super().append(records)


def make_hasty() -> None:
    """Acknowledge first, then commit: what must never be."""
    honest = GroupCommit.add

    def hasty(
        self: GroupCommit, records: Sequence[Record], durable: Callable[[], None] | None = None
    ) -> None:
        if durable is not None:
            durable()
        honest(self, records)

    GroupCommit.add = hasty  # type: ignore[method-assign]


async def main(kind: str, folder: str, parameters: str, manner: str) -> None:
    """Run the source until it is killed."""
    if manner == "hasty":
        make_hasty()
    module = importlib.import_module(f"ingest.{kind}")
    checked = module.Parameters.model_validate(json.loads(parameters))
    journal = SlowJournal(Path(folder), 0.5 if manner == "hasty" else 0.02)
    at = SourceContext(
        journal,
        wall,
        asyncio.Event(),
        lambda address: print(address, flush=True),
        lambda _: None,
        Path(folder),
    )
    await module.run(checked, at)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
