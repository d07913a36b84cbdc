"""Whether a source's journal is as it was written, taken without hole or overlap, and what became of it adds up."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from andon.engine import OWN
from andon.events import Json
from andon.history import Recorded
from andon.taking import walk
from ingest.journal import SqliteJournal

Advance = Callable[[int], None]
_ENDS = ("stored", "duplicates", "ignored", "overflow")


@dataclass(slots=True)
class Soundness:
    """What was found of one source; each problem is a sentence."""

    records: int = 0
    corrupt: list[tuple[int, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Json]:
        """The same as JSON; `corrupt` holds the runs as [first, after]."""
        return {
            "records": self.records,
            "corrupt": [list(run) for run in self.corrupt],
            "problems": self.problems,
        }


def verify(
    source: str,
    journal: SqliteJournal,
    order: Sequence[Recorded],
    *,
    taken: int,
    counts: Mapping[str, int],
    advance: Advance,
) -> Soundness:
    """Read every record with its checksum, the batches that took them, and the counters of what became of them.

    `taken` is the position that the engine stands at; `advance` is told how many records have been read.
    """
    found = Soundness()
    for first, records, lost in walk(journal, journal.start(), journal.end()):
        found.records += len(records)
        if lost:
            found.corrupt.append((first, first + lost))
            found.problems.append(f"records {first} to {first + lost - 1} are not as they were written")
        advance(len(records) + lost)
    if journal.end() < taken:
        found.problems.append(
            f"it ends at {journal.end()}, and was taken up to {taken}: what lay between is gone"
        )
    found.problems += _holes(source, order, taken)
    if source != OWN:
        found.problems += _imbalance(taken, counts)
    return found


def _holes(source: str, order: Sequence[Recorded], taken: int) -> list[str]:
    """Where the batches of that source do not follow one another."""
    problems = []
    expected: int | None = None
    for batch in order:
        for part in batch.taken:
            if part.source != source:
                continue
            if expected is not None and part.first != expected:
                what = "again" if part.first < expected else "and left out what stands before"
                problems.append(f"batch {batch.number} took {part.first} {what}: {expected} was next")
            expected = part.after
    if expected is not None and expected != taken:
        problems.append(f"the last batch ends at {expected}, the store says {taken}")
    return problems


def _imbalance(taken: int, counts: Mapping[str, int]) -> list[str]:
    """What does not add up: every record taken is a message, a gap or a notice, and every message ended somewhere."""
    numbers = Counter(counts)
    refused = sum(value for name, value in numbers.items() if name.startswith("refused."))
    ended = sum(numbers[name] for name in _ENDS) + refused
    problems = []
    if numbers["received"] != ended:
        problems.append(f"{numbers['received']} messages were received, and {ended} ended somewhere")
    journaled = numbers["received"] - numbers["overflow"] + numbers["gap_records"] + numbers["notice_records"]
    if journaled != taken:
        problems.append(f"{taken} records were taken, and {journaled} are accounted for")
    return problems
