"""The alarms of the plant as their states say: acknowledged, shelved or taken out of service here; bad actors apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import HOUR_NS, Priority
from andon.rules.suppression import Matcher
from api.pages import render, say
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.formats import whole
from api.web.forms import Form
from api.web.wording import asset_name, component_name, condition_name, person_name
from ticketing import alarm_desk, suppressions
from ticketing.alarm_desk import STALE_NS, Wanted
from ticketing.alarm_rows import Named
from ticketing.alarms import TABLE, AlarmState, AlarmStep
from ticketing.book import Book
from ticketing.errors import DeedRefused
from ticketing.suppression import SuppressionKind

router = APIRouter()
CHANNEL = "console"
SHOWN = 100
SHELVE_H = (1, 2, 4, 8)
Which = Literal["active", "waiting", "held_back", "all"]
STATES: Mapping[Which, tuple[AlarmState, ...]] = {
    "active": (AlarmState.UNACK, AlarmState.ACKED, AlarmState.RTNUN),
    "waiting": (AlarmState.UNACK, AlarmState.RTNUN),
    "held_back": (AlarmState.SHLVD, AlarmState.DSUPR, AlarmState.OOSRV),
    "all": (),
}
STEPS: Mapping[AlarmStep, Right] = {
    AlarmStep.ACKNOWLEDGE: Right.LEAD,
    AlarmStep.UNACKNOWLEDGE: Right.LEAD,
    AlarmStep.SHELVE: Right.LEAD,
    AlarmStep.UNSHELVE: Right.LEAD,
    AlarmStep.REMOVE_FROM_SERVICE: Right.TUNE,
    AlarmStep.RETURN_TO_SERVICE: Right.TUNE,
}
"""What people do to an alarm from its row, and what each asks for."""


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """An alarm in the visitor's words; `steps` are those that its state allows."""

    id: str
    state: AlarmState
    priority: Priority
    what: str
    asset: str
    asset_name: str
    line: str
    since_ns: int | None
    changed_ns: int
    activations: str
    chattering: bool
    stale: bool
    held: str
    acked: str
    hint: str
    steps: tuple[AlarmStep, ...]


