"""A new ticket: what stands on it before anyone has touched it, and whom routing suggests."""

from andon.events import Finding
from andon.plant import Plant
from andon.rules.types import best_fitting
from ticketing.book import Book
from ticketing.dedup import Opens
from ticketing.recall import recall_loads
from ticketing.routing import Loads, Need, suggest
from ticketing.ticket import Headline, Suggestion, Ticket, TicketState
from ticketing.urgency import headline_of, priority_of


class Opening:
    """Opens the tickets of one transaction; the people's loads are read once and grow with what is suggested."""

    def __init__(self, book: Book, plant: Plant) -> None:
        self._book = book
        self._plant = plant
        self._assets = {asset.id: asset for asset in plant.assets}
        self._loads: Loads | None = None
        self._given: dict[str, int] = {}

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
        """The ticket that this finding opens, pending dispatch with a suggestion."""
        asset = self._assets.get(finding.asset)
        return Ticket(
            id=number,
            number=f"A-{number}",
            type=self.type_of(finding),
            fault_type=fault.code if (fault := best_fitting(self._plant.fault_types, finding)) else None,
            asset=finding.asset,
            line=asset.line if asset else "",
            headline=headline_of(finding, at_ns),
            priority=priority_of(finding, asset, self._plant.priorities),
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
            suggestion=self.suggestion(headline_of(finding, at_ns), finding.asset),
            recurrence_of=after,
        )

    def type_of(self, finding: Finding) -> str:
        """The type of ticket that a machine's finding opens (rule 2): by the triggers, else the plant's first."""
        types = self._plant.ticket_types
        chosen = best_fitting(types, finding)
        return chosen.code if chosen else next(one.code for one in types if not one.retired)

    def announce(self, ticket: Ticket, finding: Finding, decision: Opens) -> Ticket:
        """Put the opening on record and tell the one who is suggested."""
        self._book.open(ticket)
        ticket = self._book.record(
            ticket,
            action="opened",
            actor=f"detector/{finding.detector}@{finding.version}",
            reason=decision.rule,
            numbers=decision.numbers,
            evidence=(finding.id,),
        )
        suggested = ticket.suggestion.person if ticket.suggestion else None
        self._book.tell(ticket, "ticket.opened", (suggested or "dispatch",), {"finding": finding.id})
        return ticket

    def suggestion(self, headline: Headline, asset_id: str) -> Suggestion:
        """Whom routing names for work of that kind on that machine."""
        asset = self._assets.get(asset_id)
        kinds = (headline.text.get("category", ""), headline.condition, str(headline.family))
        skill = next((self._plant.skills[kind] for kind in kinds if kind in self._plant.skills), None)
        need = Need(skill, asset.line if asset else "", asset.owner if asset else None)
        chosen = suggest(need, self._plant.people, self._current_loads())
        if chosen.person is not None:
            self._given[chosen.person] = self._given.get(chosen.person, 0) + 1
        return chosen

    def search_words(self, finding: Finding, so_far: str = "") -> str:
        """The words a ticket is found by, in lower case, each once."""
        asset = self._assets.get(finding.asset)
        named = (asset.name, asset.name_zh, asset.serial, asset.model, asset.line) if asset else ()
        words = " ".join(
            (finding.asset, *named, finding.component, finding.condition, *finding.text.values())
        )
        return " ".join(dict.fromkeys(f"{so_far} {words.lower()}".split()))

    def _current_loads(self) -> Loads:
        if self._loads is None:
            self._loads = recall_loads(self._book.conn)
            self._given = dict(self._loads.open_tickets)
        return Loads(self._given, self._loads.last_assigned_ns)
