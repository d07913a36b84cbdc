"""What a partner says, done once: a step of a ticket, what it knows of one, a new order, a level of its stock.

What is done and that it was heard are one transaction, so that an event that comes again, because its answer was lost, is
answered the same and changes nothing. The rules of tickets hold for partners as for people: what they refuse is answered
with its code, put on record, and the partner is told the true state again.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import msgspec
from sqlalchemy import Connection, func, insert, select

from andon.events import HOUR_NS, Json
from andon.plant import Plant
from andon.rules.partners import Partner
from ticketing import reports
from ticketing.book import Book
from ticketing.errors import DeedRefused, Missing, NoEdge, StepRefused, TicketingError
from ticketing.partners.confirming import confirm, newest
from ticketing.partners.following import hears_of, tell_truth
from ticketing.partners.mapping import mapped
from ticketing.partners.stock import actor_of, level
from ticketing.partners.tables import partner_event
from ticketing.partners.verifying import NotHeard, Said
from ticketing.rows import ticket_of
from ticketing.service import By, Tickets
from ticketing.sql import to_json
from ticketing.states import EDGES, Step
from ticketing.stepping import lock, look
from ticketing.tables import ticket as tickets_table
from ticketing.ticket import Ticket
from ticketing.triage import InBook

LOOP, LOOP_NS = 20, HOUR_NS
"""More steps of partners than this on one ticket within an hour are an echo between two that insist."""
TICKETS_MOST = 1000
Deed = Callable[[Tickets, int, str, Mapping[str, Json], Plant, By], Ticket]
"""Takes a step by its name with what it needs, as every console does; TicketingError says what is missing."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of an event: the answer's status and body, and what is put on record of it."""

    status: int
    outcome: str
    code: str = ""
    more: Mapping[str, Json] = field(default_factory=dict)
    ticket: int | None = None
    version: int | None = None
    report: int | None = None
    resend: tuple[int, ...] = ()

    @property
    def answer(self) -> Mapping[str, Json]:
        """What the partner is answered."""
        return {"outcome": self.outcome, "code": self.code, **self.more}


@dataclass(frozen=True, slots=True)
class Hearing:
    """Who speaks to which installation, and how its steps are taken. `status_of`: the code of a refusal -> HTTP status."""

    tickets: Tickets
    plant: Plant
    partner: Partner
    deed: Deed
    status_of: Callable[[str], int]


def hear(by: Hearing, said: Said, now_ns: int) -> tuple[int, Mapping[str, Json]]:
    """Do what a verified event asks for, once; gives the status and body of the answer.

    NotHeard where it cannot be judged yet, or its id was another event's: then nothing is kept.
    """
    digest = hashlib.sha256(said.body).hexdigest()
    with by.tickets.transactions(now_ns) as book_of_its_own:
        with book_of_its_own() as book:
            before = _before(book.conn, by.partner, said.event.id)
        if before is not None:
            if before[0] != digest:
                raise NotHeard(409, "id_reused", "that id was another event's: each has its own")
            return before[1], before[2]
        heard = _done(by, said, book_of_its_own)
        with book_of_its_own() as book:
            heard = _settled(book, by, heard)
            _keep(book, by.partner, said, digest, heard)
    return heard.status, heard.answer


def _before(conn: Connection, partner: Partner, event: str) -> tuple[str, int, Mapping[str, Json]] | None:
    c = partner_event.c
    known = select(c.sha256, c.status, c.answer).where(c.partner == partner.code, c.event == event)
    row = conn.execute(known).first()
    return None if row is None else (row.sha256, row.status, msgspec.json.decode(row.answer, type=dict))


def _done(by: Hearing, said: Said, own: Callable[[], AbstractContextManager[Book]]) -> Heard:
    """Do it in a savepoint: what is refused leaves nothing behind but its record."""
    ticket: int | None = None
    try:
        with own() as book:
            meaning = by.partner.meaning(said.event.type)
            if meaning is None:
                raise DeedRefused("type_unknown", f"{said.event.type[:100]} is no event of a partner")
            told = mapped(said.event.data, by.partner.reads.get(meaning, {}))
            given = {**by.partner.defaults.get(meaning, {}), **told}
            if meaning == "transition":
                ticket = _ticket(book, by.partner, given)
            return _DO[meaning](book, by, given, said.event.id)
    except NotHeard:
        raise
    except TicketingError as error:
        status = by.status_of(error.code)
        more = {"detail": str(error), **_missing(error)}
        again = () if ticket is None else (ticket,)
        return Heard(status, "refused", error.code, more, ticket=ticket, resend=again)


