"""A new ticket: what stands on it before anyone has touched it, and whom routing suggests."""

from andon.events import Finding
from andon.plant import Plant
from andon.rules.types import best_fitting
from ticketing.alarm_layer import Definitions
from ticketing.book import Book
from ticketing.dedup import Opens
from ticketing.dispatch import Dispatch
from ticketing.operations.work import attach, fitting
from ticketing.report import channel_of, opens, said_by
from ticketing.search import more
from ticketing.ticket import Ticket, TicketState
from ticketing.urgency import headline_of


class Opening:
    """Opens the tickets of one transaction; `dispatch` decides whose they are."""

    def __init__(self, book: Book, plant: Plant) -> None:
        self._book = book
        self._plant = plant
        self._definitions = Definitions(plant)
        self.dispatch = Dispatch(book, plant)

    def ticket(
        self,
        finding: Finding,
        key: str,
        at_ns: int,
        *,
        number: int,
        after: int | None,
        alarm_active: bool,
    ) -> Ticket:
        """The ticket that this finding opens, pending dispatch."""
        asset = self._plant.asset(finding.asset)
        ticket = Ticket(
            id=number,
            number=f"A-{number}",
            type=self.type_of(finding),
            fault_type=fault.code if (fault := best_fitting(self._plant.fault_types, finding)) else None,
            asset=finding.asset,
            line=asset.line if asset else "",
            headline=headline_of(finding, at_ns),
            priority=self._definitions.priority(finding),
            state=TicketState.PENDING_DISPATCH,
            key=key,
            anchor_ns=at_ns,
            first_event_ns=at_ns,
            last_event_ns=at_ns,
            opened_ns=self._book.now_ns,
            trace_id=finding.origin.trace_id,
            search=self.search_words(finding, f"a-{number}"),
            occurrence_count=1,
            alarm_active=alarm_active,
            requester=asset.owner if asset else None,
            recurrence_of=after,
        )
        return opens(ticket, finding)

    def type_of(self, finding: Finding) -> str:
        """The type of ticket that a machine's finding opens (rule 2): by the triggers, else the plant's first."""
        types = self._plant.ticket_types
        chosen = best_fitting(types, finding)
        return chosen.code if chosen else next(one.code for one in types if not one.retired)

    def announce(self, ticket: Ticket, finding: Finding, decision: Opens, *, quiet: bool = False) -> Ticket:
        """Put the opening on record and tell those whom routing names, or offers it to; `quiet`: a flood tells of it."""
        ticket = self.dispatch.decide(ticket, "opened")
        self._book.open(ticket)
        ticket = self._book.record(
            ticket,
            action="opened",
            actor=said_by(finding),
            channel=channel_of(finding),
            reason=decision.rule,
            numbers=decision.numbers,
            evidence=(finding.id,),
        )
        if template := fitting(self._plant, ticket, finding.text.get("operations", "")):
            attach(self._book, ticket, template)
        suggested = ticket.suggestion.person if ticket.suggestion else None
        if not quiet:
            self._book.tell(ticket, "ticket.opened", (suggested or "dispatch",), {"finding": finding.id})
        return self.dispatch.send(ticket)

    def search_words(self, finding: Finding, so_far: str = "") -> str:
        """The words a ticket is found by, in lower case, each once."""
        asset = self._plant.asset(finding.asset)
        named = (asset.name, asset.name_zh, asset.serial, asset.model, asset.line) if asset else ()
        return more(
            so_far, finding.asset, *named, finding.component, finding.condition, *finding.text.values()
        )
