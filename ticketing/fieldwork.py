"""What whoever does the work says of it on the way: departed, arrived, on hold, going on; and laid in the archive."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

from andon.plant import Plant
from ticketing.closing import scene_tags_of
from ticketing.demands import Given, Hold
from ticketing.service import By, Tickets, safe
from ticketing.states import Step
from ticketing.stepping import codes_of
from ticketing.ticket import SubState, Ticket


def depart(tickets: Tickets, ticket_id: int, *, note: str = "", **by: Unpack[By]) -> Ticket:
    """Who works on it is on the way."""
    return tickets.step(
        ticket_id, Step.DEPART, Given(reason=note), by, lambda t: t, tell=lambda t: (t.requester,)
    )


def arrive(
    tickets: Tickets,
    ticket_id: int,
    *,
    plant: Plant,
    scan: str = "",
    position: str = "",
    note: str = "",
    **by: Unpack[By],
) -> Ticket:
    """Who works on it stands at the machine: its code scanned, a position, or a note of why neither can be had."""
    said = tuple(text.strip() for text in (scan, position, note) if text.strip())
    given = Given(scan=scan, position=position, evidence=said)
    return tickets.step(
        ticket_id,
        Step.ARRIVE,
        given,
        by,
        lambda t: replace(t, sub_state=_on_site(t), arrived_ns=by["now_ns"]),
        known=lambda conn, t, g: replace(safe(plant)(conn, t, g), codes=codes_of(plant, t.asset)),
        tell=lambda t: (t.requester,),
    )


def hold(
    tickets: Tickets, ticket_id: int, *, hold: Hold, reason: str, evidence: Sequence[str], **by: Unpack[By]
) -> Ticket:
    """The work waits, or cannot be solved for now: it stays in progress and says so (rule 52)."""
    given = Given(hold=hold, reason=reason, evidence=tuple(evidence))
    return tickets.step(
        ticket_id,
        Step.HOLD,
        given,
        by,
        lambda t: replace(t, hold=str(hold)),
        tell=lambda t: (t.requester, t.backup),
    )


def resume(tickets: Tickets, ticket_id: int, *, reason: str, **by: Unpack[By]) -> Ticket:
    """What the work waited for is there."""
    given = Given(reason=reason)
    return tickets.step(ticket_id, Step.RESUME, given, by, lambda t: replace(t, hold=None))


def archive(
    tickets: Tickets, ticket_id: int, *, scene_tag: str | None, plant: Plant, **by: Unpack[By]
) -> Ticket:
    """A closed ticket is done with; it needs its scene tag, here or from the one who resolved it (rule 49)."""
    given = Given(scene_tag=scene_tag, scene_tags=scene_tags_of(plant))
    return tickets.step(
        ticket_id,
        Step.ARCHIVE,
        given,
        by,
        lambda t: replace(t, scene_tag=scene_tag or t.scene_tag, archived_ns=by["now_ns"]),
    )


def _on_site(ticket: Ticket) -> SubState:
    """Whoever waits for parts goes on waiting, at the machine now."""
    waits = ticket.sub_state is SubState.PARTS_ALLOCATION
    return SubState.PARTS_ALLOCATION if waits else SubState.SITE_SURVEY
