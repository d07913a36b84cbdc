"""Whom a ticket goes to: routing with what the store knows, every decision kept with all that was weighed (law 11).

`consider` decides and writes nothing; `Dispatch` decides for tickets, in their transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec
from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Integer, String, Table, Text, select

from andon.events import HOUR_NS, Json
from andon.frozen import changed
from andon.plant import Plant
from ticketing import offers
from ticketing.book import Book
from ticketing.candidates import packed, unpacked
from ticketing.duty import Roster
from ticketing.presence import recall_presence
from ticketing.recall import recall_done, recall_loads
from ticketing.routing import Case, Loads, Need, need_of, suggest, unclaimed
from ticketing.sql import metadata, to_json
from ticketing.tables import ticket_event
from ticketing.ticket import Candidate, Suggestion, Ticket, TicketState
from ticketing.timers import Timer, set_timer

KIND = "route"
"""The timer that has a ticket routed again, by the plant document that is in force then."""
WHY = ("opened", "reopened", "declined", "split", "unclaimed", "takeover", "reassigned", "edited", "test")
"""What a decision is made for."""
SHOWN = 5
"""Candidates that a ticket carries with it; the decision has them all."""

routing_decision = Table(
    "routing_decision",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("why", String(24), nullable=False),
    Column("plant_version", BigInteger, nullable=False),
    Column("routing", String(64), nullable=False),
    Column("rule", String(24), nullable=False),
    Column("person", Text),
    Column("backup", Text),
    Column("offer_to", Text, nullable=False),
    Column("need", Text, nullable=False),
    Column("candidates", Text, nullable=False),
)
"""`seq` is the length of the ticket's audit when it was decided."""

