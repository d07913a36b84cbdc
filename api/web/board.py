"""All tickets as a board of five columns, as a table (`ticket_pages`) or as a calendar of what is due: one set of filters.

The address holds every filter, so that a view is kept and sent by keeping and sending its address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from sqlalchemy import Engine
from starlette.responses import Response

from andon.access.roles import Right
from andon.database import Machines, reading
from andon.events import SECOND_NS, Json
from andon.plant import Plant, once_per_plant
from api.pages import environment, render
from api.rights import needs
from api.tickets import Wanted, filter_of
from api.visit import Visit, VisitOf
from api.web.clock_rows import eighths_left
from api.web.next_step import what_next
from api.web.wording import asset_name, condition_name, message_in, person_name
from ticketing import store
from ticketing.cards import Card, columns, due_cards
from ticketing.listing import STUCK_NS
from ticketing.ticket import TicketState

router = APIRouter(dependencies=[needs(Right.READ)])
PER_COLUMN = 30
"""Cards of a column; a longer one leads on to the table."""
WEEKS, MOST_DUE = 2, 500
"""How far the calendar looks ahead, and how much it shows."""
MARKS = {"critical": "c", "high": "h", "medium": "m", "low": "l"}
"""Priority -> the class of its card."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A card in the visitor's words; hundreds of them make a page, so that names of classes are short."""

    id: int
    number: str
    priority: str
    marks: str
    what: str
    asset: str
    line: str
    who: str
    folded: int
    age: str
    due: str
    eighths: int


@dataclass(frozen=True, slots=True)
class Pile:
    """One column: the cards, how many tickets there are, and where the others stand."""

    state: TicketState
    cards: Sequence[Shown]
    total: int
    more: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """What decides how the columns look: all that is compared here, and no other thing about the visit.

    `plant` is the document's identity: it never changes, and lives as long as the visit that is kept here.
    """

    database: Engine
    change: int
    plant: int
    seen: Machines
    language: str
    actor: str
    wanted: str
    moment: int
    visit: Visit = field(compare=False)
    filters: Wanted = field(compare=False)


@router.get("/board")
def board(request: Request, visit: VisitOf, wanted: Annotated[Wanted, Query()]) -> Response:
    """Five columns, the most urgent at the top."""
    with reading(visit.context.database) as conn:
        change = store.change_number(conn)
    asked = _Asked(
        visit.context.database,
        change,
        id(visit.plant),
        visit.sight.assets,
        visit.words.language,
        visit.actor if wanted.mine else "",
        query_of(wanted),
        visit.time.now_ns // _KEPT_NS,
        visit,
        wanted,
    )
    return render(request, visit, "board.html", "tickets", piles=_piles(asked), **filters(wanted, visit))


_KEPT_NS = 15 * SECOND_NS
"""For so long the spans on a board are kept as they were said; a change of any ticket makes it anew at once."""


@lru_cache(maxsize=32)
def _piles(asked: _Asked) -> Markup:
    """The columns as markup, kept: of twenty tabs that hear of one change, the first has them made."""
    visit, wanted = asked.visit, asked.filters
    with reading(visit.context.database) as conn:
        found = columns(conn, filter_of(wanted, visit), PER_COLUMN)
    words = _Words(visit)
    piles = [
        Pile(
            one.state,
            [words.shown(card) for card in one.cards],
            one.total,
            f"/tickets?{query_of(wanted, state=one.state)}" if one.total > len(one.cards) else "",
        )
        for one in found
    ]
    made = environment().get_template("piles.html").render(piles=piles, t=visit.words)
    return Markup(made)  # noqa: S704 - escaped by Jinja


