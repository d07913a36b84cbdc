"""Which alarms are kept from becoming tickets just now, and by what (ISA-18.2, 11: suppression by design, shelving).

Three kinds: a person shelves an alarm, maintenance is planned or declared, an alarm above explains those below it. (What
is out of service is a state of the alarm itself: `ticketing.alarms`.) Each has an owner and a reason; what holds an alarm is always the one that ends last.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from andon.events import HOUR_NS, Family, Priority
from andon.plant import Asset
from andon.rules.suppression import Matcher, Suppressing


class SuppressionKind(StrEnum):
    """Why an alarm is held back."""

    SHELVE = "shelve"
    MAINTENANCE_WINDOW = "maintenance_window"
    INHIBIT = "inhibit"


@dataclass(frozen=True, slots=True)
class Subject:
    """An alarm as far as matchers look at it. `path` is where its asset stands; `suppressible` is its definition's word."""

    asset: str
    path: str
    asset_class: str
    component: str
    condition: str
    family: Family
    priority: Priority
    suppressible: bool = True


@dataclass(frozen=True, slots=True)
class Suppression:
    """One thing that holds alarms back from `starts_ns` on, until `ends_ns` (None: until something else ends it).

    `origin` is what made it: "person", "declaration", "window/<name>", "alarm/<id>". `one_shot`: it ends when the alarm
    returns to normal, if that is earlier. `ended_ns` is when it really ended.
    """

    id: int
    kind: SuppressionKind
    matcher: Matcher
    starts_ns: int
    ends_ns: int | None
    reason: str
    owner: str
    origin: str = "person"
    one_shot: bool = False
    ended_ns: int | None = None
    made_ns: int = 0

    @property
    def name(self) -> str:
        """What an alarm that it holds back names it."""
        return f"suppression/{self.id}" if self.id else self.origin

    def in_force(self, at_ns: int) -> bool:
        """Whether it holds at that moment; its end is not part of it."""
        if at_ns < self.starts_ns or (self.ended_ns is not None and at_ns >= self.ended_ns):
            return False
        return self.ends_ns is None or at_ns < self.ends_ns

    def means(self, subject: Subject) -> bool:
        """Whether it means that alarm. Inhibition reaches strictly downward, so nothing inhibits itself."""
        if not subject.suppressible or not fits(self.matcher, subject):
            return False
        return self.kind is not SuppressionKind.INHIBIT or below(subject.path, self.matcher.under)

    def touches(self, asset: Asset) -> bool:
        """Whether it may mean an alarm of that machine."""
        said = self.matcher
        if self.kind is SuppressionKind.INHIBIT and not below(asset.path, said.under):
            return False
        named = (said.asset, asset.id), (said.asset_class, asset.asset_class)
        if any(wanted and _plain(wanted) != _plain(given) for wanted, given in named):
            return False
        return not said.under or _within(asset.path, said.under)


def judge_suppressed(subject: Subject, now_ns: int, active: Iterable[Suppression]) -> Suppression | None:
    """What holds this alarm back at that moment: of several the one that ends last; None if nothing does."""
    holding = [one for one in active if one.in_force(now_ns) and one.means(subject)]
    return max(holding, key=_ends_last, default=None)


def _ends_last(one: Suppression) -> tuple[bool, int, int]:
    return one.ends_ns is None, one.ends_ns or 0, -one.id


def fits(matcher: Matcher, subject: Subject) -> bool:
    """Whether an alarm fits all that the matcher says; names are compared without regard to case and edges."""
    named = (
        (matcher.asset, subject.asset),
        (matcher.asset_class, subject.asset_class),
        (matcher.component, subject.component),
    )
    if any(wanted and _plain(wanted) != _plain(given) for wanted, given in named):
        return False
    if matcher.under and not _within(subject.path, matcher.under):
        return False
    sets: Sequence[tuple[Sequence[str], str]] = (
        (matcher.conditions, subject.condition),
        (matcher.families, subject.family),
        (matcher.priorities, subject.priority),
    )
    return all(not wanted or given in wanted for wanted, given in sets)


def below(path: str, above: str) -> bool:
    """Whether a place lies strictly below another one in the ISA-95 hierarchy.

    >>> below("acme/north/forming/L1/c1", "acme/north/forming/L1"), below("acme/north/forming/L10", "acme/north/forming/L1")
    (True, False)
    """
    return bool(above) and _levels(path)[: len(_levels(above))] == _levels(above) and path != above


def above(path: str) -> Iterator[str]:
    """The places that a place lies below, the highest first.

    >>> list(above("acme/north/forming"))
    ['acme', 'acme/north']
    """
    levels = _levels(path)
    return ("/".join(levels[:n]) for n in range(1, len(levels)))


def area_of(path: str) -> str:
    """The ISA-95 area: enterprise, site and area of a path; all of it if it has no more.

    >>> area_of("acme/north/forming/L1/c1")
    'acme/north/forming'
    """
    return "/".join(_levels(path)[:3])


def inhibited(subject: Subject, rules: Suppressing, *, at_ns: int, name: str) -> Iterator[Suppression]:
    """What an alarm that stands since then holds back below it, by each rule whose source it fits."""
    for rule in rules.inhibitions:
        if subject.path and fits(rule.source, subject):
            yield Suppression(
                id=0,
                kind=SuppressionKind.INHIBIT,
                matcher=Matcher(under=subject.path, families=rule.families),
                starts_ns=at_ns,
                ends_ns=at_ns + round(rules.inhibit_max_h * HOUR_NS),
                reason=subject.condition,
                owner=subject.asset,
                origin=f"alarm/{name}",
            )


def _within(path: str, place: str) -> bool:
    return _levels(path)[: len(_levels(place))] == _levels(place)


def _levels(path: str) -> list[str]:
    return [level for level in path.split("/") if level]


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
