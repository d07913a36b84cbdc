"""What a principal sees: the machines at its places, and of every other thing what concerns those machines.

A list is restricted in SQL by `Sight.assets`; a single thing, named in an address or in a body, is looked up here, and
a foreign one is not there. What concerns no machine (Andon's own tickets) is seen by those without restriction.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from sqlalchemy import Column, Connection, select

from andon.access.roles import Principal
from andon.database import reading
from andon.plant import Asset, Plant
from andon.rules.suppression import Matcher
from api.context import Context
from ticketing import tables as t
from ticketing.alarm_rows import alarm_state
from ticketing.approvals import approval
from ticketing.approving.tables import cost_request
from ticketing.errors import DeedRefused
from ticketing.knowledge import articles
from ticketing.knowledge.tables import article
from ticketing.quality.tables import sister_task
from ticketing.reports import fate
from ticketing.requisitions import requisition
from ticketing.store import TicketDetail
from ticketing.suppressions import suppression


@dataclass(frozen=True, slots=True)
class Sight:
    """What a principal sees of a plant. `assets` are its machines' ids, None: everything there is."""

    principal: Principal
    assets: frozenset[str] | None

    @classmethod
    def of(cls, principal: Principal, plant: Plant) -> "Sight":
        """The sight of that principal in that plant."""
        if principal.everywhere:
            return cls(principal, None)
        return cls(principal, frozenset(one.id for one in plant.assets if principal.sees(one.path)))

    def sees(self, asset: str | None) -> bool:
        """Whether what concerns that machine, or none, is seen."""
        return self.assets is None or asset in self.assets

    def must_see(self, asset: str) -> None:
        """404 for a machine at a foreign place, named in a body: as if there were none."""
        if not self.sees(asset):
            raise OBJECTS["asset_id"].absent(asset)

    @property
    def matching(self) -> Callable[[Matcher], bool] | None:
        """Which suppressions are seen; None: all."""
        return None if self.assets is None else self.matches

    def machines(self, plant: Plant) -> tuple[Asset, ...]:
        """The machines of the plant that are seen."""
        return tuple(one for one in plant.assets if self.sees(one.id))

    def of_detail(self, detail: TicketDetail) -> TicketDetail:
        """A ticket's page without what belongs to it and is not seen."""
        return replace(
            detail,
            links=tuple(one for one in detail.links if self.sees(one.asset)),
            recurrences=tuple(one for one in detail.recurrences if self.sees(one.asset)),
            problems=tuple(one for one in detail.problems if self.sees(one.asset)),
        )

    def matches(self, matcher: Matcher) -> bool:
        """Whether all that a suppression holds back lies where this principal has rights."""
        if self.assets is None or matcher.asset:
            return self.sees(matcher.asset)
        return bool(matcher.under) and self.principal.sees(matcher.under)


def sight_of(principal: Principal, context: Context) -> Sight:
    """What that principal sees now."""
    return Sight.of(principal, context.plant())


def _asked(request: Request) -> Sight:
    return sight_of(request.state.principal, request.app.state.context)


SightOf = Annotated[Sight, Depends(_asked)]

Seen = Callable[[Connection, Sight, str], bool]


def _number(text: str) -> int:
    """What an address names; what is no number names nothing."""
    try:
        return int(text)
    except ValueError:
        return -1


def _one(wanted: Any) -> Seen:
    """Whether the machine that `wanted` of an id gives is seen."""

    def seen(conn: Connection, sight: Sight, name: str) -> bool:
        found = conn.execute(wanted(name)).all()
        return bool(found) and all(sight.sees(row[0]) for row in found)

    return seen


def _of(key: Column[Any], asset: Column[str], *, number: bool = True) -> Seen:
    return _one(lambda name: select(asset).where(key == (_number(name) if number else name)))


def _of_ticket(key: Column[Any], ticket: Column[Any]) -> Seen:
    """Whether the machine of the ticket that the thing belongs to is seen."""
    c = t.ticket.c
    return _one(lambda name: select(c.asset).join(key.table, ticket == c.id).where(key == _number(name)))


def _approval(conn: Connection, sight: Sight, name: str) -> bool:
    """Both the ticket that is to be closed and the one that it would go into."""
    c = approval.c
    row = conn.execute(select(c.ticket, c.master).where(c.id == _number(name))).first()
    return row is not None and all(
        OBJECTS["ticket_id"].seen(conn, sight, str(one)) for one in row if one is not None
    )