class _Words:
    """Names and spans, each put in words once for the whole page."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._people = {one.id: one.name for one in visit.plant.people}
        self._conditions: dict[str, str] = {}

    def shown(self, card: Card) -> Shown:
        visit, now_ns = self._visit, self._visit.time.now_ns
        late = card.due_ns is not None and card.due_ns < now_ns
        stuck = card.state is not TicketState.CLOSED and now_ns - card.since_ns > STUCK_NS
        name = self._conditions.get(card.condition) or self._conditions.setdefault(
            card.condition, condition_name(card.condition, visit.words)
        )
        return Shown(
            id=card.id,
            number=card.number,
            priority=visit.words(f"priority.{card.priority}"),
            marks=MARKS[card.priority] + (" k" if stuck else "") + (" x" if late else ""),
            what=message_in(card.said, visit.words) or name,
            asset=asset_name(visit.plant.asset(card.asset), card.asset, visit.words),
            line=card.line,
            who=self._people.get(card.assignee or "", card.assignee or ""),
            folded=card.occurrence_count,
            age=visit.words("board.for", span=visit.time.about(now_ns - card.since_ns)),
            due=self._due(card.due_ns, now_ns),
            eighths=eighths_left(card.due_ns, card.limit_ns, now_ns),
        )

    def _due(self, due_ns: int | None, now_ns: int) -> str:
        if due_ns is None:
            return ""
        key = "sla.late" if due_ns < now_ns else "sla.left"
        return self._visit.words(key, span=self._visit.time.about(abs(due_ns - now_ns)))


def query_of(wanted: Wanted, **other: Json) -> str:
    """The filters as they stand in an address, without those that restrict nothing; `other` are set or, if empty, left out."""
    said = wanted.model_dump(mode="json", exclude_defaults=True) | other
    return urlencode({name: _plain(value) for name, value in said.items() if value})


def _plain(value: Json) -> str:
    return "true" if value is True else str(value)


def filters(wanted: Wanted, visit: Visit) -> Mapping[str, Json]:
    """What the form of the filters offers, and what the links to the other views carry along."""
    kept, seen = _kept(visit.plant), (visit.words.language, visit.sight.assets)
    offered = kept[seen] if seen in kept else kept.setdefault(seen, _offered(visit))
    return {
        "filters": wanted,
        "offered": {name: _chosen(options, getattr(wanted, name)) for name, options in offered.items()},
        "query": query_of(wanted, offset=0),
        "narrowed": sum(bool(getattr(wanted, name)) for name in _FURTHER),
        "in_force": len(wanted.model_dump(exclude_defaults=True, exclude=_NO_FILTERS)),
    }


_Options = Mapping[str, Markup]


@once_per_plant
def _kept(_plant: Plant) -> dict[tuple[str, Machines], _Options]:
    """What the filters of a plant offer, by language and by what is seen: hundreds of machines, seldom others."""
    return {}


def _offered(visit: Visit) -> _Options:
    """The options of every filter as markup."""
    words, machines = visit.words, visit.machines
    states = [(str(one), words(f"state.{one}")) for one in TicketState]
    offered: Mapping[str, Sequence[tuple[str, str]]] = {
        "line": [(one, one) for one in sorted({one.line for one in machines})],
        "area": [(one, one) for one in sorted({one.area for one in machines if one.area})],
        "asset": [(one.id, asset_name(one, one.id, words)) for one in machines],
        "person": [(one.id, one.name) for one in visit.plant.people],
        "priority": [(one, words(f"priority.{one}")) for one in MARKS],
        "type": [(one.code, getattr(one, words.language)) for one in visit.plant.ticket_types],
        "state": [("open", words("tickets.open")), *states],
    }
    option = Markup('<option value="{}">{}</option>')
    return {name: Markup().join(option.format(*one) for one in some) for name, some in offered.items()}


def _chosen(options: Markup, value: str | None) -> Markup:
    """The options with that one chosen; its value stands as it does among them."""
    if not value:
        return options
    mark = Markup('value="{}"').format(value)
    return Markup(str(options).replace(mark, f"{mark} selected", 1))  # noqa: S704 - both are escaped


_NO_FILTERS = {"sort", "offset"}
_FURTHER = ("area", "type", "asset", "state")
"""Filters that stand one step further, since they are asked for less often."""


@router.get("/board/{ticket_id}")
def moves(request: Request, visit: VisitOf, ticket_id: int) -> Response:
    """Where a ticket can go from here: the menu of its card."""
    with reading(visit.context.database) as conn:
        detail = store.ticket(conn, ticket_id, limit=1)
    steps = what_next(detail, visit)
    mine = steps.main if steps.main and not steps.main.roles else None
    ways = [*([mine] if mine else []), *steps.others]
    return render(
        request,
        visit,
        "moves.html",
        "tickets",
        ticket=detail.ticket,
        what=condition_name(detail.ticket.headline.condition, visit.words),
        who=person_name(detail.ticket.assignee, visit.plant),
        main=mine.step if mine else None,
        ways=[one.step for one in ways],
    )


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the calendar, with what is due on it and when."""

    day: date
    name: str
    today: bool
    cards: Sequence[tuple[str, Shown]]


@router.get("/calendar")
def calendar(request: Request, visit: VisitOf, wanted: Annotated[Wanted, Query()]) -> Response:
    """What is due in this week and the next, and what is overdue."""
    time = visit.time
    today = time.day_of(time.now_ns)
    days = [today + timedelta(days=n - today.weekday()) for n in range(7 * WEEKS)]
    with reading(visit.context.database) as conn:
        until_ns = time.begin_ns(days[-1] + timedelta(days=1))
        cards = due_cards(conn, filter_of(wanted, visit), until_ns, MOST_DUE)
    words = _Words(visit)
    due: dict[date, list[tuple[str, Shown]]] = {day: [] for day in days}
    late: list[Shown] = []
    for card in cards:
        if card.due_ns is None or card.due_ns < time.now_ns:
            late.append(words.shown(card))
        else:
            due[time.day_of(card.due_ns)].append((time.short(card.due_ns)[-5:], words.shown(card)))
    return render(
        request,
        visit,
        "calendar.html",
        "tickets",
        late=late,
        days=[Day(day, visit.words(f"weekday.{day.weekday()}"), day == today, due[day]) for day in days],
        **filters(wanted, visit),
    )
