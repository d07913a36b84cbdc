"""A person takes a ticket that waits for dispatch: by accepting an offer, or by claiming it (rule 19)."""

from dataclasses import dataclass, replace

from andon.plant import Plant
from ticketing import offers
from ticketing.book import Book
from ticketing.demands import Given
from ticketing.dispatch import Dispatch, case_of
from ticketing.errors import DeedRefused, Missing, NoEdge, StepRefused
from ticketing.offers import Offer, OfferState
from ticketing.routing import lacks, need_of
from ticketing.service import Tickets
from ticketing.states import Step, next_steps
from ticketing.stepping import CONSOLE, lock, take
from ticketing.ticket import SubState, Ticket, TicketState


@dataclass(frozen=True, slots=True)
class Taker:
    """Who takes it, when (server time), from where, and how the work begins."""

    actor: str
    now_ns: int
    sub_state: SubState = SubState.SITE_SURVEY
    channel: str = CONSOLE


def accept_offer(tickets: Tickets, ticket_id: int, plant: Plant, by: Taker) -> Ticket:
    """The first to accept has it, the other offers are withdrawn; whoever comes later is told who was first.

    DeedRefused (not_offered, offer_gone). Accepting again what one has accepted changes nothing.
    """
    with tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        ticket = book.ticket(ticket_id)
        mine = _offer_to(book, ticket, by.actor)
        if mine.state is OfferState.ACCEPTED and ticket.assignee == by.actor:
            return ticket
        if mine.state is not OfferState.OPEN or ticket.state is not TicketState.PENDING_DISPATCH:
            raise _gone(ticket, mine)
        offers.answer(book, ticket, by.actor, OfferState.ACCEPTED)
        return _take(book, ticket, plant, by, "offer accepted")


def decline_offer(
    tickets: Tickets, ticket_id: int, *, reason: str, actor: str, now_ns: int, channel: str = CONSOLE
) -> Ticket:
    """One of those asked does not take it, and says why; when nobody is left to answer, it goes further at once."""
    with tickets.transaction(now_ns) as book:
        lock(book.conn, ticket_id)
        ticket = book.ticket(ticket_id)
        mine = _offer_to(book, ticket, actor)
        if mine.state is not OfferState.OPEN:
            raise _gone(ticket, mine)
        if not reason.strip():
            raise StepRefused("offer_decline", ticket.state, [Missing("reason")])
        offers.answer(book, ticket, actor, OfferState.DECLINED, reason)
        ticket = book.record(ticket, action="offer_decline", actor=actor, channel=channel, reason=reason)
        if not any(one.state is OfferState.OPEN for one in offers.of(book.conn, ticket_id)):
            offers.end_now(book, ticket, mine.round)
        return ticket


def claim(tickets: Tickets, ticket_id: int, plant: Plant, by: Taker) -> Ticket:
    """A person takes a waiting ticket for themselves; StepRefused without the skill that it asks for."""
    with tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        ticket = book.ticket(ticket_id)
        if ticket.state is not TicketState.PENDING_DISPATCH:
            raise NoEdge(ticket.state, "claim", tuple(next_steps(ticket, Given())))
        person = next((one for one in plant.people if one.id == by.actor), None)
        if person is None:
            raise StepRefused("claim", ticket.state, [Missing("person", "unknown")])
        missing = lacks(need_of(case_of(ticket), plant), person)
        if missing:
            raise StepRefused("claim", ticket.state, [Missing("skill", " / ".join(missing[0]))])
        return _take(book, ticket, plant, by, "claimed")


def _offer_to(book: Book, ticket: Ticket, person: str) -> Offer:
    """The newest offer of the ticket to that person."""
    mine = next((one for one in offers.of(book.conn, ticket.id) if one.person == person), None)
    if mine is None:
        raise DeedRefused("not_offered", f"{ticket.number} was not offered to {person}; it can be claimed")
    return mine


def _gone(ticket: Ticket, mine: Offer) -> DeedRefused:
    if ticket.assignee is not None:
        return DeedRefused("offer_gone", f"{ticket.number} has been taken by {ticket.assignee}")
    return DeedRefused("offer_gone", f"the offer of {ticket.number} is {mine.state}; it can be claimed")


def _take(book: Book, ticket: Ticket, plant: Plant, by: Taker, reason: str) -> Ticket:
    """Both steps at once: the ticket is assigned to the person, who has accepted it by taking it."""
    dispatch = Dispatch(book, plant)
    backup = dispatch.backup_for(ticket, by.actor)
    given = Given(
        actor=by.actor,
        person=by.actor,
        backup=backup or "",
        known_people=frozenset(dispatch.roster.people),
        reason=reason,
    )
    ticket = take(
        book,
        ticket,
        Step.ASSIGN,
        given,
        lambda t: replace(t, assignee=by.actor, backup=backup, assigned_ns=by.now_ns),
        channel=by.channel,
        tell=(by.actor, backup),
    )
    return take(
        book,
        ticket,
        Step.ACCEPT,
        Given(actor=by.actor, sub_state=by.sub_state),
        lambda t: replace(t, sub_state=by.sub_state, accepted_ns=by.now_ns, claim_misses=0),
        channel=by.channel,
        tell=(ticket.requester,),
    )
