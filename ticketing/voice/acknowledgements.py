"""One department hands work to another, which acknowledges within 15 minutes, or its leader hears of it (rule 35, K2).

What is asked and what answers it are read from the ticket's audit whenever its clocks are reviewed, so that no way of
handing over can forget it: by hand, by a rule, to a backup, by taking a collaborator in.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import BigInteger, Connection, bindparam, select
from sqlalchemy import update as sql_update

from andon.database import Machines, among, behind
from andon.events import MINUTE_NS
from andon.plant import Plant, once_per_plant
from ticketing.book import MACHINE, Book
from ticketing.clocks import by_hand
from ticketing.deeds import Doer
from ticketing.duty import who
from ticketing.errors import DeedRefused
from ticketing.raci import Role
from ticketing.sla import lines_of
from ticketing.sql import upsert
from ticketing.stepping import lock
from ticketing.tables import ticket as tickets
from ticketing.ticket import UNRESOLVED, Ticket, TicketEvent
from ticketing.timers import Timer, set_timer
from ticketing.voice.tables import acknowledgement

TIMER = "acknowledgement"
_NO_ANSWER = frozenset({"decline", "transfer", "comment", "photo", "enquiry"})
"""What people of the other department may do without taking it on."""
_ORDER = (acknowledgement.c.due_ns, acknowledgement.c.ticket, acknowledgement.c.seq)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What one department asked of another by an audit line (`seq`); `void_ns`: it was no longer asked, unanswered."""

    ticket: int
    seq: int
    from_department: str
    to_department: str
    person: str
    asked_by: str
    asked_ns: int
    due_ns: int
    acknowledged_ns: int | None = None
    by: str | None = None
    void_ns: int | None = None

    @property
    def waits(self) -> bool:
        """Whether it is still to be acknowledged."""
        return self.acknowledged_ns is None and self.void_ns is None


@once_per_plant
def departments(plant: Plant) -> Mapping[str, str]:
    """Person -> department, of those who have one."""
    return {one.id: one.department for one in plant.people if one.department}


def asked(
    ticket: Ticket, lines: Sequence[TicketEvent], of: Mapping[str, str], within_ns: int
) -> Iterator[Acknowledgement]:
    """What departments asked of others on a ticket, by its audit, each with what answered it.

    Work goes from the department of whoever had it (at first: of whoever asked for it) to that of whoever gets it.
    Another person of the same department goes on with what was asked already.
    """
    waits: dict[str, int] = {}
    for place, line in enumerate(lines):
        waits = {to: until for to, until in waits.items() if place < until}
        found = _handed(line, ticket, of) or _joined(line, ticket, of)
        if found is None or found.to_department in waits:
            continue
        until, answered = _answer(found, place, lines, ticket, of)
        waits[found.to_department] = until
        yield replace(answered, due_ns=found.asked_ns + within_ns)


def _handed(line: TicketEvent, ticket: Ticket, of: Mapping[str, str]) -> Acknowledgement | None:
    """What the line asks of the department of a new assignee, who did not take the ticket by themselves."""
    before, after = line.changes.get("assignee", (None, None))
    if not after or after == line.actor:
        return None
    owners = (before,) if before else (ticket.requester, ticket.reporter, line.actor)
    return _between(line, next((of[one] for one in owners if one and one in of), ""), after, of)


def _joined(line: TicketEvent, ticket: Ticket, of: Mapping[str, str]) -> Acknowledgement | None:
    """What the line asks of a collaborator who is to do more than be informed."""
    before, after = line.changes.get("collaborators", ({}, {}))
    new = [one for one in after if after[one] != Role.INFORMED and before.get(one) in {None, Role.INFORMED}]
    owner = of.get(line.actor) or of.get(ticket.assignee or "", "")
    found = (_between(line, owner, one, of) for one in new if one != line.actor)
    return next((one for one in found if one is not None), None)


def _between(line: TicketEvent, owner: str, person: str, of: Mapping[str, str]) -> Acknowledgement | None:
    other = of.get(person, "")
    if not owner or not other or owner == other:
        return None
    at_ns = line.at_ns
    return Acknowledgement(line.ticket, line.seq, owner, other, person, line.actor, at_ns, at_ns)


def _answer(
    one: Acknowledgement, place: int, lines: Sequence[TicketEvent], ticket: Ticket, of: Mapping[str, str]
) -> tuple[int, Acknowledgement]:
    """Up to which line it was waited for, and how that ended: acknowledged, void, or not yet."""
    theirs = "assignee" in lines[place].changes
    for later, line in enumerate(lines[place + 1 :], place + 1):
        if _answers(line, ticket) and of.get(line.actor) == one.to_department:
            return later, replace(one, acknowledged_ns=line.at_ns, by=line.actor)
        _, now = line.changes.get("assignee", (None, one.person))
        if line.to_state not in UNRESOLVED or (theirs and of.get(now or "") != one.to_department):
            return later, replace(one, void_ns=line.at_ns)
    return len(lines), one


def _answers(line: TicketEvent, ticket: Ticket) -> bool:
    return line.action not in _NO_ANSWER and by_hand(line, ticket)


Handler = Callable[[Book, Plant, Timer], None]


