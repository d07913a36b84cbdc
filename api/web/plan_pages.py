"""Preventive maintenance as pages: every plan with what is due, the month as a calendar, one plan, the meters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from andon.access.roles import Right
from andon.calendars import WEEKDAYS
from andon.database import reading
from andon.rules.plans import Plan, Rhythm
from api.catalogue import Words
from api.pages import render
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.formats import number
from api.web.ticket_operations import exact, named
from api.web.wording import asset_name, person_name
from ticketing.plans import overview
from ticketing.plans.overview import DAY_NS, Marked, Metered, Ran, Verdict, Watched
from ticketing.plans.review import machines_of, plan_of

router = APIRouter()
HERE = "/plans"
YEAR_NS = 365 * DAY_NS
RUNS = 50
"""Runs of a plan on its page."""
_BAD = frozenset({Verdict.OVERDUE, Verdict.LATE, Verdict.GIVEN_UP})


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan in the list, in the reader's language; `open` and `overdue` count tickets, `in_time` is of a year."""

    code: str
    name: str
    how_often: str
    machines: int
    due_ns: int | None
    due_asset: str
    open: int
    overdue: int
    unread: int
    in_time: str
    retired: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """What a day of the calendar shows of a plan: how many machines, or the one, and how it stands."""

    plan: str
    name: str
    what: str
    verdict: str
    href: str


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the calendar."""

    day: date
    name: str
    today: bool
    outside: bool
    entries: Sequence[Entry]


@router.get(HERE, dependencies=[needs(Right.READ)])
def plans(request: Request, visit: VisitOf) -> Response:
    """Every plan that means a machine that is seen."""
    now_ns, seen = visit.context.now(), visit.sight.assets
    with reading(visit.context.database) as conn:
        watched = overview.watched(conn, machines=seen)
        runs = overview.ran(conn, now_ns, due_from_ns=now_ns - YEAR_NS, machines=seen, limit=20_000)
    known = [one for one in visit.plant.plans if _machines(one, visit)]
    rows = [
        plan_row(
            one,
            [w for w in watched if w.plan == one.code],
            [r for r in runs if r.plan == one.code],
            visit,
        )
        for one in known
    ]
    overdue = [one for one in runs if one.verdict is Verdict.OVERDUE]
    return render(
        request,
        visit,
        "plans.html",
        "plans",
        rows=[one for one in rows if not one.retired],
        retired=[one for one in rows if one.retired],
        overdue=[run_row(one, visit) for one in overdue],
    )


@router.get(f"{HERE}/calendar", dependencies=[needs(Right.READ)])
def calendar(
    request: Request, visit: VisitOf, month: Annotated[str, Query(pattern=r"^$|^\d{4}-(0[1-9]|1[0-2])$")] = ""
) -> Response:
    """A month of what was and is due, in whole weeks."""
    time = visit.time
    today = time.day_of(time.now_ns)
    first = date.fromisoformat(f"{month}-01") if _is_near(month, today) else today.replace(day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    begin = first - timedelta(days=first.weekday())
    shown = [begin + timedelta(days=n) for n in range((last - begin).days + 7 - last.weekday())]
    with reading(visit.context.database) as conn:
        marks = overview.month(
            conn,
            visit.plant,
            from_ns=time.begin_ns(shown[0]),
            to_ns=time.begin_ns(shown[-1] + timedelta(days=1)),
            now_ns=time.now_ns,
            machines=visit.sight.assets,
        )
    by_day: dict[date, list[Marked]] = {}
    for one in marks:
        by_day.setdefault(time.day_of(one.at_ns), []).append(one)
    days = [
        Day(
            day,
            visit.words(f"weekday.{day.weekday()}"),
            day == today,
            day.month != first.month,
            _entries(by_day.get(day, ()), visit),
        )
        for day in shown
    ]
    return render(
        request,
        visit,
        "plan_calendar.html",
        "plans",
        days=days,
        month=first,
        before=f"{first - timedelta(days=1):%Y-%m}",
        after=f"{last + timedelta(days=1):%Y-%m}",
    )


@router.get(f"{HERE}/meters", dependencies=[needs(Right.READ)])
def meters(request: Request, visit: VisitOf) -> Response:
    """Every meter on its machines, with a form for those that people read."""
    return show_meters(request, visit)


@router.get(f"{HERE}/{{plan}}", dependencies=[needs(Right.READ)])
def plan(request: Request, visit: VisitOf, plan: str) -> Response:
    """One plan: what it says, what is due on each machine, what was done."""
    found, now_ns, seen = plan_of(visit.plant, plan), visit.context.now(), visit.sight.assets
    if found is None or not _machines(found, visit):
        raise HTTPException(404)
    with reading(visit.context.database) as conn:
        watched = overview.watched(conn, plan=plan, machines=seen)
        runs = overview.ran(
            conn, now_ns, plan=plan, due_from_ns=now_ns - YEAR_NS, machines=seen, limit=10_000
        )
    return render(
        request,
        visit,
        "plan.html",
        "plans",
        plan=found,
        row=plan_row(found, watched, runs, visit),
        steps=next((named(o, visit.words) for o in visit.plant.operations if o.code == found.operations), ""),
        watched=[(_asset(one.asset, visit), one) for one in watched],
        runs=[run_row(one, visit) for one in runs[:RUNS]],
        more=max(0, len(runs) - RUNS),
    )


def show_meters(
    request: Request, visit: Visit, wrong: Sequence[str] = (), given: Mapping[str, str] | None = None
) -> Response:
    """The meters; what was refused is said above the form that it was `given` in."""
    with reading(visit.context.database) as conn:
        found = overview.metered(conn, visit.plant, machines=visit.sight.assets)
    labels = {one.code: named(one, visit.words) for one in visit.plant.meters}
    answer = render(
        request,
        visit,
        "meters.html",
        "plans",
        here=f"{HERE}/meters",
        rows=[_meter_row(one, labels[one.meter], visit) for one in found],
        wrong=wrong,
        given=given or {},
    )
    answer.status_code = 422 if wrong else 200
    return answer


def _meter_row(one: Metered, label: str, visit: Visit) -> Mapping[str, object]:
    last = one.last
    return {
        "key": f"{one.asset}/{one.meter}",
        "asset": one.asset,
        "asset_name": _asset(one.asset, visit),
        "meter": one.meter,
        "label": label,
        "value": exact(last.value, one.unit) if last else "–",
        "at_ns": last.at_ns if last else None,
        "by": visit.words("plans.from_channel")
        if not one.by_hand
        else person_name(last.by if last else None, visit.plant),
        "total": exact(one.total, one.unit) if one.total is not None else "–",
        "per_day": number(one.per_day),
        "by_hand": one.by_hand,
    }


def plan_row(plan: Plan, watched: Sequence[Watched], runs: Sequence[Ran], visit: Visit) -> PlanRow:
    """A plan as a list has it."""
    waiting = [one for one in watched if one.state == "waits" and one.due_ns is not None]
    nearest = waiting[0] if waiting else None
    share = overview.share_in_time(runs)
    standing = [one.verdict for one in runs]
    return PlanRow(
        code=plan.code,
        name=named(plan, visit.words),
        how_often=how_often(plan, visit),
        machines=len(_machines(plan, visit)),
        due_ns=nearest.due_ns if nearest else None,
        due_asset=_asset(nearest.asset, visit) if nearest else "",
        open=standing.count(Verdict.OPEN) + standing.count(Verdict.OVERDUE),
        overdue=standing.count(Verdict.OVERDUE),
        unread=sum(one.state == "unread" for one in watched),
        in_time="–" if share is None else f"{100 * share:.0f} %",
        retired=plan.retired,
    )


def run_row(one: Ran, visit: Visit) -> Mapping[str, object]:
    """A run as a table has it."""
    found = plan_of(visit.plant, one.plan)
    return {
        "ran": one,
        "plan": named(found, visit.words) if found else one.plan,
        "asset": _asset(one.asset, visit),
        "who": person_name(one.assignee, visit.plant),
        "bad": one.verdict in _BAD,
    }


def how_often(plan: Plan, visit: Visit) -> str:
    """When a plan is due, in words: every 2 weeks on Mon and Thu at 08:00, or every 500 h."""
    words, said = visit.words, []
    if plan.rhythm is not None:
        said.append(_rhythm(plan.rhythm, words))
    if plan.usage is not None:
        unit = next((m.unit for m in visit.plant.meters if m.code == plan.usage.meter), "1")
        said.append(words("plans.every_usage", amount=exact(plan.usage.each, unit)))
    return words("plans.or").join(said)


def _rhythm(rhythm: Rhythm, words: Words) -> str:
    often = words(f"plans.every_{rhythm.unit}", n=rhythm.every)
    days = words("list.and").join(words(f"weekday.{WEEKDAYS.index(day)}") for day in rhythm.on)
    if rhythm.nth is not None:
        days = words("plans.nth_last" if rhythm.nth < 0 else "plans.nth", n=rhythm.nth, day=days)
    elif rhythm.day is not None:
        days = words("plans.on_day", day=rhythm.day)
    return words("plans.rhythm_on" if days else "plans.rhythm", often=often, days=days, at=rhythm.at)


def _machines(plan: Plan, visit: Visit) -> Sequence[str]:
    return [one for one in machines_of(plan.machines, visit.plant) if visit.sight.sees(one)]


def _asset(asset: str, visit: Visit) -> str:
    return asset_name(visit.plant.asset(asset), asset, visit.words)


def _is_near(month: str, today: date) -> bool:
    """Whether a month that is asked for lies within ten years: none has more to show."""
    return bool(month) and abs(int(month[:4]) - today.year) <= 10


def _entries(marks: Sequence[Marked], visit: Visit) -> list[Entry]:
    """The runs of a day one by one; of dates to come one line for each plan."""
    entries = []
    for one in marks:
        if one.ran is not None:
            found = run_row(one.ran, visit)
            what, href = str(found["asset"]), f"/tickets/{one.ran.ticket}"
            entries.append(Entry(one.plan, str(found["plan"]), what, str(one.ran.verdict), href))
    ahead: dict[str, list[str]] = {}
    for one in marks:
        if one.ran is None:
            ahead.setdefault(one.plan, []).append(one.asset)
    for code, assets in ahead.items():
        known = plan_of(visit.plant, code)
        what = (
            _asset(assets[0], visit) if len(assets) == 1 else visit.words("plans.machines_n", n=len(assets))
        )
        entries.append(Entry(code, named(known, visit.words), what, "to_come", f"{HERE}/{code}"))
    return entries
