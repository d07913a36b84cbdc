"""Three of one cause in a month ask for an improvement task: what is of one kind, and what is counted together (4.5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from andon.events import SECOND_NS
from andon.rules.repeats import Repeats

UNKNOWN = frozenset({"5.0", "5.1", "5.5"})
"""Classes that name no cause: no task can end them, but too many of them are told."""

ROLLING_NS = 30 * 86_400 * SECOND_NS


@dataclass(frozen=True, slots=True)
class NamedCause:
    """The root cause of a ticket that is resolved or closed, with what it befell; `resolved_ns` is its last repair."""

    ticket: int
    cause: str
    model: str
    component: str
    resolved_ns: int


@dataclass(frozen=True, slots=True)
class Span:
    """The time in which causes are counted together: from `from_ns` on, before `to_ns`. A month has a name."""

    name: str | None
    from_ns: int
    to_ns: int


def key_of(one: NamedCause, rules: Repeats) -> str:
    """What makes two causes one kind.

    >>> key_of(NamedCause(1, "6.1", "V8000", "DE", 0), Repeats())
    '6.1/V8000'
    """
    beside = {"code": (), "code_model": (one.model,), "code_component": (one.component,)}
    return "/".join((one.cause, *beside[rules.cause_key]))


def span_of(at_ns: int, rules: Repeats, zone: str) -> Span:
    """The calendar month of that moment in the plant's time zone; or the 30 days on both sides of it.

    >>> span_of(1_772_323_199 * 10**9, Repeats(), "UTC").name, span_of(1_772_323_199 * 10**9, Repeats(), "Asia/Shanghai").name
    ('2026-02', '2026-03')
    """
    if rules.period == "rolling_30_d":
        return Span(None, at_ns - ROLLING_NS + 1, at_ns + ROLLING_NS)
    local = datetime.fromtimestamp(at_ns // SECOND_NS, ZoneInfo(zone))
    first = datetime(local.year, local.month, 1, tzinfo=ZoneInfo(zone))
    after = datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=ZoneInfo(zone))
    return Span(f"{local:%Y-%m}", _ns(first), _ns(after))


def together(times_ns: Sequence[int], rules: Repeats, zone: str) -> int:
    """How many of these repairs were counted together at the most: in one month, or within 30 days."""
    if rules.period == "rolling_30_d":
        return max((sum(t - ROLLING_NS < other <= t for other in times_ns) for t in times_ns), default=0)
    months = [span_of(t, rules, zone).name for t in times_ns]
    return max((months.count(month) for month in months), default=0)


def counted(of_key: Sequence[NamedCause], at_ns: int, rules: Repeats, zone: str) -> Sequence[NamedCause]:
    """Those that count together with one repaired at `at_ns`: enough of them are a task's ground. Oldest first."""
    span = span_of(at_ns, rules, zone)
    near = sorted(
        (one for one in of_key if span.from_ns <= one.resolved_ns < span.to_ns),
        key=lambda one: (one.resolved_ns, one.ticket),
    )
    if rules.period == "month":
        return near
    ends = [one.resolved_ns for one in near if one.resolved_ns >= at_ns]
    windows = [[one for one in near if end - ROLLING_NS < one.resolved_ns <= end] for end in ends]
    full = {one.ticket for window in windows if len(window) >= rules.improvement_at for one in window}
    return [one for one in near if one.ticket in full]


def unknown_share(causes: Sequence[str]) -> float:
    """The share of causes that name none; 0 of none."""
    return sum(cause in UNKNOWN for cause in causes) / len(causes) if causes else 0.0


def _ns(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp()) * SECOND_NS