def after(review: Handler) -> Handler:
    """A review of a ticket's clocks that looks at its acknowledgements too."""

    def review_both(book: Book, plant: Plant, timer: Timer) -> None:
        review(book, plant, timer)
        if departments(plant):
            follow(book, plant, book.ticket(int(timer.subject.partition("/")[2])))

    return review_both


def follow(book: Book, plant: Plant, ticket: Ticket) -> Sequence[Acknowledgement]:
    """Keep what its audit says: new requests with their timers, and what became of those that waited.

    What is kept stays, whoever changes department since.
    """
    within_ns = round(plant.voice.acknowledge_within_min * MINUTE_NS)
    found = asked(ticket, lines_of(book.conn, ticket.id), departments(plant), within_ns)
    stored = {one.seq: one for one in of_ticket(book.conn, ticket.id)}
    for one in found:
        known = stored.get(one.seq)
        if known is None:
            upsert(book.conn, acknowledgement, [{name: getattr(one, name) for name in _COLUMNS}])
            if one.waits:
                set_timer(book, Timer(TIMER, f"ticket/{ticket.id}", one.due_ns + 1, cycle=one.seq))
        elif known.waits and not one.waits:
            _end(book, replace(known, acknowledged_ns=one.acknowledged_ns, by=one.by, void_ns=one.void_ns))
    return of_ticket(book.conn, ticket.id)


def acknowledge(by: Doer, plant: Plant, ticket_id: int) -> Acknowledgement:
    """Somebody of the department that is waited for has seen it; DeedRefused if nothing is asked of theirs."""
    with by.tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        ticket = book.ticket(ticket_id)
        mine = departments(plant).get(by.actor, "")
        waiting = [one for one in follow(book, plant, ticket) if one.waits and one.to_department == mine]
        if not mine or not waiting:
            raise DeedRefused(
                "nothing_to_acknowledge", f"{ticket.number}: nothing is asked of your department"
            )
        book.record(ticket, action="acknowledged", actor=by.actor, channel=by.channel, reason=mine)
        ended = [replace(one, acknowledged_ns=book.now_ns, by=by.actor) for one in waiting]
        for one in ended:
            _end(book, one)
        return ended[0]


def overdue(book: Book, plant: Plant, timer: Timer) -> None:
    """Fifteen minutes have passed: whom it was handed to, who handed it over and a leader hear of it, if it still waits."""
    ticket_id = int(timer.subject.partition("/")[2])
    lock(book.conn, ticket_id)
    ticket = book.ticket(ticket_id)
    one = next((one for one in follow(book, plant, ticket) if one.seq == timer.cycle and one.waits), None)
    if one is None:
        return
    way = f"{one.from_department} → {one.to_department}"
    limit_min = (one.due_ns - one.asked_ns) / MINUTE_NS
    ticket = book.record(
        ticket,
        action="unacknowledged",
        actor=f"rule/{TIMER}",
        channel=MACHINE,
        reason=way,
        numbers={"limit_min": limit_min},
        evidence=(one.person,),
    )
    leader = who(plant.voice.unacknowledged_to, ticket.line, book.now_ns, plant, {})
    asker = one.asked_by if one.asked_by in departments(plant) else ticket.requester
    told = {"actor": f"rule/{TIMER}", "reason": way}
    book.tell(ticket, "ticket.unacknowledged", (one.person, asker, leader.person, leader.backup), told)


def of_ticket(conn: Connection, ticket_id: int) -> tuple[Acknowledgement, ...]:
    """What departments asked of others on a ticket, in order."""
    c = acknowledgement.c
    rows = conn.execute(select(acknowledgement).where(c.ticket == ticket_id).order_by(c.seq)).mappings()
    return tuple(Acknowledgement(**row) for row in rows)


def waiting(
    conn: Connection,
    department: str = "",
    *,
    machines: Machines = None,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> tuple[Acknowledgement, ...]:
    """What is still to be acknowledged, by one department or by all, the next due first."""
    c = acknowledgement.c
    joined = select(acknowledgement).join(tickets, tickets.c.id == c.ticket)
    wheres = [c.acknowledged_ns.is_(None), c.void_ns.is_(None), among(tickets.c.asset, machines)]
    wheres += [c.to_department == department] if department else []
    rows = conn.execute(
        joined.where(*wheres, behind(_ORDER, after)).order_by(*_ORDER).limit(limit)
    ).mappings()
    return tuple(Acknowledgement(**row) for row in rows)


_COLUMNS = tuple(column.name for column in acknowledgement.columns)
_ENDED = (
    sql_update(acknowledgement)
    .where(
        acknowledgement.c.ticket == bindparam("_ticket", type_=BigInteger),
        acknowledgement.c.seq == bindparam("_seq", type_=BigInteger),
    )
    .values({name: bindparam(name) for name in ("acknowledged_ns", "by", "void_ns")})
)


def _end(book: Book, one: Acknowledgement) -> None:
    ended = {"acknowledged_ns": one.acknowledged_ns, "by": one.by, "void_ns": one.void_ns}
    book.conn.execute(_ENDED, {"_ticket": one.ticket, "_seq": one.seq, **ended})
