"""What one transaction writes: tickets with their audit, keys and messages, all of it or nothing.

Rules decide on values; the book keeps the values of this transaction and writes them in one go at the end.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from sqlalchemy import Connection, Insert, Table, Update, bindparam, insert, select, update

from andon.events import Json
from andon.frozen import changed
from ticketing.audit import changes_between, line, raises_version
from ticketing.clock_tables import REVIEWED, review_row
from ticketing.clock_tables import timer as timers
from ticketing.errors import TicketNotFound
from ticketing.message_tables import outbox as messages
from ticketing.raci import told
from ticketing.rows import ticket_of, ticket_row
from ticketing.search import index, more
from ticketing.sql import Row, metadata, to_json, upsert
from ticketing.tables import asset_lock, count, counter, master, ticket_event
from ticketing.tables import ticket as tickets
from ticketing.ticket import Ticket

MACHINE = "engine"
"""The channel of what no person did."""

BUS = "bus"
"""The channel that every message goes to first; see ticketing.fan_out."""

_NO_CLOCK = frozenset({"alarm_active"})
"""Changes by a machine that move no deadline: most findings that join change no more than this, and cost no review."""

SEARCHED = ("description", "summary", "closure_note", "event_id", "phone", "reporter", "scene_tag")
"""What people say and are called, by which a ticket is found beside its machine's words (rule 6a)."""
_SAID = frozenset(SEARCHED)

_TICKET = select(tickets).where(tickets.c.id == bindparam("id"))
_COUNTED = select(counter.c.value).where(counter.c.name == bindparam("name"))
_UPDATE_TICKET = update(tickets).where(tickets.c.id == bindparam("_id"))
_SET_OPEN = update(master).where(master.c.ticket == bindparam("_ticket"), master.c.exclusive.is_(True))
_SET_COUNTER = update(counter).where(counter.c.name == bindparam("_name"))


def lock_assets(conn: Connection, assets: Iterable[str]) -> None:
    """Take the lock under which tickets of these machines change; held until the transaction ends."""
    upsert(conn, asset_lock, [{"asset": asset} for asset in sorted(set(assets))], update=("asset",))


