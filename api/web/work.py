"""What stands on a ticket's page about the work and its end: nodes, parts, an approval, stars, what is owed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.visit import Visit
from api.web.ticket_parts import Waiting
from api.web.wording import person_name
from ticketing import store
from ticketing.nodes import Node
from ticketing.stepping import entitled
from ticketing.ticket import UNRESOLVED, Closure


@dataclass(frozen=True, slots=True)
class Work:
    """The cards of the page, in the visitor's language."""

    nodes: Sequence[Node]
    parts: Sequence[Waiting]
    may_request: bool
    asked: str
    approval: int | None
    may_decide: bool
    rating: str
    may_rate: bool
    owed: Sequence[Mapping[str, str]]
    phone: str
    drawn: bool


def work_of(detail: store.TicketDetail, parts: Sequence[Waiting], visit: Visit) -> Work:
    """What the visitor sees of it, and may do about it."""
    ticket, words, plant = detail.ticket, visit.words, visit.plant
    waits, rated = detail.approval, detail.rating
    approvers = entitled(plant, plant.closing.approvers)
    worked = {ticket.handler, ticket.assignee}
    return Work(
        nodes=detail.nodes,
        parts=parts,
        may_request=ticket.state in UNRESOLVED,
        asked=words(
            "approval.asked",
            name=person_name(waits.asked_by, plant),
            step=words(f"step.{waits.step}"),
            reason=waits.reason,
        )
        if waits
        else "",
        approval=waits.id if waits else None,
        may_decide=waits is not None
        and visit.actor != waits.asked_by
        and (approvers is None or visit.actor in approvers),
        rating=words("rating.given", n=rated.stars, name=person_name(rated.by, plant)) if rated else "",
        may_rate=rated is None
        and ticket.closure in {Closure.SIGNED, Closure.UNSIGNED}
        and visit.actor not in worked,
        owed=[
            {
                "kind": str(one.kind),
                "said": words("owed.by", name=person_name(one.owner, plant), at=visit.time.at(one.due_ns)),
            }
            for one in detail.obligations
            if one.done_ns is None
        ],
        phone=ticket.phone[-4:].rjust(len(ticket.phone), "•") if ticket.phone else "",
        drawn=detail.given.signatures > 0,
    )
