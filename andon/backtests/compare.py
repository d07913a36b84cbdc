"""Two variants beside each other: which event is the same, earlier, later or only there, and what is known of each.

Events are matched by asset, component and family, and each side's is used once: those that overlap first. What is
known comes from labels; a ticket that nothing is known of is neither caught nor false.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Literal

from andon.events import HOUR_NS, SECOND_NS, Json, rfc3339
from ticketing.labels import NO_FAULT, Label, What

Verdict = Literal["same", "earlier", "later", "only_active", "only_changed"]
EARLY_NS = HOUR_NS
"""So long before a labelled stretch an event may still belong to it: who marks a fault rarely knows when it began."""


@dataclass(frozen=True, slots=True)
class Told:
    """A finding or a ticket of one variant: from when to when it stood, `to_ns` being the end where it still did."""

    asset: str
    component: str
    family: str
    condition: str
    from_ns: int
    to_ns: int
    name: str = ""

    @property
    def cause(self) -> tuple[str, str, str]:
        """What both variants call it by."""
        return self.asset, self.component, self.family


@dataclass(frozen=True, slots=True)
class Pair:
    """One event of both variants, or of one."""

    active: Told | None
    changed: Told | None

    @property
    def either(self) -> Told:
        """Whichever there is."""
        found = self.active or self.changed
        assert found is not None  # noqa: S101 - a pair has one side at least
        return found

    @property
    def verdict(self) -> Verdict:
        """How the changed variant's stands to the active one's."""
        if self.active is None:
            return "only_changed"
        if self.changed is None:
            return "only_active"
        shift_ns = self.changed.from_ns - self.active.from_ns
        return "same" if shift_ns == 0 else "earlier" if shift_ns < 0 else "later"


def paired(active: Sequence[Told], changed: Sequence[Told]) -> list[Pair]:
    """Every event of both sides, matched where it is the same cause and the times overlap, in order of time.

    >>> one = Told("M1", "bearing_de", "machine_condition", "band_energy", 10, 50)
    >>> [pair.verdict for pair in paired([one], [Told("M1", "bearing_de", "machine_condition", "band_energy", 20, 50)])]
    ['later']
    """
    left: dict[tuple[str, str, str], list[Told]] = {}
    for two in changed:
        left.setdefault(two.cause, []).append(two)
    pairs = []
    for one in sorted(active, key=lambda told: (told.from_ns, told.cause)):
        fits = [two for two in left.get(one.cause, ()) if _overlap(one, two)]
        near = min(fits, key=lambda two: abs(two.from_ns - one.from_ns), default=None)
        if near is not None:
            left[one.cause].remove(near)
        pairs.append(Pair(one, near))
    pairs += [Pair(None, two) for some in left.values() for two in some]
    return sorted(pairs, key=lambda pair: (pair.either.from_ns, pair.either.cause))


def _overlap(one: Told, two: Told) -> bool:
    return one.from_ns <= two.to_ns and two.from_ns <= one.to_ns


def known(told: Told, labels: Sequence[Label]) -> Label | None:
    """What is known of an event: a label of its asset and component in whose time it begins; a fault first."""
    fits = [
        label
        for label in labels
        if label.asset == told.asset
        and label.component in {None, told.component}
        and label.from_ns - (EARLY_NS if label.what is What.FAULT else 0) <= told.from_ns <= label.to_ns
    ]
    return min(fits, key=lambda label: (label.what is not What.FAULT, label.from_ns), default=None)


def caught(label: Label, tickets: Sequence[Told]) -> Told | None:
    """The first ticket that a labelled fault got."""
    fits = [ticket for ticket in tickets if known(ticket, [label]) is not None]
    return min(fits, key=lambda ticket: ticket.from_ns, default=None)


def summary(
    findings: Sequence[Told], tickets: Sequence[Told], rcas: int, labels: Sequence[Label], weeks: float
) -> dict[str, Json]:
    """One variant in numbers. Leads are from the ticket to the end of the labelled fault."""
    faults = [label for label in labels if label.what is What.FAULT]
    firsts = [(fault, caught(fault, tickets)) for fault in faults]
    leads = [(fault.to_ns - first.from_ns) / SECOND_NS for fault, first in firsts if first is not None]
    verdicts = [known(ticket, labels) for ticket in tickets]
    assets = {ticket.asset for ticket in tickets}
    return {
        "findings": len(findings),
        "tickets": len(tickets),
        "rcas": rcas,
        "known_faults": len(faults),
        "caught": len(leads),
        "missed": [_label_row(fault) for fault, first in firsts if first is None],
        "lead_s": {"median": median(leads), "least": min(leads)} if leads else None,
        "false_tickets": sum(label is not None and label.what in NO_FAULT for label in verdicts),
        "unlabelled_tickets": sum(label is None for label in verdicts),
        "assets_with_tickets": len(assets),
        "tickets_per_week": len(tickets) / weeks if weeks else None,
    }


def rows(pairs: Sequence[Pair], labels: Sequence[Label]) -> list[dict[str, Json]]:
    """The pairs as JSON; `shift_s` is how much later the changed variant's begins."""
    found = []
    for pair in pairs:
        both = pair.active is not None and pair.changed is not None
        what = _known_of(pair, labels)
        found.append(
            {
                "asset": pair.either.asset,
                "component": pair.either.component,
                "family": pair.either.family,
                "condition": pair.either.condition,
                "verdict": pair.verdict,
                "active_at": _at(pair.active),
                "changed_at": _at(pair.changed),
                "shift_s": (pair.changed.from_ns - pair.active.from_ns) / SECOND_NS  # type: ignore[union-attr]
                if both
                else None,
                "known": what and str(what.what),
                "said_by": what and (what.ticket or what.by),
            }
        )
    return found


def by_week(active: Sequence[Told], changed: Sequence[Told]) -> list[dict[str, Json]]:
    """Tickets of both by asset and ISO week (UTC)."""
    counts = [Counter((told.asset, _week(told.from_ns)) for told in side) for side in (active, changed)]
    return [
        {"asset": asset, "week": week, "active": counts[0][asset, week], "changed": counts[1][asset, week]}
        for asset, week in sorted(counts[0].keys() | counts[1].keys())
    ]


def label_rows(labels: Sequence[Label]) -> list[dict[str, Json]]:
    """The labels that were counted."""
    return [_label_row(label) for label in labels]


def _known_of(pair: Pair, labels: Sequence[Label]) -> Label | None:
    """What is known of one side is known of the other: they are the same event."""
    sides = [known(told, labels) for told in (pair.active, pair.changed) if told is not None]
    return next((label for label in sides if label is not None), None)


def _label_row(label: Label) -> dict[str, Json]:
    return {
        "asset": label.asset,
        "component": label.component,
        "what": str(label.what),
        "from": rfc3339(label.from_ns),
        "to": rfc3339(label.to_ns),
        "said_by": label.ticket or label.by,
    }


def _at(told: Told | None) -> str | None:
    return None if told is None else rfc3339(told.from_ns)


def _week(at_ns: int) -> str:
    year, week, _ = datetime.fromtimestamp(at_ns // SECOND_NS, UTC).isocalendar()
    return f"{year}-W{week:02}"
