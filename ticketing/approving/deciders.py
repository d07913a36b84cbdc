"""Who may decide a level just now: whom it asks, whom they delegated it to, and who stands in for who is on leave."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from andon.plant import Person, Plant
from andon.rules.approvals import Level, Who
from ticketing.approving import delegations
from ticketing.approving.delegations import Delegation
from ticketing.duty import Roster
from ticketing.presence import recall_presence
from ticketing.stepping import entitled


class Via(StrEnum):
    """By what right somebody decides."""

    OWN = "own"
    DELEGATED = "delegated"
    STANDS_IN = "stands_in"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Authority:
    """By what right a person decides, and for whom."""

    via: Via
    on_behalf_of: str | None = None


Authorities = Mapping[str, Authority] | None
"""Person -> by what right; None: the plant names nobody, so anybody."""


def deciders(
    level: Level | None,
    line: str,
    roster: Roster,
    given: Iterable[Delegation] = (),
    without: Collection[str] = (),
) -> Authorities:
    """Everybody who may decide that level about a machine of that line, but those `without`.

    People of the line go before all others of the role. Where nobody is left, or the plant document has the level no
    more, the administrators of closing decide.
    """
    fitting = asks(level.who, roster.plant) if level is not None else []
    of_line = [person for person in fitting if not person.lines or line in person.lines]
    own = {person.id: person for person in of_line or fitting}
    found: dict[str, Authority] = {}
    for one in given:
        if one.giver in own and one.holds(roster.at_ns):
            found[one.taker] = Authority(Via.DELEGATED, one.giver)
    for person in own.values():
        if roster.of(person).on_leave and person.backup is not None:
            found.setdefault(person.backup, Authority(Via.STANDS_IN, person.id))
    found |= {person: Authority(Via.OWN) for person in own}
    left = {person: how for person, how in found.items() if person not in without and person in roster.people}
    if left or not roster.people:
        return left or None
    last = entitled(roster.plant, roster.plant.closing.administrators) or frozenset[str]()
    return {person: Authority(Via.ADMINISTRATOR) for person in sorted(last - set(without))}


def present(authorities: Authorities, roster: Roster) -> list[str]:
    """Those of them who are there to be told: all of them if nobody is."""
    if authorities is None:
        return []
    there = [one for one in authorities if not roster.of(roster.people[one]).on_leave]
    return sorted(there or authorities)


def roster_of(conn: Connection, plant: Plant, at_ns: int) -> Roster:
    """The people with what was last reported of them."""
    return Roster(plant, at_ns, recall_presence(conn))


def in_force(conn: Connection, at_ns: int) -> list[Delegation]:
    """The delegations that count at that moment."""
    return [one for one in delegations.standing(conn, at_ns, 10_000) if one.holds(at_ns)]


def asks(who: Who, plant: Plant) -> list[Person]:
    """The people whom a level asks, as the plant document names them."""
    roles = {_plain(role) for role in plant.routing.filled_by(who.role)} if who.role else None
    return [
        person
        for person in plant.people
        if (roles is None or _plain(person.role) in roles)
        and (not who.department or _plain(person.department) == _plain(who.department))
        and (not who.person or person.id == who.person)
    ]


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").replace("-", " ").split())