class Book:
    """The values of one transaction. Give it tickets, record what is done to them, then `save`."""

    def __init__(self, conn: Connection, now_ns: int, channels: Sequence[str] = ()) -> None:
        self.conn = conn
        self.now_ns = now_ns
        self.counts: Counter[str] = Counter()
        self._channels = tuple(channels)
        self._tickets: dict[int, Ticket] = {}
        self._stored: dict[int, Ticket] = {}
        self._touched: dict[int, None] = {}
        self._opened: dict[int, bool] = {}
        self._rows: dict[str, list[Row]] = {}
        self._upserts: dict[str, tuple[tuple[str, ...], dict[tuple[Json, ...], Row]]] = {}
        self._later: dict[int, tuple[Update | Insert, list[Row]]] = {}
        self._numbers: dict[str, int] = {}

    def keep(self, known: Iterable[Ticket]) -> None:
        """Take in tickets as they are stored."""
        for ticket in known:
            if ticket.id not in self._tickets:
                self._tickets[ticket.id] = self._stored[ticket.id] = ticket

    def holds(self, ticket_id: int) -> bool:
        """Whether the ticket has been taken in, so that asking for it reads nothing."""
        return ticket_id in self._tickets

    def tickets(self) -> Sequence[Ticket]:
        """Those taken in or opened so far, as they are in this transaction."""
        return list(self._tickets.values())

    def ticket(self, ticket_id: int) -> Ticket:
        """The ticket as it is in this transaction; TicketNotFound if there is none."""
        if ticket_id not in self._tickets:
            row = self.conn.execute(_TICKET, {"id": ticket_id}).mappings().first()
            if row is None:
                raise TicketNotFound(ticket_id)
            self.keep([ticket_of(row)])
        return self._tickets[ticket_id]

    def next_number(self, name: str) -> int:
        """The next number of that name, from a counter row that this transaction holds from now on."""
        if name not in self._numbers:
            upsert(self.conn, counter, [{"name": name, "value": 0}], update=("name",))
            self._numbers[name] = self.conn.execute(_COUNTED, {"name": name}).scalar_one()
        self._numbers[name] += 1
        return self._numbers[name]

    @property
    def change(self) -> int:
        """The change number of this transaction: higher than that of any before it."""
        return self._numbers["change"] if "change" in self._numbers else self.next_number("change")

    def open(self, ticket: Ticket) -> None:
        """Take in a ticket that is not stored yet; `record` its opening next."""
        self._tickets[ticket.id] = ticket

    def record(
        self,
        ticket: Ticket,
        *,
        action: str,
        actor: str,
        channel: str = MACHINE,
        reason: str = "",
        numbers: Mapping[str, float] | None = None,
        evidence: Sequence[str] = (),
    ) -> Ticket:
        """Put the changed ticket in place and its audit line behind the last; gives the ticket as it now is."""
        before = self._tickets[ticket.id]
        opened = ticket.id not in self._stored and before.audit_seq == 0
        changes = changes_between(before, ticket)
        if opened or action == "comment" or not _SAID.isdisjoint(changes):
            texts = (getattr(ticket, name) for name in SEARCHED)
            ticket = changed(
                ticket, search=more(ticket.search, *texts, reason if action == "comment" else None)
            )
        row = line(
            ticket,
            at_ns=self.now_ns,
            actor=actor,
            channel=channel,
            action=action,
            from_state=None if opened else before.state,
            changes=changes,
            reason=reason,
            numbers=numbers or {},
            evidence=evidence,
        )
        self.add(ticket_event, row)
        if before.is_open != ticket.is_open:
            self._opened[ticket.id] = ticket.is_open
        version = before.version + raises_version(None if opened else before.state, ticket.state, changes)
        if (
            opened
            or channel != MACHINE
            or before.state is not ticket.state
            or not _NO_CLOCK.issuperset(changes)
        ):
            self.upsert(timers, review_row(ticket.id, self.now_ns, self.now_ns), REVIEWED)
        after = changed(
            ticket, audit_seq=row["seq"], audit_hash=row["hash"], version=version, change=self.change
        )
        self._tickets[ticket.id] = after
        self._touched[ticket.id] = None
        return after

    def tell(
        self,
        ticket: Ticket,
        kind: str,
        people: Iterable[str | None],
        content: Mapping[str, Json],
        *,
        step: str = "",
    ) -> None:
        """Queue one message about the ticket's last audit line for each channel; `people` are those it names, besides collaborators.

        `step` tells it apart where its occasion leaves no line in the ticket's audit.

        Its key (ticket, step, audit line, channel) is the same however often the step is computed, and has no dot:
        Standard Webhooks put dots around it.
        """
        who = (*people, *told(ticket.collaborators, kind))
        named = list(dict.fromkeys(one for one in who if one))
        for channel in self._channels:
            row: Row = {
                "key": f"{ticket.number}/{step or kind.partition('.')[2]}/{ticket.audit_seq}/{channel}",
                "ticket": ticket.id,
                "number": ticket.number,
                "kind": kind,
                "channel": channel,
                "recipient": "",
                "trace_id": ticket.trace_id,
                "at_ns": self.now_ns,
                "content": to_json({**_summary(ticket), "people": named, **content}),
                "state": "pending",
                "attempts": 0,
                "next_ns": self.now_ns,
                "last_error": "",
                "sent_ns": None,
                "critical": False,
                "parcel": None,
            }
            self.add(messages, row)

    def add(self, table: Table, row: Row) -> None:
        """A row to insert."""
        self._rows.setdefault(table.name, []).append(row)

    def rows(self, table: Table) -> Sequence[Row]:
        """The rows that wait to be inserted there."""
        return self._rows.get(table.name, ())

    def upsert(self, table: Table, row: Row, columns: Sequence[str]) -> None:
        """A row to insert, or to set these columns of; the last one for a primary key counts."""
        key = tuple(row[column.name] for column in table.primary_key)
        self._upserts.setdefault(table.name, (tuple(columns), {}))[1][key] = row

    def later(self, statement: Update | Insert, values: Row) -> None:
        """What to run after all inserts, once for each set of values; hold the statement as a constant."""
        self._later.setdefault(id(statement), (statement, []))[1].append(values)

    def save(self) -> None:
        """Write it all: numbers, tickets, keys, then everything that refers to them."""
        self._write_counters()
        self._write_tickets()
        for is_open in (False, True):  # closings first: a key must not have two open masters in between
            which = [{"_ticket": i, "open": o} for i, o in self._opened.items() if o is is_open]
            _execute(self.conn, _SET_OPEN, which)
        for table in _in_order(len(metadata.tables)):
            _execute(self.conn, insert(table), self._rows.get(table.name, []))
            columns, last = self._upserts.get(table.name, ((), {}))
            upsert(self.conn, table, [last[key] for key in sorted(last)], columns)
        for statement, values in self._later.values():
            _execute(self.conn, statement, values)

    def _write_tickets(self) -> None:
        opened: list[Row] = []
        moved: dict[Sequence[str], list[Row]] = {}
        words: list[tuple[int, str | None, str]] = []
        for number in self._touched:
            ticket, stored = self._tickets[number], self._stored.get(number)
            row = ticket_row(ticket, stored)
            if stored is None:
                opened.append(row)
            else:
                moved.setdefault(tuple(row), []).append({"_id": number, **row})
            words.append((number, stored.search if stored else None, ticket.search))
        _execute(self.conn, insert(tickets), opened)
        for rows in moved.values():
            _execute(self.conn, _UPDATE_TICKET, rows)
        index(self.conn, words)

    def _write_counters(self) -> None:
        values = [{"_name": name, "value": value} for name, value in sorted(self._numbers.items())]
        _execute(self.conn, _SET_COUNTER, values)
        count(self.conn, self.counts)


@cache
def _in_order(_count: int) -> Sequence[Table]:
    """All tables, each after those that it refers to; sorted anew when there are more, for a sort costs 0.3 ms."""
    return metadata.sorted_tables


def _execute(conn: Connection, statement: Update | Insert, rows: Sequence[Row]) -> None:
    if rows:
        conn.execute(statement, rows)


def _summary(ticket: Ticket) -> Mapping[str, Json]:
    """What every message says about its ticket; the channel's catalogue makes the sentence."""
    head = ticket.headline
    return {
        "number": ticket.number,
        "asset": ticket.asset,
        "line": ticket.line,
        "priority": ticket.priority,
        "state": ticket.state,
        "family": head.family,
        "component": head.component,
        "condition": head.condition,
        "numbers": head.numbers,
        "text": head.text,
        "assignee": ticket.assignee,
        "backup": ticket.backup,
    }
