"""What can be done next: the step that leads on, with what it demands and what is there, and the other ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from andon.access.roles import Right
from api.pages import who_may
from api.steps import RIGHT_OF
from api.visit import Visit
from api.web.ticket_money import Lacking
from api.web.wording import demand_sentence, person_name
from ticketing import store
from ticketing.demands import Demand, not_asked
from ticketing.errors import Missing
from ticketing.states import EDGES, NEED_APPROVAL, Step, next_steps
from ticketing.stepping import entitled
from ticketing.ticket import Suggestion, Ticket, TicketState

MAIN: Mapping[TicketState, Sequence[Step]] = {
    TicketState.PENDING_DISPATCH: (Step.ASSIGN,),
    TicketState.ASSIGNED: (Step.ACCEPT,),
    TicketState.IN_PROGRESS: (Step.RESUME, Step.RESOLVE),
    TicketState.RESOLVED: (Step.SIGN,),
    TicketState.CLOSED: (Step.RELEARN, Step.ARCHIVE),
}
"""The step that leads on from each state: the first that can be taken."""


NOTHING = Lacking()

_NOT_SHOWN = frozenset(
    {
        *(Demand.WAS_ASSIGNED, Demand.NEVER_ASSIGNED, Demand.PROPOSAL),
        *(Demand.AT_WORK, Demand.ON_HOLD, Demand.NOT_ARCHIVED),
    }
)
"""Demands that no form can meet: where one is not met, its step is not offered."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist."""

    demand: Demand
    text: str
    met: bool


@dataclass(frozen=True, slots=True)
class Way:
    """A step that can be taken. `act_as` is who has to take it, if it is not the visitor; who `asks` needs approval.

    `roles` are those that can take it, where the visitor's own cannot.
    """

    step: Step
    demands: list[Demand]
    checklist: list[Item]
    act_as: Mapping[str, str] | None = None
    asks: bool = False
    roles: str = ""


@dataclass(frozen=True, slots=True)
class Steps:
    """Where the ticket can go from here."""

    main: Way | None
    others: list[Way]


def what_next(detail: store.TicketDetail, visit: Visit, lacking: Lacking = NOTHING) -> Steps:
    """The ways from the ticket's state, as the visitor can take them; `lacking` is what money and safety still need."""
    ticket = detail.ticket
    offered = suggested_of(ticket)
    closing = visit.plant.closing
    given = replace(
        detail.given,
        actor=visit.actor,
        now_ns=visit.context.now(),
        person=(offered and offered.person) or "",
        backup=(offered and offered.backup) or "",
        types=visit.plant.ticket_types,
        levels=lacking.levels,
        unsigned=lacking.unsigned,
        unended=lacking.unended,
        approver=visit.actor,
        approvers=entitled(visit.plant, closing.approvers),
        administrators=entitled(visit.plant, closing.administrators),
        reopen_within_min=closing.reopen_within_min,
    )
    missing = next_steps(ticket, given)
    ways = {step: _way(ticket, step, missing[step], visit) for step in missing if _is_theirs(missing[step])}
    main = next((ways.pop(step) for step in MAIN[ticket.state] if step in ways), None)
    return Steps(main=main, others=[way for way in ways.values() if not way.roles])


def _is_theirs(missing: Sequence[Missing]) -> bool:
    """Only who works on it sets off and arrives."""
    return all(one.demand != Demand.AT_WORK for one in missing)


def suggested_of(ticket: Ticket) -> Suggestion | None:
    """Routing's suggestion, if it names someone."""
    return ticket.suggestion if ticket.suggestion and ticket.suggestion.person else None


def _way(ticket: Ticket, step: Step, missing: tuple[Missing, ...], visit: Visit) -> Way:
    demands = _demands(ticket, step)
    unmet = {Demand(one.demand): one for one in missing}
    checklist = [
        Item(
            demand,
            demand_sentence(unmet.get(demand, Missing(demand, "absent")), visit.words, visit.plant),
            demand not in unmet,
        )
        for demand in demands
        if demand is not Demand.SCENE_TAG or not ticket.is_open  # asked for early, needed at the end
    ]
    asks = step in NEED_APPROVAL and Demand.APPROVER in unmet
    right = Right.WORK if asks else RIGHT_OF[step]
    roles = "" if visit.may(right) else who_may(right, visit.words)
    return Way(step, demands, checklist, _someone_else(ticket, unmet, visit), asks, roles)


def _demands(ticket: Ticket, step: Step) -> list[Demand]:
    wanted = next(
        demands
        for (source, _), steps in EDGES.items()
        for one, demands in steps.items()
        if source is ticket.state and one is step and _fits(ticket, demands)
    )
    shown = wanted - _NOT_SHOWN - not_asked(ticket)
    return [demand for demand in Demand if demand in shown]


def _fits(ticket: Ticket, demands: frozenset[Demand]) -> bool:
    return (Demand.NEVER_ASSIGNED if ticket.assignee else Demand.WAS_ASSIGNED) not in demands


def _someone_else(ticket: Ticket, unmet: Mapping[Demand, Missing], visit: Visit) -> Mapping[str, str] | None:
    """Who has to take the step: the assignee accepts, and someone other than the handler signs."""
    if Demand.ASSIGNEE_ACCEPTS in unmet and ticket.assignee:
        who = ticket.assignee
    elif Demand.OTHER_SIGNER in unmet:
        others = [
            person.id for person in visit.plant.people if person.id not in {ticket.handler, ticket.assignee}
        ]
        who = ticket.requester if ticket.requester in others else next(iter(others), "")
    else:
        return None
    return {"id": who, "name": person_name(who, visit.plant)} if who else None
