"""Alarms over REST: listed with their ISA-18.2 state, acknowledged, taken out of service; and those that need an engineer."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import Json, rfc3339
from andon.plant import Plant
from andon.rules.alarms import PRODUCTS_OWN, AlarmDefinition
from api.answers import plain
from api.paging import PagingOf
from api.places import SightOf
from api.rights import needs
from api.steps import Text
from api.visit import ContextOf, Visit, VisitOf
from ticketing import alarm_desk
from ticketing.alarm_desk import Wanted
from ticketing.alarm_rows import Named
from ticketing.alarms import AlarmState
from ticketing.book import Book

router = APIRouter(tags=["alarms"])
CHANNEL = "api"


class Why(BaseModel):
    """What a person says to it; to take an alarm out of service needs a reason."""

    model_config = ConfigDict(extra="forbid")
    reason: Text = ""


@router.get("/alarms", dependencies=[needs(Right.READ)])
def alarms(
    context: ContextOf,
    sight: SightOf,
    asked: PagingOf,
    *,
    state: Annotated[list[AlarmState] | None, Query()] = None,
    asset: Annotated[str, Query(max_length=64)] = "",
    line: Annotated[str, Query(max_length=64)] = "",
    stale: bool = False,
    chattering: bool = False,
) -> Response:
    """Alarms, those that stand first, then by priority; `counts` has every state of the ISA-18.2."""
    now_ns = context.now()
    wanted = Wanted(tuple(state or ()), asset, line, stale, chattering, sight.assets)
    with reading(context.database) as conn:
        after = asked.behind(int, int, int, str)
        page = alarm_desk.alarms(conn, wanted, now_ns=now_ns, limit=asked.probe, after=after)
    plant = context.plant()
    return asked.answer(
        page.alarms,
        lambda one: shown(one, plant, now_ns),
        page.place,
        total=page.total,
        counts=plain(page.counts),
    )


@router.get("/alarms/bad-actors", dependencies=[needs(Right.READ)])
def bad_actors(
    context: ContextOf, sight: SightOf, limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> Response:
    """Alarms that chatter, fleet by, or have stood for more than a day: the worst of each, and how many there are."""
    now_ns, plant = context.now(), context.plant()
    with reading(context.database) as conn:
        found = alarm_desk.bad_actors(conn, now_ns, limit=limit, machines=sight.assets)
    lists = {"chattering": found.chattering, "fleeting": found.fleeting, "stale": found.stale}
    told = {kind: [shown(one, plant, now_ns) for one in some] for kind, some in lists.items()}
    return JSONResponse({**told, "total": plain(found.total)})


@router.get("/alarms/{alarm_id}", dependencies=[needs(Right.READ)])
def alarm(context: ContextOf, alarm_id: str) -> Response:
    """One alarm: its latest transitions, its definition, its ticket, and what people did to it."""
    plant = context.plant()
    with reading(context.database) as conn:
        found = alarm_desk.alarm(conn, alarm_id)
    one = found.named
    transitions = [{"at": rfc3339(t.at_ns), "active": t.active} for t in one.alarm.transitions()]
    more = {
        "definition": definition_of(one, plant).model_dump(mode="json"),
        "ticket": found.ticket_number,
        "transitions": transitions,
        "events": plain(found.events),
    }
    return JSONResponse(shown(one, plant, context.now()) | more)


@router.post("/alarms/{alarm_id}/acknowledge", dependencies=[needs(Right.LEAD)])
def acknowledge(visit: VisitOf, alarm_id: str, why: Why | None = None) -> Response:
    """You have seen it and will see to it."""
    return _done(visit, lambda book: alarm_desk.acknowledge(book, alarm_id, **_by(visit, why)))


@router.post("/alarms/{alarm_id}/unacknowledge", dependencies=[needs(Right.LEAD)])
def unacknowledge(visit: VisitOf, alarm_id: str, why: Why | None = None) -> Response:
    """You will not see to it after all."""
    return _done(visit, lambda book: alarm_desk.unacknowledge(book, alarm_id, **_by(visit, why)))


@router.post("/alarms/{alarm_id}/out-of-service", dependencies=[needs(Right.TUNE)])
def remove_from_service(visit: VisitOf, alarm_id: str, why: Why) -> Response:
    """Nothing of it becomes a ticket until it is returned; say why."""
    return _done(
        visit,
        lambda book: alarm_desk.remove_from_service(book, visit.plant, alarm_id, **_by(visit, why)),
    )


@router.post("/alarms/{alarm_id}/return-to-service", dependencies=[needs(Right.TUNE)])
def return_to_service(visit: VisitOf, alarm_id: str, why: Why | None = None) -> Response:
    """It counts again; if it stands, it becomes a ticket now."""
    return _done(
        visit, lambda book: alarm_desk.return_to_service(book, visit.plant, alarm_id, **_by(visit, why))
    )


def definition_of(one: Named, plant: Plant) -> AlarmDefinition:
    """The definition that fitted its last word, as it is now; the product's own if there is none any more."""
    return next((each for each in plant.alarms if each.code == one.definition), PRODUCTS_OWN)


def shown(one: Named, plant: Plant, now_ns: int) -> dict[str, Json]:
    """An alarm as a program sees it."""
    alarm = one.alarm
    since_ns = alarm.active_since_ns
    definition = definition_of(one, plant)
    return {
        "id": one.id,
        "key": one.key,
        "detector": one.detector,
        "asset": one.asset,
        "line": one.line,
        "component": one.component,
        "family": one.family,
        "condition": one.condition,
        "priority": one.priority,
        "severity": alarm.severity,
        "state": one.state,
        "active": alarm.active,
        "active_since": rfc3339(since_ns) if since_ns is not None else None,
        "last_change_at": rfc3339(alarm.last_change_ns),
        "stale": since_ns is not None and now_ns - since_ns > alarm_desk.STALE_NS,
        "chattering": alarm.chatters_at(now_ns),
        "activations": alarm.activations,
        "chatters": alarm.chatters,
        "fleeting": alarm.fleeting,
        "acknowledged_by": alarm.acked_by,
        "acknowledged_at": rfc3339(alarm.acked_ns) if alarm.acked_ns is not None else None,
        "shelved_until": rfc3339(alarm.shelved_until_ns) if alarm.shelved_until_ns is not None else None,
        "out_of_service": alarm.out_of_service,
        "definition_code": definition.code,
        "response_hint": definition.response_hint,
        "consequence": definition.consequence,
    }


def _by(visit: Visit, why: Why | None) -> alarm_desk.By:
    return {"actor": visit.actor, "channel": CHANNEL, "reason": why.reason if why else ""}


def _done(visit: Visit, deed: Callable[[Book], Named]) -> Response:
    now_ns = visit.context.now()
    with visit.context.tickets.transaction(now_ns) as book:
        one = deed(book)
    return JSONResponse(shown(one, visit.plant, now_ns))
