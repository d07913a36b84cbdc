"""What came of a back-test as JSON: `docs/backtest.md` says what each part is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from andon.backtests import compare
from andon.backtests.compare import Told
from andon.backtests.run import Progress, Result, Variant, raised, told
from andon.config import ConfigError
from andon.detector_sets import ChangeSet, differences
from andon.events import HOUR_NS, Json, rfc3339
from ticketing.labels import Label

WEEK_NS = 7 * 24 * HOUR_NS


def backtest(
    data: Path,
    change: ChangeSet,
    *,
    assets: Sequence[str] = (),
    from_ns: int | None = None,
    to_ns: int | None = None,
    progress: Progress = lambda _done, _all: None,
) -> dict[str, Json]:
    """Tell the history of a data directory with that change beside the active set; see `told` for what is refused."""
    with told(data, change, assets=assets, to_ns=to_ns, progress=progress) as result:
        return _facts(result, change, from_ns, to_ns)


def _facts(result: Result, change: ChangeSet, from_ns: int | None, to_ns: int | None) -> dict[str, Json]:
    reach = result.reach
    since_ns = reach.told_ns if from_ns is None else max(from_ns, reach.told_ns)
    until_ns = reach.end_ns if to_ns is None else min(to_ns, reach.end_ns)
    if since_ns > until_ns:
        kept = f"from {rfc3339(reach.told_ns)} to {rfc3339(reach.end_ns)}"
        raise ConfigError(f"nothing is kept of that time: the history goes {kept}")
    sides = [_Side(result, variant, since_ns, until_ns) for variant in result.variants]
    active, changed = sides[:2]
    labels = [one for one in result.labels if since_ns <= one.to_ns and one.from_ns <= until_ns]
    weeks = (until_ns - since_ns) / WEEK_NS
    before, after = result.variants[0].plant, result.variants[1].plant
    facts = {
        "note": change.note,
        "change": change.model_dump(mode="json", by_alias=True, exclude_defaults=True)["change"],
        "set_version": before.detector_set.version,
        "detectors": [
            {"asset": d.asset, "kind": d.kind, "before": d.before, "after": d.after}
            for d in differences(before, after)
            if d.asset in reach.assets
        ],
        "assets": list(reach.assets),
        "from": rfc3339(since_ns),
        "to": rfc3339(until_ns),
        "warm_up": {
            "from": rfc3339(reach.told_ns),
            "hours": (since_ns - reach.told_ns) / HOUR_NS,
            "journal_from": rfc3339(reach.journal_ns),
            "from_series_hours": (reach.journal_ns - reach.told_ns) / HOUR_NS,
            "not_judged_in_series": list(reach.silent),
        },
    }
    for name, side in (("active", active), ("changed", changed)):
        facts[name] = side.summary(labels, weeks)
    facts["tickets"] = compare.rows(compare.paired(active.tickets, changed.tickets), labels)
    facts["findings"] = compare.rows(compare.paired(active.findings, changed.findings), labels)
    facts["by_week"] = compare.by_week(active.tickets, changed.tickets)
    facts["labels"] = compare.label_rows(labels)
    swept = [side for side in sides[2:] if side.variant.value is not None]
    facts["sweep"] = {
        "parameter": change.sweep[0] if change.sweep else None,
        "values": [{"value": side.variant.value, **side.summary(labels, weeks)} for side in swept],
    }
    return facts


class _Side:
    """One variant's events in the time that is compared."""

    def __init__(self, result: Result, variant: Variant, since_ns: int, until_ns: int) -> None:
        self.variant = variant
        self._result = result
        end_ns = result.reach.end_ns
        findings = [
            Told(f.asset, f.component, str(f.family), f.condition, f.at_ns, clear_ns, f.id)
            for f, clear_ns in raised(variant.findings, end_ns)
        ]
        tickets = [
            Told(
                asset=ticket.asset,
                component=ticket.headline.component,
                family=str(ticket.headline.family),
                condition=ticket.headline.condition,
                from_ns=ticket.anchor_ns,
                to_ns=end_ns if ticket.settled_ns is None else ticket.settled_ns,
                name=ticket.number,
            )
            for ticket in result.tickets(variant)
        ]
        self.findings, self.tickets = (
            [one for one in some if since_ns <= one.from_ns <= until_ns] for some in (findings, tickets)
        )
        problems = result.problems(variant)
        self.rcas = sum(
            any(since_ns <= link.at_ns <= until_ns for link in problem.links) for problem in problems
        )

    def summary(self, labels: Sequence[Label], weeks: float) -> dict[str, Json]:
        """The variant in numbers, with the seconds that its detectors worked."""
        return {
            **compare.summary(self.findings, self.tickets, self.rcas, labels, weeks),
            "cost": self._cost(),
        }

    def _cost(self) -> Mapping[str, Json]:
        """What this variant's own detectors took; those that it shares with the active one took nothing more."""
        place = list(self._result.variants).index(self.variant)
        own = {
            kind: seconds
            for (whose, kind), seconds in sorted(self._result.shared.cost_s.items())
            if whose == place
        }
        return {"seconds": sum(own.values()), "of": own, "without_what_is_shared": place > 0}
