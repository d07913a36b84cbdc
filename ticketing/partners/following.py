"""Follows the tickets for each partner: what changed is sent until it is confirmed, and what is overdue is a failure.

Nothing is hooked into the deeds: tickets are found by their change number, so that no deed can forget a partner, and
after a restart the following goes on where it was. Each version that changed is a row, the newest of them a message:
a partner keeps the highest version it was told, so that lost, doubled and overtaken messages end in the same state.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, and_, func, insert, or_, select, update

from andon.events import SECOND_NS, Action, Family, Finding, Json, Origin
from andon.own_findings import OWN_ASSET
from andon.plant import Plant
from andon.rules.partners import Partner
from ticketing.audit import raises_version
from ticketing.book import Book
from ticketing.intake import fold
from ticketing.partners.saying import send_state, under_way
from ticketing.partners.stock import newest_movement, send_movements
from ticketing.partners.tables import partner_cursor, partner_sync
from ticketing.rows import ticket_of
from ticketing.service import Tickets
from ticketing.sql import Row, chunks, upsert
from ticketing.tables import counter, ticket_event
from ticketing.tables import ticket as tickets_table
from ticketing.ticket import Ticket, TicketState

UNSYNCED = "partner_unsynced"
AT_ONCE = 500
"""Rows that one turn looks at: an alarm must not wait for a partner that has been away."""
log = logging.getLogger(__name__)
_CHANGES = msgspec.json.Decoder(dict[str, Json])
_sync, _at = partner_sync.c, partner_cursor.c
_OVERDUE = and_(_sync.confirmed_ns.is_(None), _sync.look_ns.is_not(None))
_UNTOLD = and_(_sync.failed_ns.is_not(None), _sync.alarmed_ns.is_(None))
_OUT_OF_SYNC = and_(_sync.failed_ns.is_not(None), _sync.confirmed_ns.is_(None))


def turn(tickets: Tickets, plant: Plant, now_ns: int) -> None:
    """Follow for every partner that something is to be done for, each in a savepoint of its own."""
    if not plant.partners:
        return
    with tickets.looking() as conn:  # mostly nothing is to be done, and no lock is taken for it
        waiting = [one for one in plant.partners if is_due(conn, one, now_ns)]
    if not waiting:
        return
    with tickets.transactions(now_ns) as book_of_its_own:
        for partner in waiting:
            try:
                with book_of_its_own() as book:
                    follow(book, plant, partner)
            except Exception:
                log.exception(
                    "a partner could not be followed; this is tried again", extra={"partner": partner.code}
                )


def is_due(conn: Connection, partner: Partner, now_ns: int) -> bool:
    """Whether tickets have changed since, something is overdue, or an alarm is to be raised or cleared."""
    cursor = _cursor(conn, partner)
    if cursor is None or cursor["change"] < _change(conn):
        return True
    if partner.stock and cursor["movement"] < newest_movement(conn):
        return True
    mine = _sync.partner == partner.code
    todo = or_(and_(_OVERDUE, _sync.look_ns <= now_ns), _UNTOLD)
    if conn.execute(select(_sync.ticket).where(mine, todo).limit(1)).first():
        return True
    return cursor["alarm_ns"] is not None and not _is_out_of_sync(conn, partner)


def follow(book: Book, plant: Plant, partner: Partner) -> None:
    """Send what changed, send again what was not confirmed, and put what failed on the partner's ticket."""
    cursor = _cursor(book.conn, partner)
    if cursor is None:  # the partnership begins: what changes from now on
        row = {"partner": partner.code, "change": _change(book.conn), "movement": newest_movement(book.conn)}
        begun = {"told": 0, "since_ns": book.now_ns, "alarm_ns": None}
        book.conn.execute(insert(partner_cursor), row | begun)
        return
    _send_changes(book, plant, partner, cursor)
    send_movements(book, plant, partner, cursor)
    _send_again(book, plant, partner)
    _alarm(book, plant, partner, cursor["alarm_ns"])