def _report(conn: Connection, sight: Sight, name: str) -> bool:
    told = select(t.ticket.c.asset).join(t.occurrence, t.occurrence.c.ticket == t.ticket.c.id)
    mine = told.join(fate, fate.c.finding == t.occurrence.c.finding).where(fate.c.report == _number(name))
    return _one(lambda _: mine)(conn, sight, name)


def _article(conn: Connection, sight: Sight, name: str) -> bool:
    """About a machine that is seen, or published for everybody."""
    mine = select(article.c.id).where(article.c.id == _number(name), articles.seen(sight.assets))
    return conn.execute(mine).first() is not None


def _suppression(conn: Connection, sight: Sight, name: str) -> bool:
    text = select(suppression.c.matcher).where(suppression.c.id == _number(name))
    found = conn.execute(text).scalar()
    return found is not None and sight.matches(Matcher.model_validate_json(found))


def _paper(conn: Connection, sight: Sight, name: str) -> bool:
    """About a ticket that is seen; what is about the whole plant is for those who see it."""
    _, dot, ticket = name.partition(".")
    return OBJECTS["ticket_id"].seen(conn, sight, ticket) if dot else sight.assets is None


@dataclass(frozen=True, slots=True)
class Object:
    """A kind of thing that an address names: whether it is seen, and the code that says that there is none."""

    what: str
    seen: Seen
    code: str = ""

    def absent(self, name: str) -> Exception:
        """What is said of one that is not there, or is not seen."""
        text = f"there is no {self.what} {name[:80]}"
        return DeedRefused(self.code, text) if self.code else HTTPException(404, text)


_FINDING = Object("finding", _of(t.occurrence.c.finding, t.occurrence.c.asset, number=False))
_TICKET = Object("ticket", _of(t.ticket.c.id, t.ticket.c.asset), "ticket_not_found")

OBJECTS: Mapping[str, Object] = {
    "ticket_id": _TICKET,
    "other": _TICKET,
    "asset_id": Object("machine", lambda _conn, sight, name: sight.sees(name)),
    "alarm_id": Object("alarm", _of(alarm_state.c.id, alarm_state.c.asset, number=False), "alarm_not_found"),
    "finding": _FINDING,
    "finding_id": _FINDING,
    "problem_id": Object("root-cause task", _of(t.problem.c.id, t.problem.c.asset), "problem_not_found"),
    "requisition_id": Object(
        "requisition", _of_ticket(requisition.c.id, requisition.c.ticket), "requisition_not_found"
    ),
    "sister_id": Object(
        "task on a sister machine", _of(sister_task.c.id, sister_task.c.asset), "sister_not_found"
    ),
    "approval_id": Object("approval", _approval, "approval_not_found"),
    "cost_request_id": Object(
        "cost request", _of_ticket(cost_request.c.id, cost_request.c.ticket), "cost_request_not_found"
    ),
    "article_id": Object("article", _article, "article_not_found"),
    "report_id": Object("report", _report),
    "paper_id": Object("report", _paper),
    "label_id": Object("label", _of(t.label.c.id, t.label.c.asset)),
    "suppression_id": Object("suppression", _suppression, "suppression_not_found"),
}
"""The parameters of addresses that name a thing with a place."""


def look(context: Context, principal: Principal, named: Iterable[tuple[str, str]]) -> None:
    """Look at the place of everything an address names; a foreign thing is answered as one that is not there."""
    sight = sight_of(principal, context)
    with reading(context.database) as conn:
        for parameter, name in named:
            one = OBJECTS[parameter]
            if not one.seen(conn, sight, name):
                raise one.absent(name)


def must_see_ticket(context: Context, sight: Sight, ticket_id: int) -> None:
    """The same for a ticket that stands in a body: a master to merge into, the other end of a link."""
    must_see(context, sight, "ticket_id", ticket_id)


def must_see(context: Context, sight: Sight, kind: str, number: int) -> None:
    """The same for anything that stands in a body, of a kind of `OBJECTS`."""
    if sight.assets is not None:
        look(context, sight.principal, [(kind, str(number))])
