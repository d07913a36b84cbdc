"""A partner knows a ticket's state: what it confirms, and what it has wrong."""

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, case, func, select, update

from andon.events import HOUR_NS, SECOND_NS
from andon.rules.partners import Partner
from ticketing.message_tables import outbox
from ticketing.partners.saying import MOVED
from ticketing.partners.tables import partner_sync as sync


def confirm(
    conn: Connection, partner: Partner, ticket: int, version: int, *, now_ns: int, word: str = ""
) -> bool:
    """Note that the partner knows the ticket as of that version, and thereby of all before; False if it has it wrong.

    `word` is the state that it says it keeps, in its own words: another than the one that it was told is none
    confirmed. What is confirmed after its time stays a failure (K5).
    """
    mine = sync.c.partner == partner.code, sync.c.ticket == ticket
    known = select(sync.c.state).where(*mine, sync.c.version <= version).order_by(sync.c.version.desc())
    state = conn.execute(known.limit(1)).scalar()
    if state is None or (word and partner.state(word) != state):
        return False
    due_ns = sync.c.changed_ns + int(partner.confirm_within_s * SECOND_NS)
    late = case((sync.c.failed_ns.is_(None) & (due_ns < now_ns), due_ns), else_=sync.c.failed_ns)
    open_ = update(sync).where(*mine, sync.c.version <= version, sync.c.confirmed_ns.is_(None))
    conn.execute(open_.values(confirmed_ns=now_ns, failed_ns=late, look_ns=None))
    return True


def newest(conn: Connection, partner: str, ticket: int) -> int:
    """The newest version of the ticket that the partner has to know; 0 if it hears nothing of it."""
    c = sync.c
    return int(
        conn.execute(
            select(func.coalesce(func.max(c.version), 0)).where(c.partner == partner, c.ticket == ticket)
        ).scalar_one()
    )


class Confirmed(msgspec.Struct):
    """The answer that confirms: the version that the partner keeps now, and the state it calls it."""

    version: int
    state: str = ""


def of_answer(answer: str) -> Confirmed | None:
    """What the answer to a state's message confirms: a bare 2xx nothing, for it may stand in a queue.

    >>> of_answer('200 {"version": 3, "state": "DONE"}')
    Confirmed(version=3, state='DONE')
    >>> of_answer("202 accepted")
    """
    try:
        return msgspec.json.decode(answer.partition(" ")[2], type=Confirmed)
    except msgspec.DecodeError:
        return None


Taken = Callable[[Connection, Sequence[RowMapping], str], None]


def on_answer(partner: Callable[[], Partner | None], now: Callable[[], int]) -> Taken:
    """What a partner's channel does once a message was taken: confirm what the answer says, at the time it came.

    The partner is there again: movements of the stock that were given up meanwhile are tried again, an hour later.
    """

    def taken(conn: Connection, rows: Sequence[RowMapping], answer: str) -> None:
        _take_up_again(conn, rows[0]["channel"], now())
        said, known = of_answer(answer), partner()
        if said is None or known is None:
            return
        for row in rows:
            if row["kind"] == "ticket.state":
                confirm(conn, known, row["ticket"], said.version, now_ns=now(), word=said.state)

    return taken


def _take_up_again(conn: Connection, channel: str, now_ns: int) -> None:
    c = outbox.c
    dead = update(outbox).where(c.channel == channel, c.state == "dead", c.kind == MOVED)
    conn.execute(dead.values(state="pending", attempts=0, next_ns=now_ns + HOUR_NS))