def _send_changes(book: Book, plant: Plant, partner: Partner, cursor: RowMapping) -> None:
    conn, top = book.conn, _change(book.conn)
    moved = select(tickets_table).where(
        tickets_table.c.change > cursor["change"], tickets_table.c.asset != OWN_ASSET
    )
    for ticket in map(ticket_of, conn.execute(moved.order_by(tickets_table.c.change)).mappings().all()):
        if hears_of(partner, ticket):
            note(book, plant, partner, ticket, cursor["since_ns"])
    conn.execute(update(partner_cursor).where(_at.partner == partner.code).values(change=top))


def hears_of(partner: Partner, ticket: Ticket) -> bool:
    """Whether the partner hears of that ticket: not of Andon's own, which tell of the partner itself."""
    return ticket.asset != OWN_ASSET and (not partner.types or ticket.type in partner.types)


def note(book: Book, plant: Plant, partner: Partner, ticket: Ticket, since_ns: int) -> bool:
    """Write down the ticket's versions that the partner has to know and does not, and send the newest; False: none."""
    conn = book.conn
    mine = select(func.max(_sync.version)).where(_sync.partner == partner.code, _sync.ticket == ticket.id)
    known = conn.execute(mine).scalar() or 0
    rows = [
        _row(partner, ticket.id, version, state, at_ns)
        for version, state, at_ns in _versions(conn, ticket)
        if version > known and (known or at_ns >= since_ns)
    ]
    if rows:
        conn.execute(insert(partner_sync), rows)
        send_state(conn, plant, partner, ticket, book.now_ns)
    return bool(rows)


def _row(partner: Partner, ticket: int, version: int, state: str, changed_ns: int) -> Row:
    return {
        "partner": partner.code,
        "ticket": ticket,
        "version": version,
        "state": state,
        "changed_ns": changed_ns,
        "confirmed_ns": None,
        "failed_ns": None,
        "alarmed_ns": None,
        "look_ns": changed_ns + int(partner.confirm_within_s * SECOND_NS),
        "sends": 0,
    }


def _versions(conn: Connection, ticket: Ticket) -> Iterator[tuple[int, str, int]]:
    """(version, state, since when) of a ticket, told from its audit."""
    c, version = ticket_event.c, 1
    lines = select(c.from_state, c.to_state, c.changes, c.at_ns).where(c.ticket == ticket.id).order_by(c.seq)
    for line in conn.execute(lines):
        before = TicketState(line.from_state) if line.from_state else None
        raised = raises_version(before, TicketState(line.to_state), _CHANGES.decode(line.changes))
        version += raised
        if raised or before is None:
            yield version, line.to_state, line.at_ns


def _send_again(book: Book, plant: Plant, partner: Partner) -> None:
    """What was not confirmed in time has failed; the newest of each ticket is sent again, unless it still waits."""
    conn, now_ns = book.conn, book.now_ns
    limit_ns = int(partner.confirm_within_s * SECOND_NS)
    overdue = select(partner_sync).where(_sync.partner == partner.code, _OVERDUE, _sync.look_ns <= now_ns)
    rows = conn.execute(overdue.order_by(_sync.look_ns).limit(AT_ONCE)).mappings().all()
    newest = _newest(conn, partner, [row["ticket"] for row in rows])
    for row in rows:
        due_ns = row["changed_ns"] + limit_ns
        values = (
            {"look_ns": None} if row["version"] < newest[row["ticket"]] else {"look_ns": now_ns + limit_ns}
        )
        if row["failed_ns"] is None and due_ns <= now_ns:
            values["failed_ns"] = due_ns
        this = _sync.partner == partner.code, _sync.ticket == row["ticket"], _sync.version == row["version"]
        conn.execute(update(partner_sync).where(*this).values(**values))
        if values["look_ns"]:
            tell_truth(book, plant, partner, row["ticket"])