_NEED = msgspec.json.Decoder(dict[str, Json])
_NAMES = msgspec.json.Decoder(tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice of routing: what was asked for, everyone weighed, and who was named by which rule of which plant.

    `why` says what it was made for: "opened", "declined", "split" ...; `need` is what was asked of a person.
    """

    at_ns: int
    why: str
    plant_version: int
    routing: str
    rule: str
    person: str | None
    backup: str | None
    offer_to: tuple[str, ...]
    need: Mapping[str, Json]
    candidates: tuple[Candidate, ...]


def consider(conn: Connection, plant: Plant, case: Case, at_ns: int) -> Decision:
    """What would be decided for such a ticket at that moment; nothing is written."""
    need = need_of(case, plant)
    chosen = suggest(
        need, Roster(plant, at_ns, recall_presence(conn)), _loads(conn, plant, case.asset, at_ns)
    )
    return _decision(need, chosen, plant, at_ns, "test")


def case_of(ticket: Ticket) -> Case:
    """What routing looks at of a ticket."""
    head = ticket.headline
    return Case(
        type=str(ticket.type),
        asset=ticket.asset,
        priority=ticket.priority,
        fault_type=ticket.fault_type,
        urgent=ticket.urgent,
        kinds=(head.text.get("category", ""), head.condition, str(head.family)),
        line=ticket.line,
        region=ticket.region,
    )


class Dispatch:
    """Decides for the tickets of one transaction: loads and presence are read once, and loads grow with what is decided."""

    def __init__(self, book: Book, plant: Plant) -> None:
        self._book = book
        self._plant = plant
        self._done: dict[str, Mapping[str, int]] = {}

    def decide(self, ticket: Ticket, why: str, *, without: frozenset[str] = frozenset()) -> Ticket:
        """The ticket with whom routing names for it now; the decision is kept. `without`: those who are out."""
        need = need_of(case_of(ticket), self._plant, without)
        self._give(ticket.suggestion.person if ticket.suggestion else None, -1)
        chosen = suggest(need, self.roster, self._loads(ticket.asset))
        return self._keep(ticket, need, chosen, why)

    def send(self, ticket: Ticket, *, tell: bool = False) -> Ticket:
        """Offer a ticket to whom its suggestion offers it; if nobody could be asked, tell those named instead."""
        chosen = ticket.suggestion
        rule = next((r for r in self._plant.routing.rules if chosen and r.name == chosen.routing), None)
        if chosen is None:
            return ticket
        if chosen.offer_to and rule is not None:
            return offers.make(self._book, ticket, chosen, rule.offer_s)
        named = (chosen.person or "dispatch", chosen.backup)
        said = {"rule": chosen.rule, "offer_s": None}
        if rule is not None and rule.offer_to:
            self._book.tell(ticket, "ticket.unclaimed", named, said)
        elif tell:
            self._book.tell(ticket, "ticket.routed", named[:1], said)
        return ticket

    def again(self, ticket: Ticket, why: str) -> Ticket:
        """Route a ticket that is back in dispatch, by those who have not declined it, and put that on record."""
        ticket = self.decide(ticket, why, without=_declined(self._book.conn, ticket))
        return self.send(self._record(ticket, why), tell=True)

    def has_turned(self, before: Ticket, after: Ticket) -> bool:
        """Whether what became of a ticket that waits asks for other people, or is a matter of another rule."""
        if after.state is not TicketState.PENDING_DISPATCH or _asked(before) == _asked(after):
            return False
        old, new = (need_of(case_of(ticket), self._plant) for ticket in (before, after))
        return old != new

    def nobody_took_it(self, ticket: Ticket) -> Ticket:
        """A round of offers is over: line leader and person on duty are named and told."""
        need = need_of(case_of(ticket), self._plant, _declined(self._book.conn, ticket))
        self._give(ticket.suggestion.person if ticket.suggestion else None, -1)
        chosen = unclaimed(need, self.roster, suggest(need, self.roster, self._loads(ticket.asset)))
        ticket = self._record(self._keep(ticket, need, chosen, "unclaimed"), "unclaimed")
        named = (chosen.person or "dispatch", chosen.backup)
        self._book.tell(ticket, "ticket.unclaimed", named, {"rule": chosen.rule, "offer_s": None})
        return ticket

    def backup_for(self, ticket: Ticket, person: str, *, without: frozenset[str] = frozenset()) -> str | None:
        """Who stands behind a person on a ticket: whom the document names, if at work; else the best of the others."""
        found = self.roster.people.get(person)
        named = found.backup if found is not None else None
        if named is not None and named not in without and self.roster.at_work(named):
            return named
        need = need_of(case_of(ticket), self._plant, without | {person})
        chosen = suggest(need, self.roster, self._loads(ticket.asset))
        others = (chosen.person, chosen.backup, *(one.person for one in chosen.candidates))
        return next((one for one in others if one is not None and one not in {person, *without}), None)

    @cached_property
    def roster(self) -> Roster:
        """The people as they stand now."""
        return Roster(self._plant, self._book.now_ns, recall_presence(self._book.conn))

    @cached_property
    def _read(self) -> Loads:
        return recall_loads(self._book.conn)

    @cached_property
    def _given(self) -> dict[str, int]:
        return dict(self._read.open_tickets)

    def _loads(self, asset: str) -> Loads:
        if asset not in self._done:
            self._done[asset] = _done_here(self._book.conn, self._plant, asset, self._book.now_ns)
        return Loads(self._given, self._read.last_assigned_ns, self._done[asset])

    def _give(self, person: str | None, n: int) -> None:
        if person is not None:
            self._given[person] = max(0, self._given.get(person, 0) + n)

    def _keep(self, ticket: Ticket, need: Need, chosen: Suggestion, why: str) -> Ticket:
        self._give(chosen.person, 1)
        decided = _decision(need, chosen, self._plant, self._book.now_ns, why)
        row = {name: getattr(decided, name) for name in _AS_THEY_ARE}
        row |= {name: to_json(getattr(decided, name)) for name in ("need", "offer_to")}
        row["candidates"] = packed(decided.candidates)
        self._book.add(routing_decision, {**row, "ticket": ticket.id, "seq": ticket.audit_seq})
        return changed(ticket, suggestion=replace(chosen, candidates=chosen.candidates[:SHOWN]))

    def _record(self, ticket: Ticket, why: str) -> Ticket:
        chosen = ticket.suggestion
        rule = chosen.routing if chosen else ""
        return self._book.record(ticket, action="routed", actor=f"rule/{rule}", reason=why)


def _asked(ticket: Ticket) -> tuple[str | None, bool, str, str]:
    return ticket.fault_type, ticket.urgent, ticket.region, ticket.priority


def ask_again(book: Book, ticket: Ticket, why: str) -> None:
    """Have a ticket routed by the engine in a moment; who calls needs no plant document."""
    set_timer(
        book, Timer(KIND, f"ticket/{ticket.id}", book.now_ns, cycle=ticket.audit_seq, body={"why": why})
    )


def is_due(book: Book, plant: Plant, timer: Timer) -> None:
    """Route a ticket that was asked to be; one that is not waiting any more is left alone."""
    ticket = book.ticket(int(timer.subject.partition("/")[2]))
    if ticket.state is TicketState.PENDING_DISPATCH:
        Dispatch(book, plant).again(ticket, str(timer.body["why"]))


def offers_are_over(book: Book, plant: Plant, timer: Timer) -> None:
    """End a round of offers that nobody accepted."""
    ticket = book.ticket(int(timer.subject.partition("/")[2]))
    offers.withdraw(book, ticket, offers.OfferState.EXPIRED)
    if ticket.state is TicketState.PENDING_DISPATCH:
        Dispatch(book, plant).nobody_took_it(ticket)


def decisions(conn: Connection, ticket_id: int) -> Sequence[Decision]:
    """Every decision about a ticket, the newest first."""
    c = routing_decision.c
    rows = conn.execute(
        select(routing_decision).where(c.ticket == ticket_id).order_by(c.seq.desc())
    ).mappings()
    return [
        Decision(
            need=_NEED.decode(row["need"]),
            candidates=unpacked(row["candidates"]),
            offer_to=_NAMES.decode(row["offer_to"]),
            **{name: row[name] for name in _AS_THEY_ARE},
        )
        for row in rows
    ]


_AS_THEY_ARE = ("at_ns", "why", "plant_version", "routing", "rule", "person", "backup")


def _decision(need: Need, chosen: Suggestion, plant: Plant, at_ns: int, why: str) -> Decision:
    return Decision(
        at_ns=at_ns,
        why=why,
        plant_version=plant.version,
        routing=chosen.routing,
        rule=chosen.rule,
        person=chosen.person,
        backup=chosen.backup,
        offer_to=chosen.offer_to,
        need={
            "skills": [list(group) for group in need.skills],
            "line": need.line,
            "asset": need.asset,
            "region": need.region,
            "position": need.position.model_dump(exclude_none=True) if need.position else None,
            "declined": sorted(need.declined),
            "must": list(need.rule.must),
            "prefer": list(need.rule.prefer),
            "weights": need.rule.weights.model_dump(),
        },
        candidates=chosen.candidates,
    )


def _loads(conn: Connection, plant: Plant, asset: str, at_ns: int) -> Loads:
    return replace(recall_loads(conn), done_here=_done_here(conn, plant, asset, at_ns))


def _done_here(conn: Connection, plant: Plant, asset: str, at_ns: int) -> Mapping[str, int]:
    return recall_done(conn, asset, at_ns - plant.routing.experience_days * 24 * HOUR_NS)


def _declined(conn: Connection, ticket: Ticket) -> frozenset[str]:
    """Those who did not take the ticket since it was last opened or reopened."""
    c = ticket_event.c
    reopened = select(c.seq).where(c.ticket == ticket.id, c.action.in_(("fail_again", "reopen")))
    since = max(conn.execute(reopened).scalars(), default=0)
    said = select(c.actor).where(
        c.ticket == ticket.id, c.seq > since, c.action.in_(("decline", "offer_decline"))
    )
    return frozenset(conn.execute(said).scalars())
