"""The event bus over REST: the catalogue of topics, how each channel does, what was sent, and dead messages again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import SECOND_NS, Json
from api.answers import plain
from api.context import Context
from api.paging import PagingOf
from api.rights import needs
from api.steps import Name
from api.visit import ContextOf, VisitOf
from ticketing import deliveries
from ticketing.book import BUS
from ticketing.deliveries import Which
from ticketing.topics import TOPICS

router = APIRouter(tags=["notifications"])


@dataclass(frozen=True, slots=True)
class ChannelState:
    """One channel as it is now; `circuit` is unknown while the notifier does not run."""

    name: str
    kind: str
    circuit: Literal["closed", "open", "half_open", "unknown"]
    pending: int
    dead: int
    oldest_s: float | None
    canary_age_s: float | None
    error: str


class Again(BaseModel):
    """Which dead messages are sent again: those of a channel, these, or both."""

    model_config = ConfigDict(extra="forbid")
    channel: Name | None = None
    ids: tuple[int, ...] | None = Field(default=None, max_length=1000)


def channels_of(context: Context) -> Sequence[ChannelState]:
    """Every channel that runs or has something waiting."""
    part = context.status().get("parts", {}).get("notify", {})
    said: Mapping[str, Mapping[str, Json]] = part.get("status", {}).get("channels", {})
    with reading(context.database) as conn:
        waiting = deliveries.waiting(conn)
        errors = deliveries.last_errors(conn)
    now_ns = context.now()
    states = []
    for name in sorted(said.keys() | waiting.keys() - {BUS}):
        report, counts = said.get(name, {}), waiting.get(name, {})
        oldest_ns = counts.get("oldest_ns")
        states.append(
            ChannelState(
                name=name,
                kind=str(report.get("kind", "")),
                circuit=report.get("circuit", "unknown") if part.get("running") else "unknown",
                pending=counts.get("pending", 0),
                dead=counts.get("dead", 0),
                oldest_s=None if oldest_ns is None else max(0.0, (now_ns - oldest_ns) / SECOND_NS),
                canary_age_s=report.get("canary_age_s"),
                error=str(report.get("error") or errors.get(name, "")),
            )
        )
    return states


@router.get("/topics", dependencies=[needs(Right.READ)])
def topics(page: PagingOf) -> Response:
    """Every topic of the bus, with the JSON Schema of its data."""
    return page.cut(TOPICS, lambda one: {"type": one.name, "schema": one.schema})


@router.get("/topics/{name}", dependencies=[needs(Right.READ)])
def topic(name: str) -> Response:
    """The JSON Schema of one topic's data: what a CloudEvent's `dataschema` leads to."""
    for one in TOPICS:
        if one.name == name:
            return JSONResponse(one.schema)
    raise HTTPException(404, "there is no such topic")


@router.get("/channels", dependencies=[needs(Right.READ)])
def channels(context: ContextOf, page: PagingOf) -> Response:
    """How every channel does."""
    return page.cut(channels_of(context), plain)


@router.get("/outbox", dependencies=[needs(Right.REDRIVE, whole=True)])
def outbox(
    context: ContextOf,
    page: PagingOf,
    state: Annotated[Literal["pending", "sent", "dead"] | None, Query()] = None,
    channel: Annotated[str | None, Query()] = None,
) -> Response:
    """The newest messages."""
    with reading(context.database) as conn:
        found = deliveries.recent(conn, Which(state, channel), page.probe, page.behind(int))
    return page.answer(found, plain, lambda one: (one.id,))


@router.get("/outbox/{message:int}", dependencies=[needs(Right.REDRIVE, whole=True)])
def message(context: ContextOf, message: int) -> Response:
    """One message with its content and every call that was made for it."""
    with reading(context.database) as conn:
        found = deliveries.one(conn, message)
    if found is None:
        raise HTTPException(404, "there is no such message")
    sent, content, calls = found
    return JSONResponse({**plain(sent), "content": content, "calls": plain(calls)})


@router.post("/outbox/redrive", dependencies=[needs(Right.REDRIVE, whole=True)])
def redrive(context: ContextOf, again: Again) -> Response:
    """Send dead messages again, at once and under the keys that they had."""
    which = Which(channel=again.channel, ids=again.ids)
    return JSONResponse({"redriven": deliveries.redrive(context.database, which, context.now())})


@router.get("/messages", dependencies=[needs(Right.SELF)])
def messages(visit: VisitOf, page: PagingOf) -> Response:
    """What the person who asks was told on the channels of the kind `console`, newest first."""
    names = [one.name for one in channels_of(visit.context) if one.kind == "console"]
    with reading(visit.context.database) as conn:
        told = [
            sent
            for name in names
            for sent in deliveries.recent(
                conn, Which("sent", name, recipient=visit.actor), page.probe, page.behind(int)
            )
        ]
    newest = sorted(told, key=lambda sent: sent.id, reverse=True)
    return page.answer(newest, plain, lambda one: (one.id,))
