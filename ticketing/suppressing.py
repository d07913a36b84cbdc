"""What of a batch is held back: asked for each finding, and begun and ended by the alarms that hold back others."""

from collections.abc import Callable, Iterator

from sqlalchemy import Connection

from andon.events import SECOND_NS, Finding
from andon.plant import Asset, Plant, once_per_plant
from ticketing import suppressions
from ticketing.book import Book
from ticketing.suppression import (
    Subject,
    Suppression,
    SuppressionKind,
    above,
    inhibited,
    judge_suppressed,
)
from ticketing.ticket import FoldRule, Occurrence

RULES = {
    SuppressionKind.SHELVE: FoldRule.SUPPRESSED_SHELVED,
    SuppressionKind.MAINTENANCE_WINDOW: FoldRule.SUPPRESSED_WINDOW,
    SuppressionKind.INHIBIT: FoldRule.SUPPRESSED_INHIBITED,
}
"""What an occurrence says that was held."""


class InForce:
    """What is suppressed at a moment: the suppressions that are written down, and the plant document's windows."""

    def __init__(self, conn: Connection, plant: Plant, now_ns: int) -> None:
        self.plant = plant
        self.now_ns = now_ns
        self.written = suppressions.active(conn, now_ns)

    @property
    def anything(self) -> bool:
        """Whether anything might be held at all: mostly nothing is."""
        return bool(self.written or self.plant.maintenance_windows)

    def holding(self, subject: Subject, at_ns: int) -> Suppression | None:
        """What holds it now, or the maintenance in which it happened, if that is only heard now; None if nothing does."""
        return judge_suppressed(subject, self.now_ns, self._at(self.now_ns)) or self.maintenance(
            subject, at_ns
        )

    def all_holding(self, subject: Subject) -> list[Suppression]:
        """Everything that holds it now."""
        return [one for one in self._at(self.now_ns) if one.in_force(self.now_ns) and one.means(subject)]

    def on(self, asset: Asset) -> list[Suppression]:
        """What holds any of a machine's alarms now, but for declared maintenance, which pages say by itself."""
        found = (one for one in self._at(self.now_ns) if one.in_force(self.now_ns))
        return [one for one in found if one.origin != suppressions.DECLARED and one.touches(asset)]

    def maintenance(self, subject: Subject, at_ns: int) -> Suppression | None:
        """The maintenance window in which it happened."""
        windows = (one for one in self._at(at_ns) if one.kind is SuppressionKind.MAINTENANCE_WINDOW)
        return judge_suppressed(subject, at_ns, windows)

    def _at(self, at_ns: int) -> Iterator[Suppression]:
        """All that might hold at that moment; a window of the plant document that was written down is taken from there."""
        yield from self.written
        known = {(one.origin, one.starts_ns) for one in self.written}
        for window in suppressions.windows_at(self.plant, at_ns):
            if (window.origin, window.starts_ns) not in known:
                yield window


class Suppressing:
    """The suppressions of one transaction, read once."""

    def __init__(self, book: Book, plant: Plant) -> None:
        self._book = book
        self._plant = plant
        self._in_force = InForce(book.conn, plant, book.now_ns)

    def held(
        self, finding: Finding, subject_of: Callable[[Finding], Subject], at_ns: int
    ) -> Suppression | None:
        """What holds the finding back, which is noted; None if nothing does."""
        if not self._in_force.anything:
            return None
        subject = subject_of(finding)
        by = self._in_force.holding(subject, at_ns)
        if by is None:
            return None
        by = self._written(by)
        inside = self._in_force.maintenance(subject, at_ns) is not None
        suppressions.hold(self._book, finding.id, finding.asset, by, maintenance=inside)
        return by

    def held_on(self, one: Occurrence, subject: Subject) -> Suppression | None:
        """What holds back an occurrence that something else held so far, which is noted; None if nothing does."""
        by = self._in_force.holding(subject, self._book.now_ns)
        if by is None:
            return None
        by = self._written(by)
        inside = self._in_force.maintenance(subject, one.at_ns) is not None
        suppressions.hold(self._book, one.finding, one.asset, by, maintenance=inside)
        return by

    def raised(self, subject: Subject, at_ns: int, name: str) -> None:
        """An alarm stands; it may hold back those below it, also where it is held back itself."""
        for wanted in inhibited(subject, self._plant.suppression, at_ns=at_ns, name=name):
            if subject.path in _above(self._plant):
                self._in_force.written.append(suppressions.begin(self._book, wanted))

    def cleared(self, subject: Subject, name: str) -> None:
        """An alarm is over: what it held back is looked at soon, and it is shelved no more if that was for once."""
        for one in [one for one in self._in_force.written if one.ended_ns is None]:
            if one.kind is SuppressionKind.INHIBIT and one.origin == f"alarm/{name}":
                self._end(one, round(self._plant.suppression.settle_s * SECOND_NS))
            elif one.one_shot and one.in_force(self._book.now_ns) and one.means(subject):
                self._end(one, 0)

    def _written(self, by: Suppression) -> Suppression:
        """Written down, with a timer that looks at what it holds when it is over."""
        if not by.id:
            by = suppressions.begin(self._book, by)
            self._in_force.written.append(by)
        elif by.ended_ns is not None:
            suppressions.look_again(self._book, by.id, self._book.now_ns)
        return by

    def _end(self, one: Suppression, after_ns: int) -> None:
        ended = suppressions.end(
            self._book, one.id, actor=f"alarm/{one.owner}", reason="returned", after_ns=after_ns
        )
        written = self._in_force.written
        written[written.index(one)] = ended


@once_per_plant
def _above(plant: Plant) -> frozenset[str]:
    """Every place that an asset of the plant lies below: looked up for each alarm that is raised."""
    return frozenset(place for asset in plant.assets for place in above(asset.path))
