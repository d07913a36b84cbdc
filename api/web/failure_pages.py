"""Failures by model and fault, and where one of them comes from: every share with its counts and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection, select
from starlette.responses import Response

from andon.access.roles import Right
from andon.database import reading
from api.pages import render
from api.quality import USUAL_DAYS, span_of
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.measures import audit_rows, batch_rows, rows_of
from api.web.rows import Row, row_of
from api.web.wording import person_name
from ticketing.problem import Problem, ProblemKind
from ticketing.problem_store import look, open_of
from ticketing.quality import audits, batches, path, sisters
from ticketing.quality.deeds import Seen
from ticketing.quality.eight_d import disciplines
from ticketing.quality.path import Cell, Matrix, Origin
from ticketing.quality.shares import Contrast, Share
from ticketing.quality.whys import tree
from ticketing.rows import ticket_of
from ticketing.tables import ticket as tickets

router = APIRouter()
MODELS, FAULTS, TICKETS = 12, 20, 30
"""So many are shown; the others are said by their number."""
Days = Annotated[int, Query(ge=1, le=3660)]
SPANS = (30, 90, 180, 365)


@dataclass(frozen=True, slots=True)
class Shown:
    """One share as it is read: percent, counts and interval, the others', and what is to be thought of it."""

    percent: str
    counts: str
    others: str
    judged: str
    stands_out: bool
    href: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A lot or supplier with its share; `rate` is failures per 1000 days of work."""

    origin: Origin
    part: str
    supplier: str
    rate: str
    shown: Shown


@router.get("/failures", dependencies=[needs(Right.READ)])
def failures(request: Request, visit: VisitOf, days: Days = int(USUAL_DAYS)) -> Response:
    """The matrix, and what stands out of it."""
    with reading(visit.context.database) as conn:
        span = span_of(visit.context.now(), days)
        found = path.matrix(conn, visit.plant, span, machines=visit.sight.assets)
    models = found.models[:MODELS]
    rows = [
        (fault, fault_name(fault, visit), [_of(found, model, fault, days, visit) for model in models])
        for fault in found.faults[:FAULTS]
    ]
    findings = [(one, _shown(one.contrast, visit, _href(one, days))) for one in found.findings]
    return render(
        request,
        visit,
        "failures.html",
        "problems",
        days=days,
        spans=SPANS,
        matrix=found,
        models=models,
        rows=rows,
        findings=findings,
        fault_name=lambda code: fault_name(code, visit),
        hidden=len(found.models) - len(models),
    )


@router.get("/failures/origins", dependencies=[needs(Right.READ)])
def origins(
    request: Request,
    visit: VisitOf,
    fault: Annotated[str, Query(max_length=64)],
    model: Annotated[str, Query(max_length=128)] = "",
    days: Days = int(USUAL_DAYS),
) -> Response:
    """One fault: its lots, its suppliers, its tickets, and the task that looks into it."""
    span, seen = span_of(visit.context.now(), days), visit.sight.assets
    with reading(visit.context.database) as conn:
        whole = path.matrix(conn, visit.plant, span, machines=seen)
        found = path.origins(conn, visit.plant, span, fault=fault, model=model or None, machines=seen)
        ids = path.tickets_of(conn, visit.plant, span, fault=fault, model=model or None, machines=seen)
        rows = _rows(conn, ids[:TICKETS], visit)
        scope = Seen(fault, span, model or None).scope
        task = open_of(conn, ProblemKind.INVESTIGATION, scope) if seen is None else None
    cell = whole.cells.get((model, fault))
    return render(
        request,
        visit,
        "origins.html",
        "problems",
        days=days,
        fault=fault,
        fault_said=fault_name(fault, visit),
        model=model,
        share=_shown(cell.contrast, visit) if cell else None,
        failures=found.failures,
        traced=found.traced,
        lots=[_line(one, visit) for one in found.lots],
        suppliers=[_line(one, visit) for one in found.suppliers],
        tickets=rows,
        more=len(ids) - len(rows),
        task=task,
        everywhere_href=f"/failures/origins?{urlencode({'fault': fault, 'days': days})}",
    )


@router.get("/measures", dependencies=[needs(Right.READ)])
def measures(request: Request, visit: VisitOf) -> Response:
    """What root causes led to and is not done yet: sister machines, batches, audits."""
    seen = visit.sight.assets
    with reading(visit.context.database) as conn:
        undecided = _rows(conn, sisters.undecided(conn, machines=seen, limit=20), visit)
        tasks = rows_of(conn, sisters.tasks(conn, machines=seen), visit)
        kept = batch_rows(conn, batches.batches(conn, limit=100), visit) if seen is None else ()
        looked = audit_rows(conn, audits.audits(conn, limit=100), visit) if seen is None else ()
    return render(
        request,
        visit,
        "measures.html",
        "problems",
        undecided=undecided,
        tasks=tasks,
        batches=kept,
        audits=looked,
    )


@router.get("/problems/{problem_id}/8d", dependencies=[needs(Right.READ)])
def report(request: Request, visit: VisitOf, problem_id: int) -> Response:
    """The 8D report of a task, to be read and printed."""
    with reading(visit.context.database) as conn:
        found = look(conn, problem_id)
        tasks = [one for made in sisters.of_problem(conn, problem_id) for one in made.tasks]
        elsewhere = rows_of(conn, tasks, visit)
        rests_on = _rows(conn, _tickets(found)[:TICKETS], visit)
    return render(
        request,
        visit,
        "eight_d.html",
        "problems",
        problem=found,
        disciplines={one.code: one for one in disciplines(found)},
        whys=tree(found),
        sisters=elsewhere,
        tickets=rests_on,
        team=[person_name(one, visit.plant) for one in found.eight_d.team] if found.eight_d else [],
        named=lambda who: person_name(who, visit.plant),
    )


def fault_name(code: str, visit: Visit) -> str:
    """A fault as people call it; its code where the plant has it no more."""
    known = visit.plant.fault_type(code)
    return str(getattr(known, visit.words.language)) if known else code


def share_text(one: Share, visit: Visit) -> str:
    """A share with its counts and interval: "41 of 100, 95 % sure: 32 to 51 %"."""
    said = {"count": one.count, "of": one.of}
    if one.low is None or one.high is None:
        return visit.words("quality.share_none", **said)
    return visit.words("quality.share", **said, low=_percent(one.low), high=_percent(one.high))


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}"


def _shown(one: Contrast, visit: Visit, href: str = "") -> Shown:
    words = visit.words
    p = "–" if one.p is None else f"{one.p:.3f}" if one.p >= 0.001 else "< 0.001"
    times = "–" if one.times is None else f"{one.times:.1f}"
    rules = visit.plant.quality
    judged = words(f"quality.{one.verdict}", p=p, times=times, fewest=rules.fewest, least=f"{rules.times:g}")
    return Shown(
        _percent(one.here.value),
        share_text(one.here, visit),
        words("quality.others", percent=_percent(one.others.value), said=share_text(one.others, visit)),
        judged,
        one.stands_out,
        href,
    )


def _href(one: Cell, days: int) -> str:
    return f"/failures/origins?{urlencode({'fault': one.fault, 'model': one.model, 'days': days})}"


def _of(found: Matrix, model: str, fault: str, days: int, visit: Visit) -> tuple[int, Shown] | None:
    """How dark a cell is, in tenths, and what it says."""
    cell = found.cells.get((model, fault))
    if cell is None:
        return None
    return round(10 * (cell.contrast.here.value or 0.0)), _shown(cell.contrast, visit, _href(cell, days))


def _line(one: Origin, visit: Visit) -> Line:
    zh = visit.words.language == "zh"
    part = (one.part_name_zh if zh else "") or one.part_name
    supplier = (one.supplier_name_zh if zh else "") or one.supplier_name
    rate = f"{1000 * one.contrast.here.count / one.days:.1f}" if one.days else "–"
    return Line(one, f"{one.part} · {part}", supplier, rate, _shown(one.contrast, visit))


def _rows(conn: Connection, ids: Sequence[int], visit: Visit) -> Sequence[Row]:
    """Tickets in the visitor's words, in that order."""
    found = conn.execute(select(tickets).where(tickets.c.id.in_(ids))).mappings()
    known = {row["id"]: row_of(ticket_of(row), visit) for row in found}
    return [known[one] for one in ids]


def _tickets(problem: Problem) -> Sequence[int]:
    named = {one.ticket for one in problem.links} | {
        one.ticket for one in problem.counted if one.left_ns is None
    }
    return sorted(named, reverse=True)
