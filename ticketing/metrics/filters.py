"""Which tickets are measured: by any of these fields, and only of the machines that somebody sees (rule 65)."""

from collections.abc import Mapping

from sqlalchemy import ColumnElement

from andon.database import Machines, among
from ticketing.tables import ticket
from ticketing.urgency import ORDER

FIELDS = ("type", "line", "asset", "priority", "requester", "handler", "fault_type", "channel")
"""Fields of a ticket that a metric can be narrowed down by."""


def wheres_of(chosen: Mapping[str, str], machines: Machines) -> tuple[ColumnElement[bool], ...]:
    """The conditions for these fields, of which empty ones are left out; ValueError for a priority that is none."""
    c = ticket.c
    found = [] if machines is None else [among(c.asset, machines)]
    for name in FIELDS:
        value = chosen.get(name, "")
        if value and name == "priority":
            found.append(c.priority == ORDER.index(value))
        elif value:
            found.append(c[name] == value)
    return tuple(found)
