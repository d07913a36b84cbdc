"""Metrics as pages: every metric as a card, one metric with its months and the tickets behind its numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import MINUTE_NS
from api.kpis import ChosenOf, metric_of
from api.pages import render, say
from api.paging import PagingOf, cursor_of
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.formats import MISSING, number
from api.web.forms import Form, field_of
from api.web.kpi_words import Card, card, name_of, value_text
from api.web.ticket_steps import why_not
from api.web.wording import asset_name, person_name
from ticketing.errors import TicketingError
from ticketing.metrics import actions, gaming
from ticketing.metrics.catalogue import METRICS
from ticketing.metrics.measuring import measure, tickets_of
from ticketing.metrics.metric import Counted, Measured, Metric, Part, Question, Unit
from ticketing.metrics.periods import ROLLING, month_at, months_before
from ticketing.metrics.readings import READ, Reading, joint
from ticketing.metrics.snapshots import MONTHS, of_months, trend

router = APIRouter()
HERE = "/kpi"
READ_MONTHS = 4


@dataclass(frozen=True, slots=True)
class ActionRow:
    """What a metric asks for, in the reader's language."""

    id: int
    what: str
    metric: str
    code: str
    period: str
    value: str
    owner: str
    due_ns: int
    late: bool
    problem: int | None


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One thing that a number counts."""

    ticket: int | None
    number: str
    type: str
    asset: str
    line: str
    state: str
    opened_ns: int | None
    closed_ns: int | None
    amount: str


@router.get(HERE, dependencies=[needs(Right.READ)])
def kpis(request: Request, visit: VisitOf, which: ChosenOf) -> Response:
    """Every metric over a period; what it asks for, and what the metrics say together."""
    asked = which.question(visit.context, visit.sight)
    narrow = {name: value for name, value in which.fields.items() if value}
    with reading(visit.context.database) as conn:
        cards = [_card(conn, metric, visit, asked) for metric in METRICS.values()]
        open_ = actions.actions(conn, open_only=True) if visit.sight.assets is None else ()
        together = _together(conn, visit, asked) if visit.may(Right.ANALYSE) else None
    return render(
        request,
        visit,
        "kpis.html",
        "kpi",
        golden=[one for one in cards if one.golden],
        numbered=[one for one in cards if not one.golden and one.group != "K10"],
        others=[one for one in cards if one.group == "K10"],
        actions=[_action(one, visit) for one in open_],
        together=together,
        periods=_periods(asked),
        period=asked.span.name or ROLLING,
        narrow=narrow,
        types=visit.plant.ticket_types,
        lines=sorted({one.line for one in visit.machines}),
        query=urlencode({"period": asked.span.name or ROLLING, **narrow}),
    )


@router.get("/kpi/{code}", dependencies=[needs(Right.READ)])
def kpi(
    *,
    request: Request,
    visit: VisitOf,
    code: str,
    which: ChosenOf,
    paging: PagingOf,
    part: Annotated[Part, Query()] = Part.DENOMINATOR,
) -> Response:
    """One metric: its months, and what a number of it counts."""
    metric, asked = metric_of(code), which.question(visit.context, visit.sight)
    after = paging.behind(int, int)
    place = (int(after[0]), int(after[1])) if after else None
    with reading(visit.context.database) as conn:
        months = trend(conn, metric, asked)
        found = tickets_of(conn, metric, asked, part, limit=paging.probe, after=place)
    last = found[paging.limit - 1] if len(found) > paging.limit else None
    fields = {"period": asked.span.name or ROLLING} | {k: v for k, v in which.fields.items() if v}
    return render(
        request,
        visit,
        "kpi.html",
        "kpi",
        card=card(metric, months[-1], months, visit, asked),
        months=[_month(one, metric, visit) for one in months],
        parts=_parts(months[-1], metric),
        mean=metric.unit is Unit.MINUTES,
        part=part,
        rows=[_row(one, metric, visit) for one in found[: paging.limit]],
        more=urlencode({**fields, "part": part, "after": cursor_of((last.ticket or 0, last.item))})
        if last
        else "",
        query=urlencode(fields),
        period=asked.span.name or ROLLING,
        narrow={name: value for name, value in which.fields.items() if value},
    )


@router.post("/kpi/actions/{action}/done", dependencies=[needs(Right.ANALYSE, whole=True)])
def finish(visit: VisitOf, action: int, form: Form) -> Response:
    """Somebody did what a metric asked for."""
    answer = RedirectResponse(HERE, 303)
    try:
        with visit.context.tickets.transaction(visit.context.now()) as book:
            actions.finish(book, action, note=field_of(form, "note"), actor=visit.actor)
    except TicketingError as error:
        say(answer, "kpi.refused", why=why_not(error, visit.words))
    else:
        say(answer, "kpi.done_said")
    return answer


def _card(conn: Connection, metric: Metric, visit: Visit, asked: Question) -> Card:
    """Of all tickets with the months that are kept; of some of them the number alone: its page has the months."""
    found = measure(conn, metric, asked)
    months: Sequence[Measured] = ()
    if not asked.wheres and asked.span.name is not None:
        zone = asked.plant.time_zone
        before = months_before(asked.span, MONTHS - 1, zone)
        months = (*of_months(conn, metric, before), found)
    return card(metric, found, months, visit, asked)


def _periods(asked: Question) -> Sequence[str]:
    """The months that can be chosen, this one first, and the last 30 days."""
    zone = asked.plant.time_zone
    current = month_at(asked.now_ns, zone)
    months = [str(one.name) for one in (*months_before(current, MONTHS, zone), current)]
    return [*reversed(months), ROLLING]


def _together(conn: Connection, visit: Visit, asked: Question) -> Mapping[str, object]:
    """What metrics say together, and whether good numbers are good."""
    trends = {code: trend(conn, METRICS[code], asked, READ_MONTHS) for code in sorted(READ)}
    words = visit.words
    return {
        "joint": [
            (_said(one, visit), one.holds, [(code, name_of(METRICS[code], words)) for code in one.metrics])
            for one in joint(trends, asked.plant)
        ],
        "handlers": [(one, person_name(one.person, visit.plant)) for one in gaming.handlers(conn, asked)],
        "rising": gaming.rising(conn, asked),
        "standard": gaming.standard(conn, asked),
        "percent": lambda value: "–" if value is None else f"{number(round(value, 1))}\N{NO-BREAK SPACE}%",
        "minutes": lambda value: "–" if value is None else words("kpi.minutes", n=number(value)),
    }


def _said(one: Reading, visit: Visit) -> str:
    return one.zh if visit.words.language == "zh" else one.en


def _action(one: actions.Action, visit: Visit) -> ActionRow:
    words, metric, rule = visit.words, METRICS[one.metric], actions.OF_CODE.get(one.rule)
    what = one.rule if rule is None else rule.zh if words.language == "zh" else rule.en
    return ActionRow(
        id=one.id,
        what=what,
        metric=name_of(metric, words),
        code=one.metric,
        period=one.period,
        value=value_text(one.value, metric, words),
        owner=person_name(one.owner or None, visit.plant),
        due_ns=one.due_ns,
        late=one.due_ns < visit.time.now_ns,
        problem=one.problem,
    )


def _month(one: Measured, metric: Metric, visit: Visit) -> Mapping[str, object]:
    return {
        "name": one.span.name or visit.words("kpi.rolling"),
        "value": value_text(one.value, metric, visit.words),
        "numerator": one.numerator if metric.unit is not Unit.MINUTES else None,
        "denominator": one.denominator,
        "provisional": one.provisional,
        "period": one.span.name or ROLLING,
    }


def _parts(found: Measured, metric: Metric) -> Sequence[tuple[Part, int | None]]:
    """What can be listed, with how many there are; nobody counts the nanoseconds of a mean."""
    counts: dict[Part, int | None] = {Part.DENOMINATOR: found.denominator}
    if metric.unit is Unit.PERCENT:
        counts[Part.NUMERATOR] = found.numerator
    return list((counts | {Part.UNDECIDED: found.undecided, Part.LEFT_OUT: found.left_out}).items())


def _row(one: Counted, metric: Metric, visit: Visit) -> ItemRow:
    type_ = visit.plant.ticket_type(one.type)
    zh = visit.words.language == "zh"
    return ItemRow(
        ticket=one.ticket,
        number=one.number or visit.words("kpi.report", n=one.item),
        type=(type_.zh if zh else type_.en) if type_ else one.type,
        asset=asset_name(visit.plant.asset(one.asset), one.asset, visit.words) if one.asset else "–",
        line=one.line,
        state=one.state,
        opened_ns=one.opened_ns,
        closed_ns=one.closed_ns,
        amount=_amount(one.amount, metric, visit),
    )


def _amount(amount: int | None, metric: Metric, visit: Visit) -> str:
    """What it adds to the numerator."""
    if amount is None:
        return MISSING
    if metric.unit is Unit.MINUTES:
        return value_text(amount / MINUTE_NS, metric, visit.words)
    return str(amount)
