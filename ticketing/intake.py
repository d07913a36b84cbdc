"""Findings become tickets: lock, recall, fold each, write; all of it in the caller's transaction (rule 4.1)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, or_, update

from andon.events import Action, Family, Finding
from andon.frozen import changed
from andon.plant import Plant
from andon.rules.types import best_fitting
from ticketing.alarm_layer import AlarmLayer, Definitions
from ticketing.alarm_rows import alarm_id
from ticketing.annunciation import Hold
from ticketing.book import Book
from ticketing.common_mode import OPERATING_CHANGE, PARTS, Moved, is_part, moved
from ticketing.dedup import (
    ORDER_NS,
    STANDARD,
    Decision,
    Joins,
    Key,
    Late,
    Master,
    Opens,
    OpenTicket,
    Related,
    Reopens,
    Rules,
    consequences,
    decide,
    is_late,
    relation,
    time_of,
)
from ticketing.demands import Given
from ticketing.floods import Floods
from ticketing.improvements import name_cause
from ticketing.key_versions import choose, in_force, known_rules
from ticketing.moving import merge
from ticketing.opening import Opening
from ticketing.recall import Known, lock, recall
from ticketing.report import Speaks, channel_of, joins, said_by, same_event
from ticketing.rows import occurrence_row
from ticketing.sql import Row, to_json
from ticketing.standing import Standing, scoping
from ticketing.states import Step, again, check
from ticketing.suppressing import Suppressing
from ticketing.tables import dedup_key, finding_evidence, master, occurrence
from ticketing.ticket import HELD, UNRESOLVED, Clock, Fold, FoldRule, Ticket, TicketState
from ticketing.timers import Timer, set_timer
from ticketing.urgency import ORDER, graver, headline_of, higher

ASK_AGAIN = "alarm_ask_again"
"""The timer of what was held back: is it to be told by now?"""

_KEY: BindParameter[Any] = bindparam("_key")
_COUNT_KEY = update(dedup_key).where(dedup_key.c.key == _KEY).values(n=dedup_key.c.n + bindparam("_n"))
_FOLD_AGAIN = update(occurrence).where(occurrence.c.finding == bindparam("_finding"))
_LAST_TICKET = update(dedup_key).where(dedup_key.c.key == _KEY)
_ADOPT_CLEARS = update(occurrence).where(
    occurrence.c.key == _KEY,
    occurrence.c.ticket.is_(None),
    occurrence.c.action == Action.CLEAR,
    or_(occurrence.c.rule == FoldRule.CLEARED, occurrence.c.rule == FoldRule.CLEARED_FIRST),
    occurrence.c.at_ns >= bindparam("_from_ns"),
)


def apply(
    conn: Connection, findings: Sequence[Finding], plant: Plant, now_ns: int, channels: Sequence[str] = ()
) -> Mapping[str, int]:
    """Fold findings into tickets inside the caller's transaction; the same findings again change nothing.

    Gives counts that balance: findings = duplicates + opened + joined + reopened + late + cleared + held + suppressed.
    """
    if not findings:
        return {}
    rules = in_force(conn, plant.dedup, now_ns)
    book = Book(conn, now_ns, channels)
    fold(book, findings, plant, rules=rules)
    book.save()
    return book.counts


def fold(
    book: Book,
    findings: Sequence[Finding],
    plant: Plant,
    same: Mapping[str, Related] | None = None,
    rules: Sequence[Rules] | None = None,
) -> None:
    """The same inside the book's transaction, which saves it: for reports, each of which is a deed with more to it.

    `same`: finding -> the open ticket that it is about, by what only its teller knows. `rules`: if they have been read.
    """
    rules = rules or known_rules(book.conn)
    chosen = choose(book.conn, findings, plant, rules)
    lock(book.conn, findings, chosen.keys)
    known, tickets = recall(book.conn, findings, chosen.keys, rules, scoping(plant))
    known.before = chosen.before
    known.same = same or {}
    book.keep(tickets)
    intake = Intake(book, known, plant, rules)
    for finding, key in zip(findings, chosen.keys, strict=True):
        intake.take(finding, key)
    intake.finish()


class Intake:
    """The folding of one batch."""

    def __init__(self, book: Book, known: Known, plant: Plant, rules: Sequence[Rules] = (STANDARD,)) -> None:
        self._book = book
        self._known = known
        self._rules = {one.version: one.told for one in rules}
        self._plant = plant
        self._definitions = Definitions(plant)
        self._alarms = AlarmLayer(book, known, self._definitions, Suppressing(book, plant))
        self._standing = Standing(book, known, plant)
        self._opening = Opening(book, plant)
        self._floods = Floods(book, plant, fold)
        self._no_failures: set[str] = set()
        self._ended: dict[str, int | None] = {}
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
        late = self._is_late(finding, key, at_ns)
        hold = self._alarms.hear(finding, key, at_ns, open_ticket=self._has_open(key), late=late)
        if hold is None and not late:
            self._floods.heard(finding, self._definitions.path(finding.asset), key.hash, at_ns)
        if hold is not None:
            ticket, fold = None, self._hold_back(finding, key, at_ns, hold)
        else:
            ticket, fold = self._folded(finding, key, at_ns)
            if self._alarms.takes_along(finding):
                self._ask_again(finding, key, self._book.now_ns)
        self._keep(finding, key, ticket=ticket, fold=fold, at_ns=at_ns, clock=clock)

    def take_again(
        self, finding: Finding, key: Key, at_ns: int, rule: FoldRule, *, fails: bool = True
    ) -> None:
        """Fold what was recorded without a ticket by that rule, as if heard now with its own time.

        Without `fails` it is no failure of the machine.
        """
        if not fails:
            self._no_failures.add(finding.id)
        self._floods.heard(finding, self._definitions.path(finding.asset), key.hash, self._book.now_ns)
        self._book.counts["held" if rule in HELD else "suppressed"] -= 1
        if finding.action is Action.CLEAR:
            self._alarms.over(finding, key, at_ns)
        self._ended[finding.id] = self._alarms.ended_ns(finding, key, at_ns)
        ticket, fold = self._folded(finding, key, at_ns)
        folded = {"ticket": ticket.id if ticket else None, "rule": fold.rule, "fold": to_json(fold.numbers)}
        self._book.later(_FOLD_AGAIN, {"_finding": finding.id, **folded})

    def _hold_back(self, finding: Finding, key: Key, at_ns: int, hold: Hold) -> Fold:
        """Record it without a ticket, and ask again when the time is up."""
        self._book.counts["held" if hold.rule in HELD else "suppressed"] += 1
        if finding.action is not Action.CLEAR and hold.rule is not FoldRule.HELD_DEADBAND:
            self._standing.held(finding, key.hash, at_ns)
        if hold.until_ns is not None:
            self._ask_again(finding, key, hold.until_ns)
        return Fold(hold.rule, hold.numbers)

    def _ask_again(self, finding: Finding, key: Key, due_ns: int) -> None:
        body = {"alarm": alarm_id(key.hash, finding.detector)}
        set_timer(self._book, Timer(ASK_AGAIN, f"finding/{finding.id}", due_ns, body=body))

    def _has_open(self, key: Key) -> bool:
        return any(self._working(ticket).is_open for ticket in self._known.masters[key.hash])

    def _is_late(self, finding: Finding, key: Key, at_ns: int) -> bool:
        return is_late(at_ns, finding.origin.received_ns, self._rules[key.rule_version].lateness_ns)

    def finish(self) -> None:
        """Write what was counted per key, and the alarms that have moved."""
        self._alarms.finish()
        self._floods.finish()
        for key, n in self._heard.items():
            self._book.later(_COUNT_KEY, {"_key": key, "_n": n})
        for key, ticket in self._last.items():
            self._book.later(_LAST_TICKET, {"_key": key, "last_ticket": ticket})

    def _folded(self, finding: Finding, key: Key, at_ns: int) -> tuple[Ticket | None, Fold]:
        fold = self._clear if finding.action is Action.CLEAR else self._fold
        return fold(finding, key, at_ns)

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
        counts = finding.id not in self._no_failures and not _is_part_of(finding, ticket)
        if counts and not self._is_late(finding, key, at_ns):
            ended_ns = self._ended.get(finding.id)
            ticket = self._standing.failed(finding, key.hash, at_ns, ticket, ended_ns=ended_ns)
        return ticket, fold

    def _decide(self, finding: Finding, key: Key, at_ns: int) -> Decision:
        received_ns = finding.origin.received_ns
        rules = self._rules[key.rule_version]
        held = self._known.masters[key.hash].items()
        tickets = [(self._working(ticket), anchor_ns) for ticket, anchor_ns in held]
        masters = [Master(one.id, anchor_ns, one.state, one.settled_ns) for one, anchor_ns in tickets]
        decision = decide(at_ns, received_ns, masters, rules=rules)
        if not isinstance(decision, Opens):
            return decision
        related = relation(at_ns, finding.family, self._open_tickets(finding.asset))
        related = related or self._change_of(finding) or self._same_event(finding, at_ns)
        related = related or self._known.same.get(finding.id)
        return decide(at_ns, received_ns, masters, related, rules) if related else decision

    def _same_event(self, finding: Finding, at_ns: int) -> Related | None:
        """The open ticket of the machine's that a person speaks of, or the person's that the machine speaks of."""
        fault = best_fitting(self._plant.fault_types, finding)
        said = Speaks(
            finding.family,
            finding.condition,
            finding.text.get("fault_type") or (fault.code if fault else None),
        )
        begun: dict[int, list[int]] = defaultdict(list)
        for one in self._known.activations[finding.asset]:
            if one.ticket is not None:
                begun[one.ticket].append(one.at_ns)
        return same_event(at_ns, said, self._open_tickets(finding.asset), begun, self._plant)

    def _working(self, number: int) -> Ticket:
        """The ticket, or the one that it was merged into."""
        ticket = self._book.ticket(number)
        while ticket.duplicate_of is not None:
            ticket = self._book.ticket(ticket.duplicate_of)
        return ticket

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
            after=decision.recurrence_of or self._known.before.get(key.hash),
            alarm_active=self._raised(finding, key, at_ns, number),
        )
        self._known.open_tickets[finding.asset][number] = open_ticket(ticket)
        self._alarms.is_told(finding, key, at_ns)
        flood = self._floods.parent(self._definitions.path(finding.asset))
        quiet = flood is not None and ticket.priority != "critical"
        ticket = self._opening.announce(changed(ticket, parent=flood), finding, decision, quiet=quiet)
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
            actor=said_by(finding),
            channel=channel_of(finding),
            reason=decision.rule,
            numbers=decision.numbers,
            evidence=(finding.id,),
        )
        if decision.rule is FoldRule.CAUSE:
            stops = consequences(at_ns, self._open_tickets(ticket.asset))
            ticket = self._absorb(ticket, [stop.ticket for stop in stops], FoldRule.CAUSE)
        if before.is_open and ORDER.index(ticket.priority) > ORDER.index(before.priority):
            self._tell(ticket, "ticket.escalated", finding)
        if self._opening.dispatch.has_turned(before, ticket):
            ticket = self._opening.dispatch.again(ticket, "edited")
        return ticket

    def _reopen(self, finding: Finding, key: Key, at_ns: int, decision: Reopens) -> Ticket:
        self._book.counts["reopened"] += 1
        before = self._book.ticket(decision.ticket)
        state = check(before, Step.FAIL_AGAIN, Given(reason=decision.rule, evidence=(finding.id,)))
        self._known.open_tickets[before.asset][before.id] = open_ticket(before)
        ticket = self._book.record(
            again(self._with(before, finding, key, at_ns), state),
            action=Step.FAIL_AGAIN,
            actor=said_by(finding),
            channel=channel_of(finding),
            reason=decision.rule,
            numbers=decision.numbers,
            evidence=(finding.id,),
        )
        name_cause(self._book, before, ticket)
        if self._alarms.is_told(finding, key, at_ns):
            self._tell(ticket, "ticket.reopened", finding)
        if state is TicketState.PENDING_DISPATCH:
            ticket = self._opening.dispatch.again(ticket, "reopened")
        return ticket

    def _with(self, ticket: Ticket, finding: Finding, key: Key, at_ns: int) -> Ticket:
        """The ticket with what this finding adds: urgency and headline may rise, the anchor stays.

        What is part of an operating change is not what the ticket is about. A priority that a person chose stays until
        something graver is heard than what was known then.
        """
        part = _is_part_of(finding, ticket)
        held = ticket.priority_held is not None and finding.severity <= ticket.priority_held
        ticket = joins(ticket, finding)
        priority = self._definitions.priority(finding)
        return changed(
            ticket,
            headline=ticket.headline if part else graver(ticket.headline, headline_of(finding, at_ns)),
            priority=ticket.priority if held else higher(ticket.priority, priority),
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
        if finding.family is Family.REPORT:  # a person's word is no alarm: nothing says when it is over
            return self._known.alarm_active(ticket)
        if self._standing.cleared_before_raised(finding, key.hash):
            from_ns = at_ns - ORDER_NS  # the raise that this clear ended may still be on its way
            self._book.later(_ADOPT_CLEARS, {"_key": key.hash, "_from_ns": from_ns, "ticket": ticket})
        was_on = self._standing.ticket_of(finding, key.hash)
        active = self._standing.raised(finding, key.hash, at_ns, ticket)
        if was_on not in {None, ticket} and self._book.ticket(was_on).is_open:
            self._note_alarm(was_on, finding)  # as under `window_only`: what stood there stands here
        return active

    def _clear(self, finding: Finding, key: Key, at_ns: int) -> tuple[Ticket | None, Fold]:
        """An alarm that is over never closes its ticket; the ticket notes it."""
        self._book.counts["cleared"] += 1
        raised_ns = self._standing.raised_ns(finding, key.hash)
        number = self._standing.cleared(finding, key.hash, at_ns)
        if number is None:
            return None, Fold(FoldRule.CLEARED_FIRST if raised_ns is None else FoldRule.CLEARED)
        return self._note_alarm(number, finding), Fold(FoldRule.CLEARED)

    def _note_alarm(self, number: int, finding: Finding) -> Ticket:
        """The ticket with whether an alarm on it stands; on record, if that has changed."""
        before = self._book.ticket(number)
        active = self._known.alarm_active(number)
        if active == before.alarm_active:
            return before
        return self._book.record(
            changed(before, alarm_active=active),
            action="returned",
            actor=said_by(finding),
            evidence=(finding.id,),
        )

    def _hold(self, key: Key, ticket: int, anchor_ns: int) -> None:
        self._known.masters[key.hash][ticket] = anchor_ns
        self._last[key.hash] = ticket
        exclusive = self._rules[key.rule_version].mode == "attach_while_active"
        row: Row = {"key": key.hash, "ticket": ticket, "anchor_ns": anchor_ns}
        self._book.upsert(
            master, row | {"open": exclusive, "exclusive": exclusive}, ()
        )  # it may hold it already

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
    return OpenTicket(ticket.id, head.family, head.severity, *seen, head.condition, ticket.fault_type)


def _movement(ticket: Ticket) -> Moved:
    """What the ticket's headline says of a movement."""
    return moved(ticket.headline.condition, ticket.first_event_ns, ticket.headline.numbers)


def _is_part_of(finding: Finding, ticket: Ticket) -> bool:
    """Whether the finding is part of the operating change that the ticket is about."""
    if ticket.headline.condition != OPERATING_CHANGE:
        return False
    return is_part(moved(finding.condition, finding.onset_ns, finding.numbers), _movement(ticket))