def _missing(error: TicketingError) -> Mapping[str, Json]:
    if isinstance(error, NoEdge):
        return {"allowed": list(error.allowed)}
    lacking: Sequence[Missing] = getattr(error, "missing", ())
    return {"missing": [{"demand": str(one.demand), "why": one.why} for one in lacking]} if lacking else {}


def _transition(book: Book, by: Hearing, given: Mapping[str, Json], _event: str) -> Heard:
    """A step by its word, or the state that the partner wants: there already is nothing to do."""
    number = _ticket(book, by.partner, given)
    lock(book.conn, number)
    ticket, word = book.ticket(number), given.get("state")
    if isinstance(word, str) and by.partner.state(word) == ticket.state and "step" not in given:
        return Heard(200, "already", more=_stands(by.partner, ticket), ticket=number)
    version = given.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise DeedRefused("version_missing", "name the version of the ticket that you looked at")
    if version > ticket.version:
        raise NotHeard(
            425, "too_early", f"{ticket.number} is at version {ticket.version}: say it again later"
        )
    look(book, version, number)
    _no_loop(book, number)
    step = _step(by.partner, ticket, given)
    with_ = given.get("with", {})
    if not isinstance(with_, dict):
        raise StepRefused(step, ticket.state, [Missing("with", "no_object")])
    channel, user = actor_of(by.partner), given.get("user")
    actor = by.partner.people.get(user, channel) if isinstance(user, str) else channel
    who = By(actor=actor, now_ns=book.now_ns, expected_version=version, channel=channel)
    after = by.deed(InBook(book), number, step, with_, by.plant, who)
    return Heard(200, "applied", more=_stands(by.partner, after), ticket=number, version=after.version)


def _no_loop(book: Book, number: int) -> None:
    c = partner_event.c
    lately = select(func.count()).where(
        c.ticket == number, c.outcome == "applied", c.received_ns > book.now_ns - LOOP_NS
    )
    if book.conn.execute(lately).scalar_one() >= LOOP:
        raise DeedRefused(
            "echo_loop", f"partners took {LOOP} steps on this ticket within an hour: two insist"
        )


def _step(partner: Partner, ticket: Ticket, given: Mapping[str, Json]) -> str:
    """The step that its word means, or the only one that leads to the state it wants."""
    word = given.get("step")
    if isinstance(word, str):
        step = partner.steps.get(word, "" if partner.steps else word)
        if step not in set(Step) - {Step.FAIL_AGAIN}:
            raise DeedRefused(
                "step_unknown", f"{word[:100]!r} means no step; the plant document has the words"
            )
        return step
    wanted = partner.state(str(given.get("state", "")))
    may = set(partner.steps.values()) or set(Step)
    ways = [step for (at, to), steps in EDGES.items() if (at, to) == (ticket.state, wanted) for step in steps]
    ways = [step for step in ways if step in may and step is not Step.FAIL_AGAIN]
    if len(ways) != 1:
        allowed = [partner.word(to) for at, to in EDGES if at is ticket.state]
        raise NoEdge(ticket.state, wanted[:100], ways or allowed)
    return ways[0]


