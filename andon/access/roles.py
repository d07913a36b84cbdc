"""Roles, what each of them may do, and where: one table, and functions over it.

A right is asked for by a route (`api/rights.py`); what a ticket's step demands of the person besides, the ticket rules
say (`ticketing/demands.py`). A role here is an account's; a person's role in the plant document is a duty, by which
work is routed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    """One kind of deed; a route asks for exactly one."""

    READ = "read"
    """See tickets, alarms, machines, series, findings."""
    REPORT = "report"
    """Report a fault, comment, confirm or refuse the work that one asked for, rate it."""
    WORK = "work"
    """Claim, accept, decline, hand over, travel, hold, repair, photograph, resolve; ask for parts and approvals; one's own presence."""
    LEAD = "lead"
    """Acknowledge and shelve alarms, declare maintenance and repairs, reopen, lay in the archive."""
    PLAN = "plan"
    """Dispatch, merge, split, link, cancel, mark false alarms, decide approvals, test routing, look at rehearsals."""
    STOCK = "stock"
    """Issue and take back parts."""
    TUNE = "tune"
    """Back-test, promote and roll back detectors; label history; relearn baselines; alarms out of service."""
    ANALYSE = "analyse"
    """Root-cause and improvement work."""
    REDRIVE = "redrive"
    """Take refused messages anew, send dead notifications again, do failed timers again."""
    ADMINISTER = "administer"
    """Accounts, keys, devices, the plant document."""
    SELF = "self"
    """One's own sign-in, secret, language and keys: everybody who has signed in."""


class Role(StrEnum):
    """What an account is for."""

    VIEWER = "viewer"
    TECHNICIAN = "technician"
    PLANNER = "planner"
    LINE_LEADER = "line_leader"
    STOREKEEPER = "storekeeper"
    RELIABILITY_ENGINEER = "reliability_engineer"
    QUALITY = "quality"
    ADMINISTRATOR = "administrator"
    DEVICE = "device"
    PARTNER = "partner"


_EVERYBODY = frozenset({Right.SELF, Right.READ})
_STAFF = _EVERYBODY | {Right.REPORT}

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.VIEWER: _EVERYBODY,
    Role.TECHNICIAN: _STAFF | {Right.WORK},
    Role.PLANNER: _STAFF | {Right.WORK, Right.LEAD, Right.PLAN, Right.ANALYSE, Right.REDRIVE},
    Role.LINE_LEADER: _STAFF | {Right.WORK, Right.LEAD, Right.ANALYSE},
    Role.STOREKEEPER: _STAFF | {Right.STOCK},
    Role.RELIABILITY_ENGINEER: _STAFF | {Right.WORK, Right.LEAD, Right.TUNE, Right.ANALYSE, Right.REDRIVE},
    Role.QUALITY: _STAFF | {Right.ANALYSE},
    Role.ADMINISTRATOR: frozenset(Right),
    Role.DEVICE: frozenset(),
    Role.PARTNER: _STAFF,
}
"""A device speaks on its own topic and asks for nothing here. A partner is let in by places: without any it sees nothing."""


OF_PEOPLE = frozenset({Right.SELF, Right.ADMINISTER})
"""What no key has: whoever finds one can make no account and no other key, and outlives no revocation."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who speaks. `actor` is what the audit names; `places` are ISA-95 paths (`enterprise/site/area`), none: everywhere.

    `rights` are those of the roles; a key may have fewer. `acts_for_anybody` is the demo's operator alone, who may
    choose whom to act as.
    """

    actor: str
    roles: frozenset[Role]
    rights: frozenset[Right]
    places: tuple[str, ...] = ()
    acts_for_anybody: bool = False

    def may(self, right: Right) -> bool:
        """Whether one of the roles grants it."""
        return right in self.rights

    @property
    def everywhere(self) -> bool:
        """Whether no place bounds what it sees; another company is always bounded by the places that it was let into."""
        return not self.places and Role.PARTNER not in self.roles

    def sees(self, path: str) -> bool:
        """Whether a machine at that path lies where this principal has rights.

        >>> press = Principal("chen", frozenset(), frozenset(), ("acme/east/press",))
        >>> press.sees("acme/east/press/L1/c1"), press.sees("acme/east/pressure/L1"), press.sees("acme/west")
        (True, False, False)
        """
        return self.everywhere or any(_within(path, place) for place in self.places)


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """What all of these roles grant together.

    >>> sorted(rights_of([Role.VIEWER, Role.STOREKEEPER]))
    [<Right.READ: 'read'>, <Right.REPORT: 'report'>, <Right.SELF: 'self'>, <Right.STOCK: 'stock'>]
    """
    return frozenset[Right]().union(*(RIGHTS[role] for role in roles))


def roles_with(right: Right) -> list[Role]:
    """Who can be asked to do it.

    >>> [str(role) for role in roles_with(Right.STOCK)]
    ['storekeeper', 'administrator']
    """
    return [role for role in Role if right in RIGHTS[role]]


def _within(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")
