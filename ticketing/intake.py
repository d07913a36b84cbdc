"""Findings become tickets: lock, recall, fold each, write; all of it in the caller's transaction (rule 4.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, update

from andon.events import Action, Finding
from andon.plant import Plant
from ticketing.book import Book
from ticketing.common_mode import OPERATING_CHANGE, PARTS, Moved, is_part, moved
from ticketing.dedup import (
    ORDER_NS,
    Decision,
    Joins,
    Key,
    Late,
    Master,
    Opens,
    OpenTicket,
    Related,
    Reopens,
    consequences,
    decide,
    is_late,
    key_of,
    relation,
    time_of,
)
from ticketing.moving import merge
from ticketing.opening import Opening
from ticketing.recall import Known, lock, recall
from ticketing.rows import occurrence_row
from ticketing.standing import Standing
from ticketing.states import Given, Step, again, check
from ticketing.tables import dedup_key, finding_evidence, master, occurrence, to_json
from ticketing.ticket import UNRESOLVED, Clock, Fold, FoldRule, Ticket, TicketState
from ticketing.urgency import ORDER, graver, headline_of, higher, priority_of

_KEY: BindParameter[Any] = bindparam("_key")
_COUNT_KEY = update(dedup_key).where(dedup_key.c.key == _KEY).values(n=dedup_key.c.n + bindparam("_n"))
_LAST_TICKET = update(dedup_key).where(dedup_key.c.key == _KEY)
_ADOPT_CLEARS = update(occurrence).where(
    occurrence.c.key == _KEY,
    occurrence.c.ticket.is_(None),
    occurrence.c.action == Action.CLEAR,
    occurrence.c.at_ns >= bindparam("_from_ns"),
)


def apply(
    conn: Connection, findings: Sequence[Finding], plant: Plant, now_ns: int, channels: Sequence[str] = ()
) -> Mapping[str, int]:
    """Fold findings into tickets inside the caller's transaction; the same findings again change nothing.

    Gives counts that balance: findings = duplicates + opened + joined + reopened + late + cleared.
    """
    if not findings:
        return {}
    places = {asset.id: asset.path for asset in plant.assets}
    keys = [_key(finding, places.get(finding.asset, "")) for finding in findings]
    lock(conn, findings, keys)
    known, tickets = recall(conn, findings, keys)
    book = Book(conn, now_ns, channels)
    book.keep(tickets)
    intake = Intake(book, known, plant)
    for finding, key in zip(findings, keys, strict=True):
        intake.take(finding, key)
    intake.finish()
    book.save()
    return book.counts


def _key(finding: Finding, path: str) -> Key:
    tenant, site = (*path.split("/"), "", "")[:2]
    return key_of(finding, tenant=tenant, site=site)


class Intake:
    """The folding of one batch."""

    def __init__(self, book: Book, known: Known, plant: Plant) -> None:
        self._book = book
        self._known = known
        self._assets = {asset.id: asset for asset in plant.assets}
        self._priorities = plant.priorities
        self._standing = Standing(book, known)
        self._opening = Opening(book, plant)
        self._heard: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def take(self, finding: Finding, key: Key) -> None:
        """Fold one finding; one that was folded before is counted and left alone."""
        self._book.counts["findings"] += 1
        if finding.id in self._known.seen:
            self._book.counts["duplicates"] += 1
            return
        self._known.seen.add(finding.id)
        self._heard[key.hash] = self._heard.get(key.hash, 0) + 1
        at_ns, clock = time_of(finding.at_ns, finding.origin.received_ns)
        if finding.action is Action.CLEAR:
            ticket, fold = self._clear(finding, key, at_ns)
        else:
            ticket, fold = self._fold(finding, key, at_ns)
        self._keep(finding, key, ticket=ticket, fold=fold, at_ns=at_ns, clock=clock)

    def finish(self) -> None:
        """Write what was counted per key."""
        for key, n in self._heard.items():
            self._book.later(_COUNT_KEY, {"_key": key, "_n": n})
        for key, ticket in self._last.items():
            self._book.later(_LAST_TICKET, {"_key": key, "last_ticket": ticket})

    def _fold(self, finding: Finding, key: Key, at_ns: int) -> tuple[Ticket | None, Fold]:
        decision = self._decide(finding, key, at_ns)
        fold = Fold(decision.rule, decision.numbers)
        match decision:
            case Late():
                self._book.counts["late"] += 1
                return None, fold
            case Opens():
                ticket = self._open(finding, key, at_ns, decision)
            case Reopens():
                ticket = self._reopen(finding, key, at_ns, decision)
            case Joins():
                ticket = self._join(finding, key, at_ns, decision)
        if not _is_part_of(finding, ticket) and not is_late(at_ns, finding.origin.received_ns):
            ticket = self._standing.failed(finding, key.hash, at_ns, ticket)
        return ticket, fold

    def _decide(self, finding: Finding, key: Key, at_ns: int) -> Decision:
        received_ns = finding.origin.received_ns
        held = self._known.masters[key.hash]
        tickets = {ticket: self._book.ticket(ticket) for ticket in held}
        masters = [Master(i, held[i], ticket.state, ticket.settled_ns) for i, ticket in tickets.items()]
        decision = decide(at_ns, received_ns, masters)
        if not isinstance(decision, Opens):
            return decision
        related = relation(at_ns, finding.family, self._open_tickets(finding.asset))
        related = related or self._change_of(finding)
        return decide(at_ns, received_ns, masters, related) if related else decision

    def _change_of(self, finding: Finding) -> Related | None:
        """The open ticket of the operating change that the finding is part of."""
        if finding.condition not in PARTS:
            return None
        part = moved(finding.condition, finding.onset_ns, finding.numbers)
        for one in self._open_tickets(finding.asset):
            if one.condition == OPERATING_CHANGE and is_part(part, self._moved(one)):
                return Related(one.ticket, FoldRule.OPERATING_CHANGE, abs(part.began_ns - one.first_event_ns))
        return None

    def _moved(self, one: OpenTicket) -> Moved:
        return _movement(self._book.ticket(one.ticket))

    def _open_tickets(self, asset: str) -> Sequence[OpenTicket]:
        """The machine's tickets whose work is still to be done, as this batch has left them."""
        found: list[OpenTicket] = []
        for number, recalled in self._known.open_tickets[asset].items():
            if not self._book.holds(number):
                found.append(recalled)
                continue
            ticket = self._book.ticket(number)
            if ticket.state in UNRESOLVED:
                found.append(open_ticket(ticket))
        return found

    def _open(self, finding: Finding, key: Key, at_ns: int, decision: Opens) -> Ticket:
        self._book.counts["opened"] += 1
        number = self._book.next_number("ticket")
        self._hold(key, number, at_ns)
        ticket = self._opening.ticket(
            finding,
            key.hash,
            at_ns,
            number=number,
            after=decision.recurrence_of,
            alarm_active=self._raised(finding, key, at_ns, number),
        )
        self._known.open_tickets[finding.asset][number] = open_ticket(ticket)
        ticket = self._opening.announce(ticket, finding, decision)
        if finding.condition != OPERATING_CHANGE:
            return ticket
        return self._absorb(ticket, self._parts_before(finding), FoldRule.OPERATING_CHANGE)

    def _join(self, finding: Finding, key: Key, at_ns: int, decision: Joins) -> Ticket:
        self._book.counts["joined"] += 1
        if decision.new_key:
            self._hold(key, decision.ticket, at_ns)
        before = self._book.ticket(decision.ticket)
        ticket = self._book.record(
            self._with(before, finding, key, at_ns),
            action="joined",
            actor=speaker(finding),
            reason=decision.rule,
            numbers=decision.numbers,
            evidence=(finding.id,),
        )
        if decision.rule is FoldRule.CAUSE:
            stops = consequences(at_ns, self._open_tickets(ticket.asset))
            ticket = self._absorb(ticket, [stop.ticket for stop in stops], FoldRule.CAUSE)
        if before.is_open and ORDER.index(ticket.priority) > ORDER.index(before.priority):
            self._tell(ticket, "ticket.escalated", finding)
        return ticket

    def _reopen(self, finding: Finding, key: Key, at_ns: int, decision: Reopens) -> Ticket:
        self._book.counts["reopened"] += 1
        before = self._book.ticket(decision.ticket)
        state = check(before, Step.FAIL_AGAIN, Given(reason=decision.rule, evidence=(finding.id,)))
        self._known.open_tickets[before.asset][before.id] = open_ticket(before)
        ticket = self._book.record(
            again(self._with(before, finding, key, at_ns), state),
            action=Step.FAIL_AGAIN,
            actor=speaker(finding),
            reason=decision.rule,
            numbers=decision.numbers,
            evidence=(finding.id,),
        )
        self._tell(ticket, "ticket.reopened", finding)
        return ticket

    def _with(self, ticket: Ticket, finding: Finding, key: Key, at_ns: int) -> Ticket:
        """The ticket with what this finding adds: urgency and headline may rise, the anchor stays.

        What is part of an operating change is not what the ticket is about.
        """
        part = _is_part_of(finding, ticket)
        priority = priority_of(finding, self._assets.get(finding.asset), self._priorities)
        return replace(
            ticket,
            headline=ticket.headline if part else graver(ticket.headline, headline_of(finding, at_ns)),
            priority=higher(ticket.priority, priority),
            first_event_ns=min(ticket.first_event_ns, at_ns),
            last_event_ns=max(ticket.last_event_ns, at_ns),
            occurrence_count=ticket.occurrence_count + 1,
            alarm_active=self._raised(finding, key, at_ns, ticket.id),
            search=self._opening.search_words(finding, ticket.search),
        )

    def _absorb(self, winner: Ticket, losers: Sequence[int], rule: FoldRule) -> Ticket:
        """What this cause led to had opened tickets of its own; nobody has them yet: one is enough."""
        for number in losers:
            loser = self._book.ticket(number)
            if loser.state is TicketState.PENDING_DISPATCH and loser.id != winner.id:
                _, winner = merge(
                    self._book,
                    loser,
                    winner,
                    reason=rule,
                    approver=f"rule/{rule}",
                    actor=f"rule/{rule}",
                    as_part=rule is FoldRule.OPERATING_CHANGE,
                )
                self._known.moved(winner.asset, loser.id, winner.id)
                self._last = {key: winner.id if t == loser.id else t for key, t in self._last.items()}
        return winner

    def _parts_before(self, finding: Finding) -> list[int]:
        """The tickets opened in the last ten minutes by what turns out to be part of this operating change."""
        change = moved(finding.condition, finding.onset_ns, finding.numbers)
        return [
            one.ticket
            for one in self._open_tickets(finding.asset)
            if one.condition in PARTS
            and is_part(self._moved(one), change)
            and finding.onset_ns - one.anchor_ns < ORDER_NS
        ]

    def _raised(self, finding: Finding, key: Key, at_ns: int, ticket: int) -> bool:
        if self._standing.cleared_before_raised(finding, key.hash):
            from_ns = at_ns - ORDER_NS  # the raise that this clear ended may still be on its way
            self._book.later(_ADOPT_CLEARS, {"_key": key.hash, "_from_ns": from_ns, "ticket": ticket})
        return self._standing.raised(finding, key.hash, at_ns, ticket)

    def _clear(self, finding: Finding, key: Key, at_ns: int) -> tuple[Ticket | None, Fold]:
        """An alarm that is over never closes its ticket; the ticket notes it."""
        self._book.counts["cleared"] += 1
        number = self._standing.cleared(finding, key.hash, at_ns)
        if number is None:
            return None, Fold(FoldRule.CLEARED_FIRST)
        before = self._book.ticket(number)
        active = self._known.alarm_active(number)
        if active == before.alarm_active:
            return before, Fold(FoldRule.CLEARED)
        changed = replace(before, alarm_active=active)
        ticket = self._book.record(changed, action="returned", actor=speaker(finding), evidence=(finding.id,))
        return ticket, Fold(FoldRule.CLEARED)

    def _hold(self, key: Key, ticket: int, anchor_ns: int) -> None:
        self._known.masters[key.hash][ticket] = anchor_ns
        self._last[key.hash] = ticket
        self._book.add(master, {"key": key.hash, "ticket": ticket, "anchor_ns": anchor_ns, "open": True})

    def _keep(
        self, finding: Finding, key: Key, *, ticket: Ticket | None, fold: Fold, at_ns: int, clock: Clock
    ) -> None:
        row = occurrence_row(
            finding,
            key=key,
            ticket=ticket.id if ticket else None,
            at_ns=at_ns,
            clock=clock,
            fold=fold,
            recorded_ns=self._book.now_ns,
        )
        self._book.add(occurrence, row)
        if finding.evidence:
            self._book.add(finding_evidence, {"finding": finding.id, "body": to_json(finding.evidence)})

    def _tell(self, ticket: Ticket, kind: str, finding: Finding) -> None:
        suggested = ticket.suggestion.person if ticket.suggestion else None
        who = (ticket.assignee, ticket.backup) if ticket.assignee else (suggested or "dispatch",)
        self._book.tell(ticket, kind, who, {"finding": finding.id})


def open_ticket(ticket: Ticket) -> OpenTicket:
    """As much of a ticket as `relation` needs."""
    head = ticket.headline
    seen = (ticket.anchor_ns, ticket.first_event_ns)
    return OpenTicket(ticket.id, head.family, head.severity, *seen, head.condition)


def speaker(finding: Finding) -> str:
    """Who said it, as the audit names it."""
    return f"detector/{finding.detector}@{finding.version}"


def _movement(ticket: Ticket) -> Moved:
    """What the ticket's headline says of a movement."""
    return moved(ticket.headline.condition, ticket.first_event_ns, ticket.headline.numbers)


def _is_part_of(finding: Finding, ticket: Ticket) -> bool:
    """Whether the finding is part of the operating change that the ticket is about."""
    return is_part(moved(finding.condition, finding.onset_ns, finding.numbers), _movement(ticket))
