"""How a ticket stands with its costs: what was asked, what each level said, and who still has to agree."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec
from sqlalchemy import Connection, RowMapping, func, select

from andon.database import Machines, behind
from andon.plant import Plant
from andon.rules.approvals import Level
from ticketing.approving import costs
from ticketing.approving.costs import Sums
from ticketing.approving.deciders import Authorities, Via, deciders, in_force, roster_of
from ticketing.approving.delegations import Delegation
from ticketing.approving.tables import cost_decision, cost_request
from ticketing.duty import Roster
from ticketing.errors import DeedRefused
from ticketing.sql import chunks
from ticketing.tables import of_machines
from ticketing.tables import ticket as tickets
from ticketing.ticket import Ticket, TicketState

Levels = tuple[Level, ...]
_T = tickets.alias("asked_about")
_LEVELS = msgspec.json.Decoder(tuple[str, ...])


class RequestState(StrEnum):
    """PENDING until every level has granted it or one has refused; SUPERSEDED by another amount."""

    PENDING = "pending"
    GRANTED = "granted"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


class Verdict(StrEnum):
    """What a level says."""

    GRANTED = "granted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one level said about an amount, who it was and by what right."""

    request: int
    level: str
    ticket: int
    cents: int
    verdict: Verdict
    by: str
    via: Via
    on_behalf_of: str | None
    note: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Request:
    """An amount, and the levels it needs; `level` is the one whose turn it is since `since_ns`, None once settled."""

    id: int
    ticket: int
    cents: int
    basis: str
    levels: tuple[str, ...]
    level: str | None
    reason: str
    asked_by: str
    asked_ns: int
    since_ns: int
    state: RequestState = RequestState.PENDING
    settled_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """How a ticket stands with its costs. `lacking`: the levels that have to agree before it can be resolved."""

    sums: Sums
    needed: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    approved_cents: int = 0
    request: Request | None = None
    decisions: tuple[Decision, ...] = field(default=())


def standing(conn: Connection, plant: Plant, ticket: Ticket) -> Approval:
    """What a ticket costs, who agreed to how much of it, and who still has to."""
    total = costs.sums(conn, ticket.id)
    needed, left = levels_of(conn, plant, ticket, total)
    return Approval(
        sums=total,
        needed=tuple(level.code for level in needed),
        lacking=tuple(level.code for level in left),
        approved_cents=_approved(conn, ticket.id),
        request=newest_of(conn, ticket.id),
        decisions=decisions(conn, [ticket.id]),
    )


def lacking(conn: Connection, plant: Plant, ticket: Ticket) -> tuple[str, ...]:
    """The levels that have to agree before the ticket can be resolved."""
    return tuple(level.code for level in levels_of(conn, plant, ticket, costs.sums(conn, ticket.id))[1])


def who_decides(conn: Connection, plant: Plant, ticket: Ticket, asked: Request, at_ns: int) -> Authorities:
    """Who may decide the level whose turn it is: nobody who stated the cost, or agreed to it at another level."""
    roster, given = roster_of(conn, plant, at_ns), in_force(conn, at_ns)
    return _who(ticket.line, asked, decisions(conn, [ticket.id]), roster, given)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits, on which ticket of which machine, and who may decide it."""

    request: Request
    number: str
    asset: str
    line: str
    may: Authorities

    def is_for(self, person: str) -> bool:
        """Whether that person may decide it."""
        return person in self.may if self.may is not None else person != self.request.asked_by


def waiting(conn: Connection, plant: Plant, asked: Sequence[Request], at_ns: int) -> Sequence[Waiting]:
    """These requests with who may decide each."""
    said = decisions(conn, [one.ticket for one in asked])
    roster, given = roster_of(conn, plant, at_ns), in_force(conn, at_ns)
    c = tickets.c
    where = {
        row.id: row
        for some in chunks(one.ticket for one in asked)
        for row in conn.execute(select(c.id, c.number, c.asset, c.line).where(c.id.in_(some)))
    }
    return [
        Waiting(
            request=one,
            number=where[one.ticket].number,
            asset=where[one.ticket].asset,
            line=where[one.ticket].line,
            may=_who(
                where[one.ticket].line,
                one,
                [d for d in said if d.ticket == one.ticket],
                roster,
                given,
            ),
        )
        for one in asked
    ]


def numbered(conn: Connection, number: int) -> Request:
    """That request; DeedRefused if there is none."""
    row = conn.execute(select(cost_request).where(cost_request.c.id == number)).mappings().first()
    if row is None:
        raise DeedRefused("cost_request_not_found", f"there is no cost request {number}")
    return _of(row)


def newest_of(conn: Connection, ticket_id: int) -> Request | None:
    """What was asked last about a ticket's costs."""
    wanted = select(cost_request).where(cost_request.c.ticket == ticket_id)
    row = conn.execute(wanted.order_by(cost_request.c.id.desc()).limit(1)).mappings().first()
    return None if row is None else _of(row)


