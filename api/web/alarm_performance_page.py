"""How well the alarms serve those who work by them, as a page: each measure with its bounds, and what it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import rfc3339
from api.alarm_performance import LISTED, ChosenOf, NarrowedOf, place_of, read
from api.pages import render
from api.paging import PagingOf, cursor_of
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.formats import MISSING, number, whole
from api.web.kpi_words import CHIPS
from api.web.wording import asset_name, component_name, condition_name
from ticketing.analysis.alarm_kpis import WANTED, Measure, Performance, Stretch, performance, verdict
from ticketing.analysis.alarm_words import Counts, Told
from ticketing.metrics.metric import Verdict
from ticketing.metrics.periods import ROLLING, month_at, months_before

router = APIRouter(dependencies=[needs(Right.READ)])
HERE = "/alarms/performance"
MONTHS = 12
LISTS: Mapping[Measure, str] = {
    Measure.RATE: "all",
    Measure.BUSY: "#busy",
    Measure.PEAK: "peak",
    Measure.FLOOD: "#floods",
    Measure.TOP_TEN: "#top",
    Measure.CHATTERING: "#chattering",
    Measure.FLEETING: "#fleeting",
    Measure.STALE: "#stale",
    Measure.GRAVE: "#priorities",
    Measure.CRITICAL: "#priorities",
    Measure.UNAUTHORISED: "#unauthorised",
}
"""Where the alarms behind a measure are: a list of this page, or a list of occurrences."""
_PERCENT = frozenset({Measure.BUSY, Measure.FLOOD, Measure.TOP_TEN, Measure.GRAVE, Measure.CRITICAL})


@dataclass(frozen=True, slots=True)
class Row:
    """A measure in the visitor's words."""

    code: Measure
    value: str
    chip: str
    verdict: str
    href: str


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a list: what it is, how often, where its occurrences are."""

    name: str
    number: str
    href: str
    beside: str = ""


@router.get(HERE)
def page(request: Request, visit: VisitOf, which: ChosenOf) -> Response:
    """The measures of a time."""
    with reading(visit.context.database) as conn:
        found = performance(conn, which.asked)
    zone = visit.plant.time_zone
    current = month_at(visit.time.now_ns, zone)
    return render(
        request,
        visit,
        "alarm_performance.html",
        "alarms",
        period=which.period,
        periods=[ROLLING, *(one.name for one in (current, *reversed(months_before(current, MONTHS, zone))))],
        base=visit.time.about(found.base_ns),
        enough=found.enough,
        alarms=whole(found.alarms),
        all_href=_behind(which.period, found),
        positions=[one or visit.words("performance.nowhere") for one in found.areas],
        rows=[_row(one, value, found, which.period, visit) for one, value in found.values.items()],
        priorities=_priorities(found, which.period, visit),
        lists=_lists(found, which.period, visit),
    )


@router.get(HERE + "/occurrences")
def behind(request: Request, visit: VisitOf, which: NarrowedOf, paging: PagingOf) -> Response:
    """The alarm occurrences behind a number."""
    with reading(visit.context.database) as conn:
        found = read(conn, which, paging)
    shown = found[: paging.limit]
    more = cursor_of(place_of(shown[-1])) if len(found) > paging.limit else ""
    kept = [pair for pair in request.query_params.multi_items() if pair[0] != "after"]
    return render(
        request,
        visit,
        "alarm_occurrences.html",
        "alarms",
        rows=[(one, _what(one, visit), _machine(one, visit)) for one in shown],
        asked=which.asked,
        back=HERE + "?" + urlencode([pair for pair in kept if pair[0] == "period"]),
        more=f"{HERE}/occurrences?{urlencode([*kept, ('after', more)])}" if more else "",
    )


def _row(one: Measure, value: float | None, found: Performance, period: str, visit: Visit) -> Row:
    judged = verdict(one, value)
    where = LISTS[one]
    if where == "peak":
        href = _within(found.peak, period) if found.peak else ""
    else:
        href = where if where.startswith("#") else _behind(period, found)
    said = MISSING if value is None else number(value) + (" %" if one in _PERCENT else "")
    word = "" if judged is Verdict.NONE else visit.words(f"kpi.is_{judged}")
    return Row(one, said, CHIPS[judged], word, href)


def _lists(found: Performance, period: str, visit: Visit) -> Sequence[tuple[str, int, Sequence[Item]]]:
    """(list, how many there are, the worst of them)."""
    names = {one.alarm: _named(one, visit) for one in found.every}

    def stretches(some: Sequence[Stretch]) -> Sequence[Item]:
        return [_stretch(one, period, visit) for one in some[:LISTED]]

    def alarms(some: Sequence[Counts], count: str) -> Sequence[Item]:
        return [_item(one, getattr(one, count), found, period, visit) for one in some[:LISTED]]

    stale = [_stood(one, names, found, period, visit) for one in found.stale[:LISTED]]
    odd = [_odd(one, visit) for one in found.unauthorised[:LISTED]]
    return [
        ("busy", len(found.busy), stretches(found.busy)),
        ("floods", len(found.floods), stretches(found.floods)),
        ("top", len(found.top), alarms(found.top, "number")),
        ("chattering", len(found.chattering), alarms(found.chattering, "chattering")),
        ("fleeting", len(found.fleeting), alarms(found.fleeting, "fleeting")),
        ("stale", len(found.stale), stale),
        ("unauthorised", len(found.unauthorised), odd),
    ]


def _priorities(found: Performance, period: str, visit: Visit) -> Sequence[tuple[str, Item, int]]:
    """(priority, how many, what share of them is wanted)."""
    return [
        (
            name,
            Item(
                visit.words(f"priority.{name}"),
                whole(n),
                _behind(period, found, priority=name),
                f"{number(100 * n / found.alarms)} %" if found.alarms else MISSING,
            ),
            WANTED[name],
        )
        for name, n in found.priorities.items()
    ]


def _item(one: Counts, n: int, found: Performance, period: str, visit: Visit) -> Item:
    share = f"{number(100 * n / found.alarms)} %" if n == one.number else ""
    return Item(_named(one, visit), whole(n), _behind(period, found, alarm=one.alarm), share)


def _stood(
    one: tuple[str, int, int | None], names: Mapping[str, str], found: Performance, period: str, visit: Visit
) -> Item:
    alarm, since_ns, until_ns = one
    until = visit.words("performance.stands") if until_ns is None else visit.time.short(until_ns)
    long = visit.time.about((found.asked.to_ns if until_ns is None else until_ns) - since_ns)
    name = names.get(alarm, alarm)
    return Item(name, long, _behind(period, found, alarm=alarm), f"{visit.time.short(since_ns)} – {until}")


def _odd(one: Told, visit: Visit) -> Item:
    href = f"/tickets/{one.ticket}" if one.ticket else ""
    return Item(f"{_machine(one, visit)} · {_what(one, visit)}", visit.time.short(one.at_ns), href)


def _stretch(one: Stretch, period: str, visit: Visit) -> Item:
    beside = f"{visit.time.short(one.from_ns)} – {visit.time.short(one.to_ns)}"
    name = one.area or visit.words("performance.nowhere")
    return Item(name, whole(one.alarms), _within(one, period), beside)


def _named(one: Counts, visit: Visit) -> str:
    return f"{_machine(one, visit)} · {_what(one, visit)}"


def _machine(one: Counts | Told, visit: Visit) -> str:
    return asset_name(visit.plant.asset(one.asset), one.asset, visit.words)


def _what(one: Counts | Told, visit: Visit) -> str:
    return f"{condition_name(one.condition, visit.words)} · {component_name(one.component, visit.words)}"


def _within(one: Stretch, period: str) -> str:
    said = {"period": period, "area": one.area, "from": rfc3339(one.from_ns), "to": rfc3339(one.to_ns)}
    return f"{HERE}/occurrences?{urlencode(said)}"


def _behind(period: str, found: Performance, **more: str) -> str:
    """The occurrences of the whole time, as it was when it was measured."""
    asked = found.asked
    said = {"period": period, "from": rfc3339(asked.from_ns), "to": rfc3339(asked.to_ns), **more}
    return f"{HERE}/occurrences?{urlencode(said)}"
