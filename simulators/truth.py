"""What was planted, and whether the tickets found it: each cause exactly one, and nothing besides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from andon.events import MINUTE_NS, Family, Json, rfc3339

Expects = Literal["ticket", "rca", "joins"]
EARLY_NS = MINUTE_NS  # a detector may date the beginning of a fault a little before it was planted


@dataclass(frozen=True, slots=True)
class Planted:
    """One thing that was planted, and what has to come of it by `due_ns`.

    `expects` is "ticket" (one of its own), "rca" (a problem record on the asset) or "joins" (an open ticket takes
    it in, so that it has none of its own).
    """

    id: str
    asset: str
    component: str
    family: Family
    condition: str
    onset_ns: int
    due_ns: int
    expects: Expects

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two occurrences one cause: asset, component, family."""
        return self.asset, self.component, self.family.value


def compare(
    tickets: Sequence[Mapping[str, Json]],
    planted: Sequence[Planted],
    end_ns: int,
    problems: Sequence[Mapping[str, Json]] | None = None,
) -> dict[str, Json]:
    """How the tickets stand to what was planted: `{"planted", "found", "missed", "false"}`.

    A ticket is a mapping with `asset`, `component`, `family` and `opened_ns` (event time); a problem has `asset`
    and `opened_ns`. Only what was due by `end_ns` counts as planted. Found means one ticket, opened by then and not
    before the onset; a second one for the same cause, one that should have joined another and one that nothing
    was planted for are false. Problems are judged only if given, and their lateness not: later failures join them.
    """
    counted = [p for p in planted if p.expects == "ticket" or (p.expects == "rca" and problems is not None)]
    free = sorted(
        [("ticket", _key(t), int(t["opened_ns"])) for t in tickets]
        + [("rca", (str(p["asset"]),), int(p["opened_ns"])) for p in problems or ()],
        key=lambda one: one[2],
    )
    found, missed = 0, []
    for fault in sorted(counted, key=lambda p: p.onset_ns):
        key = fault.key if fault.expects == "ticket" else (fault.asset,)
        match = next(
            (o for o in free if o[:2] == (fault.expects, key) and o[2] >= fault.onset_ns - EARLY_NS), None
        )
        if match is not None:
            free.remove(match)
        if fault.due_ns > end_ns:
            continue
        if match is not None and (fault.expects == "rca" or match[2] <= fault.due_ns):
            found += 1
        else:
            missed.append(_missed(fault, match))
    due = sum(fault.due_ns <= end_ns for fault in counted)
    return {"planted": due, "found": found, "missed": missed, "false": [_false(o, planted) for o in free]}


def _key(ticket: Mapping[str, Json]) -> tuple[str, ...]:
    return str(ticket["asset"]), str(ticket["component"]), str(ticket["family"])


def _missed(fault: Planted, late: tuple[str, tuple[str, ...], int] | None) -> dict[str, Json]:
    why = f"no {fault.expects}" if late is None else f"{(late[2] - fault.due_ns) / MINUTE_NS:.1f} min late"
    return {
        "id": fault.id,
        "expects": fault.expects,
        "asset": fault.asset,
        "component": fault.component,
        "family": fault.family.value,
        "condition": fault.condition,
        "onset": rfc3339(fault.onset_ns),
        "due": rfc3339(fault.due_ns),
        "why": why,
    }


def _false(one: tuple[str, tuple[str, ...], int], planted: Sequence[Planted]) -> dict[str, Json]:
    kind, key, opened_ns = one
    alike = [
        p for p in planted if (p.key if kind == "ticket" else (p.asset,)) == key and p.onset_ns <= opened_ns
    ]
    expected = {p.expects for p in alike}
    if kind in expected:
        why = f"a second {kind} for one cause"
    elif "joins" in expected and kind == "ticket":
        why = "should have joined the open ticket"
    else:
        why = "nothing was planted for it"
    names = dict(zip(("asset", "component", "family"), key, strict=False))
    return {"is": kind, **names, "opened": rfc3339(opened_ns), "why": why}
