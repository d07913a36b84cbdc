"""Which messages leave now, and which of them together: a rule on what waits for one channel.

What happened to one ticket while its messages waited leaves as one parcel. More than `digest_over` in a minute
become one digest a minute. Critical messages wait for nothing but what was said about their ticket before.
A parcel that was tried stays as it is, so that its key always means the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from andon.events import SECOND_NS

MINUTE_NS = 60 * SECOND_NS
LARGEST = 200
"""Messages in one parcel: so many CloudEvents are about 200 KB."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One message that has not left. `parcel` is the first message of the one that it was tried in."""

    id: int
    lane: tuple[int, str]
    from_ns: int
    critical: bool = False
    parcel: int | None = None


Parcel = tuple[int, ...]
"""The messages that leave together, in their order."""


def parcels(
    waiting: Sequence[Waiting],
    now_ns: int,
    *,
    group: bool = False,
    digest_over: int | None = None,
    sent_ns: Sequence[int] = (),
    digest_ns: int | None = None,
) -> list[Parcel]:
    """What leaves at `now_ns`, in order. `waiting` is by id; `lane` is (ticket, recipient).

    `sent_ns` are the times of the parcels that left in the last minute, `digest_ns` when the last digest did.

    >>> rows = [Waiting(1, (7, ""), from_ns=0), Waiting(2, (7, ""), from_ns=30), Waiting(3, (8, ""), from_ns=30)]
    >>> parcels(rows, 0, group=True), parcels(rows, 0)
    ([(1, 2)], [(1,)])
    """
    tried: dict[int, list[Waiting]] = {}
    lanes: dict[tuple[int, str], list[Waiting]] = {}
    for row in waiting:
        if row.parcel is None:
            lanes.setdefault(row.lane, []).append(row)
        else:
            tried.setdefault(row.parcel, []).append(row)
    held = {row.lane for rows in tried.values() for row in rows}
    again = _again([tried[first] for first in sorted(tried)], now_ns)
    urgent: list[list[Waiting]] = []
    calm: list[list[Waiting]] = []
    for lane, rows in lanes.items():
        if lane not in held:
            critical = any(row.critical for row in rows)
            leaving = _leaving(rows, now_ns, group=group, critical=critical)
            (urgent if critical else calm).extend(leaving)
    if digest_over is not None:
        recent = sum(now_ns - at_ns < MINUTE_NS for at_ns in sent_ns)
        soon = digest_ns is not None and now_ns - digest_ns < MINUTE_NS
        if soon or recent + len(calm) > digest_over:
            calm = [] if soon else _digests(calm)
    return [tuple(row.id for row in rows) for rows in (*urgent, *again, *calm)]


def _again(tried: Sequence[list[Waiting]], now_ns: int) -> list[list[Waiting]]:
    """The tried parcels whose time has come, none before an earlier one about the same ticket."""
    found: list[list[Waiting]] = []
    blocked: set[tuple[int, str]] = set()
    for rows in tried:
        lanes = {row.lane for row in rows}
        if rows[0].from_ns > now_ns or lanes & blocked:
            blocked |= lanes
        else:
            found.append(rows)
    return found


def _leaving(rows: Sequence[Waiting], now_ns: int, *, group: bool, critical: bool) -> list[list[Waiting]]:
    """What of one ticket leaves: grouped, all that waits once one of it is due."""
    due = critical or (group and min(row.from_ns for row in rows) <= now_ns)
    chosen = [row for row in rows if due or row.from_ns <= now_ns]
    if not group:
        return [[row] for row in chosen]
    return [chosen[at : at + LARGEST] for at in range(0, len(chosen), LARGEST)]


def _digests(packed: Sequence[Sequence[Waiting]]) -> list[list[Waiting]]:
    """One digest for each recipient, the oldest messages first."""
    whose: dict[str, list[Waiting]] = {}
    for rows in packed:
        whose.setdefault(rows[0].lane[1], []).extend(rows)
    return [sorted(rows, key=lambda row: row.id)[:LARGEST] for rows in whose.values()]