def tell_truth(book: Book, plant: Plant, partner: Partner, ticket_id: int) -> None:
    """Send the partner the ticket's true state once more, whatever it has confirmed."""
    conn, ticket = book.conn, book.ticket(ticket_id)
    if not hears_of(partner, ticket) or under_way(conn, partner.code, ticket_id):
        return
    cursor = _cursor(conn, partner)
    since_ns = cursor["since_ns"] if cursor else book.now_ns
    if not note(book, plant, partner, ticket, since_ns):
        row = _row(partner, ticket_id, ticket.version, str(ticket.state), book.now_ns)
        upsert(conn, partner_sync, [row])
        send_state(conn, plant, partner, ticket, book.now_ns)


def _newest(conn: Connection, partner: Partner, numbers: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for some in chunks(numbers):
        mine = select(_sync.ticket, func.max(_sync.version)).where(
            _sync.partner == partner.code, _sync.ticket.in_(some)
        )
        found |= {row[0]: row[1] for row in conn.execute(mine.group_by(_sync.ticket))}
    return found


def _alarm(book: Book, plant: Plant, partner: Partner, alarm_ns: int | None) -> None:
    """One ticket of the highest priority for the partner: each failure joins it, until all is confirmed."""
    conn, onset_ns = book.conn, alarm_ns or book.now_ns
    untold = select(partner_sync).where(_sync.partner == partner.code, _UNTOLD)
    rows = conn.execute(untold.order_by(_sync.changed_ns).limit(AT_ONCE)).mappings().all()
    findings: list[Finding] = []
    for row in rows:
        action = Action.UPDATE if alarm_ns or findings else Action.RAISE
        what = f"{row['ticket']}|{row['version']}"
        detail = f"{book.ticket(row['ticket']).number} {row['state']}"
        findings.append(_finding(book.now_ns, partner, action, onset_ns, what=what, detail=detail))
        this = _sync.partner == partner.code, _sync.ticket == row["ticket"], _sync.version == row["version"]
        conn.execute(update(partner_sync).where(*this).values(alarmed_ns=book.now_ns))
    stands = alarm_ns is not None or bool(rows)
    if stands and not _is_out_of_sync(conn, partner):
        findings.append(_finding(book.now_ns, partner, Action.CLEAR, onset_ns, what=f"clear|{book.now_ns}"))
        stands = False
    if findings:
        since = update(partner_cursor).where(_at.partner == partner.code)
        conn.execute(since.values(alarm_ns=onset_ns if stands else None))
        fold(book, findings, plant)


def _finding(
    now_ns: int, partner: Partner, action: Action, onset_ns: int, *, what: str, detail: str = ""
) -> Finding:
    """What failed, or that all is confirmed again, as a finding about Andon's own line."""
    return Finding(
        id=hashlib.sha256(f"{UNSYNCED}|{partner.code}|{what}".encode()).hexdigest()[:32],
        asset=OWN_ASSET,
        component=f"{UNSYNCED}.{partner.code}",
        family=Family.DATA_QUALITY,
        condition=UNSYNCED,
        action=action,
        at_ns=now_ns,
        onset_ns=onset_ns,
        severity=950,
        confidence=1.0,
        numbers=(),
        evidence={},
        detector="pipeline",
        version="1",
        parameters_hash="",
        origin=Origin(f"partner/{partner.code}", 0, now_ns),
        text={"subject": partner.code, "detail": detail},
    )


def _is_out_of_sync(conn: Connection, partner: Partner) -> bool:
    mine = select(_sync.ticket).where(_sync.partner == partner.code, _OUT_OF_SYNC)
    return conn.execute(mine.limit(1)).first() is not None


def _cursor(conn: Connection, partner: Partner) -> RowMapping | None:
    return conn.execute(select(partner_cursor).where(_at.partner == partner.code)).mappings().first()


def _change(conn: Connection) -> int:
    return int(conn.execute(select(counter.c.value).where(counter.c.name == "change")).scalar() or 0)
