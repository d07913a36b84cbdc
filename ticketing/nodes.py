"""What the requester is shown of the work: its nodes, projected from the audit (rule 43)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ticketing.ticket import SubState, TicketEvent


class NodeName(StrEnum):
    """The users' own nodes: 已接单, 出发, 备件已出库, 到达现场, 现场维修中, 问题解决."""

    ACCEPTED = "accepted"
    DEPARTED = "departed"
    PARTS_OUT = "parts_out"
    ARRIVED = "arrived"
    REPAIRING = "repairing"
    SOLVED = "solved"


@dataclass(frozen=True, slots=True)
class Node:
    """A node that was reached, when and by whom."""

    name: NodeName
    at_ns: int
    by: str


_OF_ACTION = {
    "accept": (NodeName.ACCEPTED,),
    "depart": (NodeName.DEPARTED,),
    "parts_issued": (NodeName.PARTS_OUT,),
    "arrive": (NodeName.ARRIVED, NodeName.REPAIRING),
    "resolve": (NodeName.SOLVED,),
}

KINDS = frozenset(f"ticket.{action}" for action in _OF_ACTION)
"""The messages that tell of a node."""


def nodes(events: Sequence[TicketEvent]) -> tuple[Node, ...]:
    """The nodes that a ticket's audit shows, in order; one that is reached again in a later round stands again.

    On site the repair goes on again when the parts are there: that is `repairing` once more.
    """
    found: list[Node] = []
    on_site = False
    for event in events:
        names = _OF_ACTION.get(event.action, ())
        if event.action == "substate" and on_site and _begins_repair(event):
            names = (NodeName.REPAIRING,)
        found.extend(Node(name, event.at_ns, event.actor) for name in names)
        arrived = event.changes.get("arrived_ns")
        on_site = on_site if arrived is None else arrived[1] is not None
    return tuple(found)


def _begins_repair(event: TicketEvent) -> bool:
    changed = event.changes.get("sub_state")
    return changed is not None and changed[1] == SubState.SITE_SURVEY
