"""The time that a metric is measured over: a calendar month in the plant's time zone, or the last 30 days."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from andon.rules.repeats import Repeats
from ticketing.monthly import ROLLING_NS, Span, span_of

_MONTHLY = Repeats(period="month")
_NAME = re.compile(r"(?!0000)\d{4}-(0[1-9]|1[0-2])")
ROLLING = "rolling"
"""What the last 30 days are called where a period is named."""


def month_at(at_ns: int, zone: str) -> Span:
    """The month of a moment (UTC, ns) in a time zone.

    >>> month_at(1_772_323_199 * 10**9, "Asia/Shanghai").name
    '2026-03'
    """
    return span_of(at_ns, _MONTHLY, zone)


def months_before(span: Span, number: int, zone: str) -> Sequence[Span]:
    """So many months before that one, the oldest first.

    >>> [one.name for one in months_before(month_at(1_772_323_199 * 10**9, "UTC"), 3, "UTC")]
    ['2025-11', '2025-12', '2026-01']
    """
    found: list[Span] = []
    for _ in range(number):
        span = month_at(span.from_ns - 1, zone)
        found.append(span)
    return found[::-1]


def period_of(name: str, now_ns: int, zone: str) -> Span:
    """The period of that name: "2026-03", "rolling" (the 30 days until now), or "" for the current month.

    ValueError for any other name, and for a month that has not begun.
    """
    if name == ROLLING:
        return Span(None, now_ns - ROLLING_NS, now_ns)
    current = month_at(now_ns, zone)
    if name in {"", current.name}:
        return current
    if not _NAME.fullmatch(name) or name > str(current.name):
        raise ValueError(
            f"there is no period {name!r}: a month like {current.name} that has begun, or {ROLLING}"
        )
    return _named(name, zone)


def _named(name: str, zone: str) -> Span:
    """The month of that name: the one that the middle of it, in UTC, lies in everywhere on Earth."""
    year, month = (int(part) for part in name.split("-"))
    middle = datetime(year, month, 15, tzinfo=UTC)
    return month_at(int(middle.timestamp()) * 10**9, zone)