def _confirmed(book: Book, by: Hearing, given: Mapping[str, Json], _event: str) -> Heard:
    """What the partner keeps, of one ticket or of many: what is right is confirmed, the rest is told again."""
    listed = given.get("tickets", [given])
    if not isinstance(listed, list) or len(listed) > TICKETS_MOST:
        raise DeedRefused("too_many_tickets", f"tickets is a list of {TICKETS_MOST} at most")
    right, wrong = 0, []
    for one in listed:
        number = _ticket(book, by.partner, one if isinstance(one, dict) else {})
        version, word = one.get("version"), one.get("state", "")
        if isinstance(version, bool) or not isinstance(version, int) or not isinstance(word, str):
            raise DeedRefused(
                "version_missing", "name the version and the state of each ticket that you keep"
            )
        right += confirm(book.conn, by.partner, number, version, now_ns=book.now_ns, word=word)
        ticket = book.ticket(number)
        if version < max(ticket.version, newest(book.conn, by.partner.code, number)) or _differs(
            by.partner, ticket, one
        ):
            wrong.append(number)
    more = {"confirmed": right, "sent_again": [book.ticket(one).number for one in wrong]}
    only = _ticket(book, by.partner, listed[0]) if len(listed) == 1 else None
    return Heard(200, "noted", more=more, ticket=only, resend=tuple(wrong))


def _differs(partner: Partner, ticket: Ticket, one: Mapping[str, Json]) -> bool:
    word = one.get("state", "")
    return bool(word) and partner.state(word) != ticket.state


def _order(book: Book, by: Hearing, given: Mapping[str, Json], event: str) -> Heard:
    """An order with its customer becomes a report, and so a ticket or a refusal, by the rules of every report."""
    taken = InBook(book)
    told = reports.receive(
        taken,
        to_json(given).encode(),
        actor=actor_of(by.partner),
        came_by="partner",
        now_ns=book.now_ns,
        idempotency=event,
    )
    reports.take_up(book, by.plant, told.id)
    return Heard(200, "applied", report=told.id)


def _stock(book: Book, by: Hearing, given: Mapping[str, Json], _event: str) -> Heard:
    outcome, more = level(book, by.partner, given)
    return Heard(200, outcome, "older_sequence" if outcome == "already" else "", more)


_DO: Mapping[str, Callable[[Book, Hearing, Mapping[str, Json], str], Heard]] = {
    "transition": _transition,
    "confirmed": _confirmed,
    "order": _order,
    "stock": _stock,
}


def _settled(book: Book, by: Hearing, heard: Heard) -> Heard:
    """With what came of it: the ticket of an order, the true state of a ticket whose step was refused."""
    if heard.report is not None:
        told = reports.one(book.conn, heard.report)
        if told.ticket is None:
            missing = [{"demand": one.demand, "why": one.why} for one in told.missing]
            return replace(
                heard, status=422, outcome="refused", code=told.refusal or "", more={"missing": missing}
            )
        ticket = book.ticket(told.ticket)
        more = {**_stands(by.partner, ticket), "rule": str(told.rule)}
        heard = replace(heard, ticket=ticket.id, version=ticket.version, more=more)
    for number in heard.resend:
        tell_truth(book, by.plant, by.partner, number)
    if heard.outcome == "refused" and heard.ticket is not None:
        heard = replace(heard, more={**heard.more, **_stands(by.partner, book.ticket(heard.ticket))})
    return heard


def _keep(book: Book, partner: Partner, said: Said, digest: str, heard: Heard) -> None:
    row = {
        "partner": partner.code,
        "event": said.event.id,
        "type": said.event.type[:100],
        "sha256": digest,
        "received_ns": book.now_ns,
        "ticket": heard.ticket,
        "version": heard.version,
        "outcome": heard.outcome,
        "code": heard.code,
        "status": heard.status,
        "answer": to_json(heard.answer),
        "body": to_json(said.event.data),
    }
    book.conn.execute(insert(partner_event), row)


def _stands(partner: Partner, ticket: Ticket) -> Mapping[str, Json]:
    """Where the ticket stands, for the partner."""
    return {"ticket": ticket.number, "version": ticket.version, "state": partner.word(ticket.state)}


def _ticket(book: Book, partner: Partner, given: Mapping[str, Json]) -> int:
    """The ticket that is named by its number and that the partner hears of; else there is none."""
    name = given.get("ticket")
    found = select(tickets_table).where(tickets_table.c.number == (name if isinstance(name, str) else ""))
    row = book.conn.execute(found).mappings().first()
    if row is None or not hears_of(partner, ticket_of(row)):
        raise DeedRefused("ticket_not_found", f"there is no ticket {str(name)[:40]}")
    return int(row["id"])
