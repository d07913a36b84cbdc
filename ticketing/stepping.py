"""One step of a ticket inside a transaction: look, check the edge's demands, change, put on record, tell."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from andon.plant import Plant
from ticketing import moving
from ticketing.aftermath import other_open_ticket, settle
from ticketing.audit import since_version
from ticketing.book import Book, lock_assets
from ticketing.demands import Demand, Given, SignedBy
from ticketing.errors import KeyTaken, Missing, StaleVersion, StepRefused, TicketNotFound
from ticketing.operations.work import undone
from ticketing.outcomes import repaired
from ticketing.requisitions import of_ticket, open_in
from ticketing.rows import event_of
from ticketing.signing import use_code
from ticketing.states import OUTCOMES, Step, check
from ticketing.tables import photo as photos
from ticketing.tables import ticket as tickets
from ticketing.tables import ticket_event
from ticketing.ticket import UNRESOLVED, Closure, Outcome, SubState, Ticket

SIGNATURE = "signature"
"""The stage of a picture that is a signature, and no photo of the work."""

CONSOLE = "console"

CLOSURES: Mapping[Step, Closure] = {
    Step.CANCEL: Closure.CANCELLED,
    Step.FALSE_ALARM: Closure.FALSE_ALARM,
    Step.CLOSE_UNSIGNED: Closure.UNSIGNED,
}


def lock(conn: Connection, *ticket_ids: int) -> None:
    """Take the locks under which these tickets change; TicketNotFound if there is no such ticket."""
    chosen = select(tickets.c.id, tickets.c.asset).where(tickets.c.id.in_(ticket_ids))
    found = {row.id: row.asset for row in conn.execute(chosen)}
    for ticket_id in ticket_ids:
        if ticket_id not in found:
            raise TicketNotFound(ticket_id)
    lock_assets(conn, found.values())


def look(book: Book, expected_version: int, ticket_id: int, *others: int) -> Ticket:
    """The ticket, locked with the others; StaleVersion, with what changed, if it has moved on since the caller looked."""
    lock(book.conn, ticket_id, *others)
    ticket = book.ticket(ticket_id)
    if ticket.version != expected_version:
        lines = select(ticket_event).where(ticket_event.c.ticket == ticket_id).order_by(ticket_event.c.seq)
        events = [event_of(row) for row in book.conn.execute(lines).mappings()]
        since = since_version(events, expected_version)
        raise StaleVersion(ticket_id, expected=expected_version, actual=ticket.version, since=since)
    return ticket


def known(conn: Connection, ticket: Ticket, given: Given) -> Given:
    """What was given, with what the store knows of this round: photos, signatures, open requisitions."""
    of_round = select(photos.c.stage).where(
        photos.c.ticket == ticket.id, photos.c.cycle == ticket.reopen_count
    )
    stages = conn.execute(of_round).scalars().all()
    return replace(
        given,
        photos=sum(stage != SIGNATURE for stage in stages),
        signatures=sum(stage == SIGNATURE for stage in stages),
        requisitions=len(open_in(conn, ticket.id)),
        operations=len(undone(conn, ticket.id)),
    )


def take(
    book: Book,
    before: Ticket,
    step: Step,
    given: Given,
    change: Callable[[Ticket], Ticket],
    *,
    channel: str = CONSOLE,
    tell: Iterable[str | None] | Callable[[Ticket], Iterable[str | None]] = (),
) -> Ticket:
    """Take a step on a ticket that is locked and looked at; NoEdge, StepRefused or KeyTaken if it cannot be taken."""
    given = known(book.conn, before, replace(given, now_ns=book.now_ns))
    if SubState.PARTS_ALLOCATION in {before.sub_state, given.sub_state} and step is Step.SUBSTATE:
        numbers = (one.number for one in of_ticket(book.conn, before.id))
        given = replace(given, evidence=(*given.evidence, *numbers))
    state = check(before, step, given)
    if step is Step.SIGN and given.signed_by is SignedBy.SMS and (why := use_code(book, before)):
        raise StepRefused(step, before.state, [Missing(Demand.SIGNATURE, why)])
    taken = other_open_ticket(book.conn, before) if step is Step.REOPEN else None
    if taken is not None:
        raise KeyTaken(before.id, taken)
    after = book.record(
        change(replace(before, state=state)),
        action=step,
        actor=given.actor,
        channel=channel,
        reason=given.reason or _scores(before, given),
        evidence=given.evidence,
    )
    settle(book, before, after, given)
    people = tell(after) if callable(tell) else tell
    said = {"reason": given.reason, "actor": given.actor, "photos": _shown(book.conn, before, step)}
    book.tell(after, f"ticket.{step}", people, said)
    return after


def _shown(conn: Connection, ticket: Ticket, step: Step) -> list[str]:
    """The photos that tell what was done, oldest first: those of the round that ends."""
    if step is not Step.RESOLVE:
        return []
    c = photos.c
    of_round = c.ticket == ticket.id, c.cycle == ticket.reopen_count, c.stage != SIGNATURE
    return list(conn.execute(select(c.sha256).where(*of_round).order_by(c.at_ns, c.sha256)).scalars())


def give_up(
    book: Book,
    ticket: Ticket,
    step: Step,
    given: Given,
    outcome: Outcome | None,
    *,
    channel: str = CONSOLE,
) -> Ticket:
    """Close a ticket without a repair or a signature; the event that opened it is the evidence of what it was about."""
    return take(
        book,
        ticket,
        step,
        replace(given, evidence=given.evidence or (ticket.headline.finding,)),
        lambda t: replace(
            t,
            sub_state=None,
            hold=None,
            closure=CLOSURES[step],
            closure_note=given.reason,
            outcome=outcome if step in OUTCOMES else repaired(t),
            approver=given.approver,
            closed_ns=book.now_ns,
        ),
        channel=channel,
        tell=lambda t: (t.assignee, t.requester),
    )


def as_duplicate(book: Book, ticket: Ticket, of: int, given: Given, *, channel: str = CONSOLE) -> Ticket:
    """Merge a ticket into another one that is worked on; gives the closed one. Both must be locked."""
    winner = book.ticket(of)
    check(ticket, Step.DUPLICATE, replace(given, master=of))
    if winner.state not in UNRESOLVED:
        raise StepRefused(Step.DUPLICATE, ticket.state, [Missing(Demand.MASTER, f"is_{winner.state}")])
    closed, _ = moving.merge(
        book,
        ticket,
        winner,
        reason=given.reason,
        approver=given.approver,
        actor=given.actor,
        channel=channel,
    )
    return closed


def codes_of(plant: Plant, asset_id: str) -> frozenset[str]:
    """What can be scanned at a machine: its id and its serial number."""
    asset = plant.asset(asset_id)
    return frozenset(code for code in (asset_id, asset.serial if asset else "") if code)


def entitled(plant: Plant, roles: Sequence[str]) -> frozenset[str] | None:
    """The people of these roles; everybody where nobody has one, None (nobody asks) where the plant names no people."""
    wanted = {_plain(role) for role in roles}
    found = frozenset(p.id for p in plant.people if _plain(p.role) in wanted)
    return found or frozenset(p.id for p in plant.people) or None


def _plain(role: str) -> str:
    return " ".join(role.casefold().replace("_", " ").replace("-", " ").split())


def _scores(ticket: Ticket, given: Given) -> str:
    """The reason that routing gives for the person it suggests."""
    chosen = ticket.suggestion
    return f"routing/{chosen.rule}" if chosen and given.person and given.person == chosen.person else ""