def in_state(
    conn: Connection,
    state: RequestState,
    *,
    machines: Machines = None,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> Sequence[Request]:
    """Requests in that state, the oldest first; what waits about an estimate of a closed ticket waits for nobody."""
    c, order = cost_request.c, (cost_request.c.id,)
    wanted = select(cost_request).where(c.state == str(state), behind(order, after))
    wanted = wanted.where(of_machines(c.ticket, machines))
    if state is RequestState.PENDING:
        closed = select(_T.c.id).where(_T.c.id == c.ticket, _T.c.state == str(TicketState.CLOSED))
        wanted = wanted.where((c.basis == "actual") | ~closed.exists())
    return [_of(row) for row in conn.execute(wanted.order_by(*order).limit(limit)).mappings()]


def decisions(conn: Connection, ticket_ids: Iterable[int]) -> tuple[Decision, ...]:
    """Every decision about these tickets' costs, in order."""
    c = cost_decision.c
    found: list[Decision] = []
    for some in chunks(ticket_ids):
        wanted = select(cost_decision).where(c.ticket.in_(some)).order_by(c.request, c.at_ns)
        found += [
            Decision(**{**row, "verdict": Verdict(row["verdict"]), "via": Via(row["via"])})
            for row in conn.execute(wanted).mappings()
        ]
    return tuple(found)


def levels_of(conn: Connection, plant: Plant, ticket: Ticket, total: Sums) -> tuple[Levels, Levels]:
    """The levels that the ticket's costs need, and those of them that still have to agree."""
    asset = plant.asset(ticket.asset)
    rules = plant.approvals
    asked = rules.asked(ticket.type, asset.criticality if asset else None, total.amount_cents)
    if not asked:
        return (), ()
    granted = _granted(conn, ticket.id)
    if total.basis == "actual":
        granted = {level: rules.with_leeway(cents) for level, cents in granted.items()}
    return asked, rules.lacking(asked, granted, total.amount_cents)


def _who(
    line: str,
    asked: Request,
    said: Sequence[Decision],
    roster: Roster,
    given: Sequence[Delegation],
) -> Authorities:
    out = {one.by for one in said if one.verdict is Verdict.GRANTED and one.level != asked.level}
    rules = roster.plant.approvals
    out |= set() if rules.own_costs else {asked.asked_by}
    return deciders(rules.level(asked.level or ""), line, roster, given, out)


def _granted(conn: Connection, ticket_id: int) -> Mapping[str, int]:
    """The most that each level agreed to, in requests that nobody refused."""
    c = cost_decision.c
    wanted = (
        select(c.level, func.max(c.cents))
        .join(cost_request, cost_request.c.id == c.request)
        .where(
            c.ticket == ticket_id,
            c.verdict == str(Verdict.GRANTED),
            cost_request.c.state != str(RequestState.REFUSED),
        )
    )
    return {row[0]: row[1] for row in conn.execute(wanted.group_by(c.level))}


def _approved(conn: Connection, ticket_id: int) -> int:
    c = cost_request.c
    whole = c.ticket == ticket_id, c.state == str(RequestState.GRANTED)
    return int(conn.execute(select(func.coalesce(func.max(c.cents), 0)).where(*whole)).scalar_one())


def _of(row: RowMapping) -> Request:
    return Request(**{**row, "levels": _LEVELS.decode(row["levels"]), "state": RequestState(row["state"])})