@router.get("/alarms", dependencies=[needs(Right.READ)])
def alarms(
    request: Request,
    visit: VisitOf,
    which: Annotated[Which, Query()] = "active",
    line: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """The alarms that stand or wait for a person, and those that need an engineer."""
    now_ns = visit.time.now_ns
    wanted = Wanted(states=STATES[which], line=line, machines=visit.sight.assets)
    with reading(visit.context.database) as conn:
        page = alarm_desk.alarms(conn, wanted, now_ns=now_ns, limit=SHOWN)
        bad = alarm_desk.bad_actors(conn, now_ns, machines=visit.sight.assets)
    lists = (("chattering", bad.chattering), ("fleeting", bad.fleeting), ("stale", bad.stale))
    return render(
        request,
        visit,
        "alarms.html",
        "alarms",
        items=[_row(one, visit) for one in page.alarms],
        total=page.total,
        bad_actors=[(kind, [_row(one, visit) for one in some]) for kind, some in lists if some],
        which=which,
        whiches=tuple(STATES),
        line=line,
        lines=sorted({asset.line for asset in visit.machines}),
        hours=[h for h in SHELVE_H if h <= visit.plant.suppression.shelve_max_h],
    )


def _take(visit: Visit, alarm_id: str, step: AlarmStep, form: Mapping[str, object]) -> Response:
    """A step from the page; back to it, with how it went in the corner."""
    answer = RedirectResponse("/alarms", 303)
    name = visit.words("frame.alarms")
    try:
        with visit.context.tickets.transaction(visit.context.now()) as book:
            one = _done(book, visit, alarm_id, step, form)
        name = f"{asset_name(visit.plant.asset(one.asset), one.asset, visit.words)} {_what(one, visit)}"
    except DeedRefused as error:
        key = f"error.{error.code}"
        why = visit.words(key if key in visit.words else "error.invalid_request")
        say(answer, "flash.refused", number=name, why=why)
    else:
        say(answer, "flash.done", number=name, step=visit.words(f"alarm_step.{step}"))
    return answer


def _route(step: AlarmStep) -> Callable[..., Response]:
    def take(visit: VisitOf, alarm_id: str, form: Form) -> Response:
        return _take(visit, alarm_id, step, form)

    return take


for _step, _right in STEPS.items():
    router.add_api_route(
        f"/alarms/{{alarm_id}}/{_step}", _route(_step), methods=["POST"], dependencies=[needs(_right)]
    )


def _done(book: Book, visit: Visit, alarm_id: str, step: AlarmStep, form: Mapping[str, object]) -> Named:
    by: alarm_desk.By = {
        "actor": visit.actor,
        "channel": CHANNEL,
        "reason": str(form.get("reason", ""))[:4000],
    }
    match step:
        case AlarmStep.ACKNOWLEDGE:
            return alarm_desk.acknowledge(book, alarm_id, **by)
        case AlarmStep.UNACKNOWLEDGE:
            return alarm_desk.unacknowledge(book, alarm_id, **by)
        case AlarmStep.REMOVE_FROM_SERVICE:
            return alarm_desk.remove_from_service(book, visit.plant, alarm_id, **by)
        case AlarmStep.RETURN_TO_SERVICE:
            return alarm_desk.return_to_service(book, visit.plant, alarm_id, **by)
        case AlarmStep.UNSHELVE:
            return _unshelved(book, alarm_id, by)
        case AlarmStep.SHELVE:
            return _shelved(book, visit, alarm_id, str(form.get("hours", "")), by["reason"])
        case _:
            raise DeedRefused("no_alarm_step", f"{step} is not for people")


def _shelved(book: Book, visit: Visit, alarm_id: str, hours: str, reason: str) -> Named:
    one = alarm_desk.alarm(book.conn, alarm_id).named
    suppressions.asked(
        book,
        visit.plant,
        kind=SuppressionKind.SHELVE,
        matcher=_matcher(one),
        reason=reason,
        owner=visit.actor,
        ends_ns=book.now_ns + int(hours) * HOUR_NS if hours.isdecimal() and len(hours) < 4 else None,
        channel=CHANNEL,
    )
    return one


def _unshelved(book: Book, alarm_id: str, by: alarm_desk.By) -> Named:
    """Its shelf ends now; one that was made for more than this alarm is ended where it was made."""
    one = alarm_desk.alarm(book.conn, alarm_id).named
    own = (
        found.id
        for found in suppressions.active(book.conn, book.now_ns)
        if found.kind is SuppressionKind.SHELVE and found.matcher == _matcher(one)
    )
    number = next(own, None)
    if number is None:
        raise DeedRefused("no_alarm_step", "nothing shelves this alarm alone")
    suppressions.end_early(book, number, **by)
    return one


def _matcher(one: Named) -> Matcher:
    """What means this alarm and no other."""
    return Matcher(asset=one.asset, component=one.component, families=(one.family,))


def _row(one: Named, visit: Visit) -> AlarmRow:
    alarm, words, now_ns = one.alarm, visit.words, visit.time.now_ns
    definition = next((each for each in visit.plant.alarms if each.code == one.definition), None)
    since_ns = alarm.active_since_ns
    return AlarmRow(
        id=one.id,
        state=alarm.state,
        priority=one.priority,
        what=_what(one, visit),
        asset=one.asset,
        asset_name=asset_name(visit.plant.asset(one.asset), one.asset, words),
        line=one.line,
        since_ns=since_ns,
        changed_ns=alarm.last_change_ns,
        activations=whole(alarm.activations),
        chattering=alarm.chatters_at(now_ns),
        stale=since_ns is not None and now_ns - since_ns > STALE_NS,
        held=_held(one, visit),
        acked=person_name(alarm.acked_by, visit.plant) if alarm.state is AlarmState.ACKED else "",
        hint=definition.response_hint if definition else "",
        steps=tuple(step for step in STEPS if visit.may(STEPS[step]) and (alarm.state, step) in TABLE),
    )


def _what(one: Named, visit: Visit) -> str:
    return f"{condition_name(one.condition, visit.words)} · {component_name(one.component, visit.words)}"


def _held(one: Named, visit: Visit) -> str:
    """Until when, or why, it is held back."""
    if one.state is AlarmState.OOSRV:
        return one.alarm.out_of_service or ""
    if one.state is AlarmState.SHLVD and one.alarm.shelved_until_ns is not None:
        return visit.words("alarms.until", at=visit.time.short(one.alarm.shelved_until_ns))
    return ""
