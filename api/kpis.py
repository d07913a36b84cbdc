"""K1 to K10 over REST: values with their formula and bounds, the months, the tickets behind a number, what they ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import Json, Priority, rfc3339
from api.answers import plain
from api.paging import PagingOf
from api.places import SightOf
from api.refused import Refused
from api.rights import needs
from api.visit import ContextOf, VisitOf
from ticketing.metrics import actions, gaming
from ticketing.metrics.actions import Action
from ticketing.metrics.catalogue import METRICS
from ticketing.metrics.filters import wheres_of
from ticketing.metrics.measuring import bounds_of, measure, tickets_of
from ticketing.metrics.metric import Measured, Metric, Part, Question
from ticketing.metrics.periods import period_of
from ticketing.metrics.readings import READ, joint, soars
from ticketing.metrics.snapshots import MONTHS, trend

router = APIRouter(tags=["metrics"])
Text = Annotated[str, Query(max_length=128)]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which time and which tickets are asked for."""

    period: str
    fields: Mapping[str, str]

    def question(self, context: ContextOf, sight: SightOf) -> Question:
        """The question that they are; 422 for a period that there is none of."""
        now_ns, plant = context.now(), context.plant()
        try:
            span = period_of(self.period, now_ns, plant.time_zone)
        except ValueError as error:
            raise Refused(422, "no_such_period", str(error)) from None
        wheres: tuple[ColumnElement[bool], ...] = wheres_of(self.fields, sight.assets)
        return Question(span, now_ns, plant, wheres)


def chosen(
    *,
    period: Annotated[
        str,
        Query(max_length=10, description="A month like 2026-03, `rolling` (30 days); left out: this month."),
    ] = "",
    type: Text = "",  # noqa: A002 - as the field is called
    line: Text = "",
    asset: Text = "",
    priority: Annotated[Priority | None, Query()] = None,
    requester: Text = "",
    handler: Text = "",
    fault_type: Text = "",
    channel: Text = "",
) -> Chosen:
    """The parameters that every metric takes."""
    said = {"type": type, "line": line, "asset": asset, "priority": priority or "", "requester": requester}
    return Chosen(period, {**said, "handler": handler, "fault_type": fault_type, "channel": channel})


ChosenOf = Annotated[Chosen, Depends(chosen)]


def metric_of(code: str) -> Metric:
    """The metric of that code; 404 if there is none."""
    found = METRICS.get(code)
    if found is None:
        raise HTTPException(404, f"there is no metric {code[:40]!r}; these are: {', '.join(METRICS)}")
    return found


def measured_json(one: Measured) -> Mapping[str, Json]:
    """What a metric came to, as JSON."""
    values = {name: getattr(one, name) for name in ("value", "numerator", "denominator", "provisional")}
    values |= {"undecided": one.undecided, "left_out": one.left_out, "matured_ns": one.matured_ns}
    from_to = {"period": one.span.name or "rolling", "from_ns": one.span.from_ns, "to_ns": one.span.to_ns}
    return {**from_to, **values}


def _timed(values: Mapping[str, Json]) -> Mapping[str, Json]:
    return {
        (name[:-3] + "_at" if name.endswith("_ns") else name): rfc3339(value)
        if name.endswith("_ns")
        else value
        for name, value in values.items()
    }


def metric_json(metric: Metric, found: Measured, asked: Question) -> Mapping[str, Json]:
    """A metric with its formula, bounds and verdict."""
    bounds = bounds_of(metric, asked.plant)
    said = {name: getattr(metric, name) for name in ("code", "group", "zh", "en", "formula_zh", "formula_en")}
    return {
        **said,
        "unit": str(metric.unit),
        "golden": metric.golden,
        "higher_is_better": metric.higher_is_better,
        "healthy": bounds.healthy,
        "act": bounds.act,
        "verdict": str(bounds.verdict(found.value)),
        **_timed(measured_json(found)),
    }


