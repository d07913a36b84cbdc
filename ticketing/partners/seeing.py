"""How the sync with each partner stands: what waits, what failed, what was refused; for the page and for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, distinct, func, select

from andon.database import behind
from andon.events import Json
from andon.rules.partners import Partner
from ticketing.partners.tables import partner_cursor, partner_event, partner_sync
from ticketing.tables import ticket

_sync, _event = partner_sync.c, partner_event.c


@dataclass(frozen=True, slots=True)
class PartnerState:
    """One partner: `waiting` tickets are not confirmed yet, for `out_of_sync` of them it is too late already.

    Of those it was `told` in the time that is counted `failures` failed (K5), and `refused` events were not done.
    """

    code: str
    name: str
    name_zh: str
    since_ns: int | None
    last_confirmed_ns: int | None
    last_heard_ns: int | None
    waiting: int
    out_of_sync: int
    told: int
    failures: int
    refused: int


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A ticket whose state a partner has not confirmed: since when it holds, and how often it was sent."""

    partner: str
    ticket: int
    number: str
    version: int
    state: str
    changed_ns: int
    failed_ns: int | None
    sends: int


@dataclass(frozen=True, slots=True)
class PartnerEvent:
    """What a partner said, and what became of it; `answer` is what it was answered."""

    id: int
    partner: str
    event: str
    type: str
    received_ns: int
    ticket: int | None
    number: str | None
    outcome: str
    code: str
    answer: Mapping[str, Json]


def state_of(conn: Connection, partner: Partner, since_ns: int) -> PartnerState:
    """How it stands with that partner; what is counted is counted from `since_ns` on."""
    mine, event_of_it = _sync.partner == partner.code, _event.partner == partner.code
    of_sync = select(func.count(distinct(_sync.ticket))).where(mine)
    waits = of_sync.where(_sync.confirmed_ns.is_(None))
    lately = of_sync.where(_sync.changed_ns >= since_ns)
    refused = select(func.count()).where(
        event_of_it, _event.outcome == "refused", _event.received_ns >= since_ns
    )
    begun = select(partner_cursor.c.since_ns).where(partner_cursor.c.partner == partner.code)
    return PartnerState(
        code=partner.code,
        name=partner.name or partner.code,
        name_zh=partner.name_zh,
        since_ns=conn.execute(begun).scalar(),
        last_confirmed_ns=conn.execute(select(func.max(_sync.confirmed_ns)).where(mine)).scalar(),
        last_heard_ns=conn.execute(select(func.max(_event.received_ns)).where(event_of_it)).scalar(),
        waiting=conn.execute(waits).scalar_one(),
        out_of_sync=conn.execute(waits.where(_sync.failed_ns.is_not(None))).scalar_one(),
        told=conn.execute(lately).scalar_one(),
        failures=conn.execute(lately.where(_sync.failed_ns.is_not(None))).scalar_one(),
        refused=conn.execute(refused).scalar_one(),
    )


def unconfirmed(
    conn: Connection, *, partner: str | None = None, limit: int = 100, after: Sequence[object] | None = None
) -> Sequence[Unconfirmed]:
    """The newest version of each ticket that a partner has not confirmed, the longest waiting first."""
    newer = partner_sync.alias()
    is_newest = ~(
        select(newer.c.ticket)
        .where(
            newer.c.partner == _sync.partner, newer.c.ticket == _sync.ticket, newer.c.version > _sync.version
        )
        .exists()
    )
    order = (_sync.changed_ns, _sync.ticket, _sync.partner)
    columns = (_sync.partner, _sync.ticket, ticket.c.number, _sync.version, _sync.state, _sync.changed_ns)
    wanted = select(*columns, _sync.failed_ns, _sync.sends).join(ticket, ticket.c.id == _sync.ticket)
    wanted = wanted.where(_sync.confirmed_ns.is_(None), is_newest, behind(order, after))
    if partner is not None:
        wanted = wanted.where(_sync.partner == partner)
    return [Unconfirmed(*row) for row in conn.execute(wanted.order_by(*order).limit(limit))]


def events(
    conn: Connection,
    *,
    partner: str | None = None,
    outcome: str | None = None,
    about: int | None = None,
    limit: int = 100,
    after: Sequence[object] | None = None,
) -> Sequence[PartnerEvent]:
    """What partners said, the newest first: of one, with one outcome, about one ticket."""
    order = (_event.id.desc(),)
    columns = (_event.id, _event.partner, _event.event, _event.type, _event.received_ns, _event.ticket)
    wanted = select(*columns, ticket.c.number, _event.outcome, _event.code, _event.answer)
    wanted = wanted.outerjoin(ticket, ticket.c.id == _event.ticket).where(behind(order, after))
    asked = ((_event.partner, partner), (_event.outcome, outcome), (_event.ticket, about))
    for column, value in asked:
        if value is not None:
            wanted = wanted.where(column == value)
    rows = conn.execute(wanted.order_by(*order).limit(limit)).mappings()
    decode = msgspec.json.Decoder(dict[str, Json]).decode
    return [PartnerEvent(**{**row, "answer": decode(row["answer"])}) for row in rows]


@dataclass(frozen=True, slots=True)
class TicketSync:
    """How a ticket stands with one partner: the newest version it was told, and when it confirmed one last."""

    partner: str
    version: int
    state: str
    changed_ns: int
    confirmed_ns: int | None
    failed_ns: int | None


def of_ticket(conn: Connection, number: int) -> Sequence[TicketSync]:
    """How a ticket stands with each partner that hears of it; empty where none does."""
    columns = (
        _sync.partner,
        _sync.version,
        _sync.state,
        _sync.changed_ns,
        _sync.confirmed_ns,
        _sync.failed_ns,
    )
    rows = conn.execute(select(*columns).where(_sync.ticket == number).order_by(_sync.partner, _sync.version))
    return list({row.partner: TicketSync(*row) for row in rows}.values())
