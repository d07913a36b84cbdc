"""Who decides for whom, from when until when: a delegation has an end, a reason, and can be taken back."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, select, update

from andon.events import HOUR_NS
from andon.plant import Plant
from ticketing.approving.tables import delegation
from ticketing.book import Book
from ticketing.errors import DeedRefused, Missing, StepRefused
from ticketing.vague import is_vague

LONGEST_NS = 366 * 24 * HOUR_NS


@dataclass(frozen=True, slots=True)
class Delegation:
    """`giver`'s approvals may be decided by `taker` from `from_ns` until just before `until_ns`."""

    id: int
    giver: str
    taker: str
    from_ns: int
    until_ns: int
    reason: str
    by: str
    at_ns: int
    revoked_ns: int | None = None
    revoked_by: str | None = None

    def holds(self, at_ns: int) -> bool:
        """Whether it counts at that moment."""
        return self.revoked_ns is None and self.from_ns <= at_ns < self.until_ns


def delegate(
    book: Book, plant: Plant, *, giver: str, taker: str, from_ns: int, until_ns: int, reason: str, actor: str
) -> Delegation:
    """Give somebody else one's own approvals for a time; StepRefused names what is wrong, DeedRefused whose it is not."""
    _must_be_theirs(plant, giver, actor)
    people = {person.id for person in plant.people}
    wrong = [Missing("giver", "unknown")] if giver not in people else []
    wrong += [Missing("taker", "unknown")] if taker not in people else []
    wrong += [Missing("taker", "same_as_giver")] if taker == giver else []
    wrong += [Missing("until", "before_from")] if until_ns <= from_ns else []
    wrong += [Missing("until", "over")] if until_ns <= book.now_ns else []
    wrong += [Missing("until", "too_long")] if until_ns - from_ns > LONGEST_NS else []
    if not reason.strip() or is_vague(reason):
        wrong.append(Missing("reason", "vague" if reason.strip() else "absent"))
    if wrong:
        raise StepRefused("delegate", "", wrong)
    given = Delegation(
        id=book.next_number("delegation"),
        giver=giver,
        taker=taker,
        from_ns=from_ns,
        until_ns=until_ns,
        reason=reason.strip(),
        by=actor,
        at_ns=book.now_ns,
    )
    book.add(delegation, {column.name: getattr(given, column.name) for column in delegation.columns})
    return given


def revoke(book: Book, plant: Plant, number: int, *, actor: str) -> Delegation:
    """It does not count any more; DeedRefused if there is none, or it is not theirs."""
    found = book.conn.execute(select(delegation).where(delegation.c.id == number)).mappings().first()
    if found is None:
        raise DeedRefused("delegation_not_found", f"there is no delegation {number}")
    _must_be_theirs(plant, found["giver"], actor)
    c = delegation.c
    ended = update(delegation).where(c.id == number, c.revoked_ns.is_(None), c.until_ns > book.now_ns)
    if book.conn.execute(ended.values(revoked_ns=book.now_ns, revoked_by=actor)).rowcount != 1:
        raise DeedRefused("delegation_over", f"delegation {number} is over already")
    return _of(book.conn.execute(select(delegation).where(c.id == number)).mappings().one())


def standing(conn: Connection, now_ns: int, limit: int = 200) -> Sequence[Delegation]:
    """Those that count now or will, the first to end first."""
    c = delegation.c
    wanted = select(delegation).where(c.until_ns > now_ns, c.revoked_ns.is_(None))
    rows = conn.execute(wanted.order_by(c.until_ns, c.id).limit(limit)).mappings()
    return [_of(row) for row in rows]


def _must_be_theirs(plant: Plant, giver: str, actor: str) -> None:
    """One's own, or as one who administers the closing of tickets."""
    roles = {role.casefold() for role in plant.closing.administrators}
    may = {person.id for person in plant.people if person.role.casefold() in roles}
    if actor != giver and actor not in may:
        raise DeedRefused("not_your_approvals", f"only {giver} or an administrator may do that")


def _of(row: RowMapping) -> Delegation:
    return Delegation(**row)