@router.get("/kpis", dependencies=[needs(Right.READ)])
def metrics(context: ContextOf, sight: SightOf, page: PagingOf, which: ChosenOf) -> Response:
    """Every metric over a period, of all tickets or of some."""
    asked = which.question(context, sight)
    with reading(context.database) as conn:
        found = [metric_json(one, measure(conn, one, asked), asked) for one in METRICS.values()]
    return page.cut(found, dict)


@router.get("/kpis/{code}", dependencies=[needs(Right.READ)])
def metric(
    context: ContextOf,
    sight: SightOf,
    code: str,
    which: ChosenOf,
    months: Annotated[int, Query(ge=1, le=MONTHS)] = MONTHS,
) -> Response:
    """One metric with its months until that period, the oldest first."""
    one, asked = metric_of(code), which.question(context, sight)
    with reading(context.database) as conn:
        found = trend(conn, one, asked, months)
    answer = metric_json(one, found[-1], asked)
    rows = [_timed(measured_json(each)) for each in found]
    return JSONResponse({**answer, "soaring": soars(found, asked.plant), "trend": rows})


@router.get("/kpis/{code}/tickets", dependencies=[needs(Right.READ)])
def tickets(
    *,
    context: ContextOf,
    sight: SightOf,
    page: PagingOf,
    code: str,
    which: ChosenOf,
    part: Annotated[Part, Query()] = Part.DENOMINATOR,
) -> Response:
    """Exactly what a number counts; of the mean metrics `amount` is in nanoseconds."""
    one, asked = metric_of(code), which.question(context, sight)
    after = page.behind(int, int)
    place = (int(after[0]), int(after[1])) if after else None
    with reading(context.database) as conn:
        found = tickets_of(conn, one, asked, part, limit=page.probe, after=place)
    return page.answer(found, plain, lambda each: (each.ticket or 0, each.item))


@router.get("/kpi-readings", dependencies=[needs(Right.ANALYSE)])
def readings(context: ContextOf, sight: SightOf, which: ChosenOf) -> Response:
    """Metrics read together, and whether good numbers are good: handlers compared, requesters on the rise, the standard."""
    asked = which.question(context, sight)
    with reading(context.database) as conn:
        trends = {code: trend(conn, METRICS[code], asked, 4) for code in sorted(READ)}
        answer = {
            "joint": plain(joint(trends, asked.plant)),
            "handlers": [
                {**plain(one), "cherries": one.cherries, "hasty": one.hasty}
                for one in gaming.handlers(conn, asked)
            ],
            "rising": plain(gaming.rising(conn, asked)),
            "standard": plain(gaming.standard(conn, asked)),
        }
    return JSONResponse(answer)


def action_json(one: Action) -> Mapping[str, Json]:
    """What a metric asks for, in words."""
    rule = actions.OF_CODE.get(one.rule)
    return {
        **plain(one),
        "value": one.value,
        "zh": rule.zh if rule else one.rule,
        "en": rule.en if rule else one.rule,
    }


@router.get("/kpi-actions", dependencies=[needs(Right.READ, whole=True)])
def asked_for(
    context: ContextOf,
    page: PagingOf,
    open: Annotated[bool, Query(description="Only what is not done.")] = False,  # noqa: A002
) -> Response:
    """What metrics beyond their bounds asked for, the newest first."""
    after = page.behind(int)
    with reading(context.database) as conn:
        found = actions.actions(
            conn, open_only=open, limit=page.probe, after=int(after[0]) if after else None
        )
    return page.answer(found, action_json, lambda one: (one.id,))


class Done(BaseModel):
    """What was done about it."""

    model_config = ConfigDict(extra="forbid")
    note: Annotated[str, Field(max_length=2000)]


@router.post("/kpi-actions/{action}/done", dependencies=[needs(Right.ANALYSE, whole=True)])
def finish(visit: VisitOf, action: int, done: Done) -> Response:
    """Somebody did what a metric asked for, and says what."""
    with visit.context.tickets.transaction(visit.time.now_ns) as book:
        found = actions.finish(book, action, note=done.note, actor=visit.actor)
    return JSONResponse(action_json(found))
