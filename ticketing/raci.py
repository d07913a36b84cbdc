"""Who is in on a ticket beside the one who does it, and what each is told: the RACI matrix of one ticket (rule 25).

The assignee is the main owner. One person is accountable: the one who was named, else who asked for the work.
"""

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What a collaborator is to the ticket."""

    RESPONSIBLE = "responsible"
    ACCOUNTABLE = "accountable"
    CONSULTED = "consulted"
    INFORMED = "informed"


_TURNS = frozenset(
    {
        "ticket.assign",
        "ticket.transfer",
        "ticket.resolve",
        "ticket.reject",
        "ticket.reopened",
        "ticket.reopen",
    }
)
_ENDS = frozenset(
    {"ticket.sign", "ticket.close_unsigned", "ticket.cancel", "ticket.false_alarm", "ticket.duplicate"}
)
TOLD: Mapping[Role, frozenset[str] | None] = {
    Role.RESPONSIBLE: None,
    Role.ACCOUNTABLE: None,
    Role.CONSULTED: _TURNS | _ENDS,
    Role.INFORMED: _ENDS | {"ticket.resolve"},
}
"""Role -> the kinds of messages that it is told; None: all. Who is consulted hears of every turn of the work."""


def told(collaborators: Mapping[str, str], kind: str) -> list[str]:
    """The collaborators who are told of a message of that kind, in the order of their names.

    >>> told({"li": "informed", "wang": "consulted", "zhang": "responsible"}, "ticket.transfer")
    ['wang', 'zhang']
    """
    return [
        person
        for person, role in sorted(collaborators.items())
        if (kinds := TOLD[Role(role)]) is None or kind in kinds
    ]


def accountable(collaborators: Mapping[str, str], requester: str | None) -> str | None:
    """Who answers for the ticket: the one who was named, else who asked for it."""
    named = (person for person, role in collaborators.items() if role == Role.ACCOUNTABLE)
    return next(named, requester)


def joined(collaborators: Mapping[str, str], person: str, role: Role) -> Mapping[str, str]:
    """With that person in that role. A second accountable takes over; the first stays informed: there is always one.

    >>> joined({"li": "accountable"}, "chen", Role.ACCOUNTABLE)
    {'chen': 'accountable', 'li': 'informed'}
    """
    others = {
        other: str(Role.INFORMED) if role is Role.ACCOUNTABLE and their == Role.ACCOUNTABLE else their
        for other, their in collaborators.items()
    }
    return dict(sorted({**others, person: str(role)}.items()))


def left(collaborators: Mapping[str, str], person: str) -> Mapping[str, str]:
    """Without that person."""
    return {other: role for other, role in collaborators.items() if other != person}
