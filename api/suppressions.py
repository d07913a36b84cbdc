"""Shelves, maintenance windows and what else holds alarms back, over REST: listed, begun, ended early."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import SECOND_NS, Json, nanoseconds
from andon.rules.suppression import Matcher
from api.answers import plain
from api.moments import Told
from api.paging import PagingOf
from api.places import SightOf
from api.rights import NoRight, needs
from api.steps import Text
from api.visit import ContextOf, VisitOf
from ticketing import suppressions
from ticketing.suppression import Suppression, SuppressionKind
from ticketing.suppressions import Listed

router = APIRouter(tags=["suppression"])
CHANNEL = "api"


class Wanted(BaseModel):
    """A shelf from now on, or a maintenance window. It ends at `ends_at` or after `for_s` seconds; a shelf always does."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["shelve", "maintenance_window"] = "shelve"
    matcher: Matcher
    reason: Text
    starts_at: Told | None = None
    ends_at: Told | None = None
    for_s: float | None = Field(default=None, gt=0, le=366 * 86_400)
    one_shot: bool = Field(default=False, description="ends when the alarm returns, if that is earlier")

    def times(self, now_ns: int) -> tuple[int, int | None]:
        """From when to when; an end that is not said is the plant's to say."""
        starts_ns = now_ns if self.starts_at is None else nanoseconds(self.starts_at)
        if self.ends_at is not None:
            return starts_ns, nanoseconds(self.ends_at)
        return starts_ns, None if self.for_s is None else starts_ns + round(self.for_s * SECOND_NS)


@router.get("/suppressions", dependencies=[needs(Right.READ)])
def listed(
    context: ContextOf, sight: SightOf, page: PagingOf, state: Literal["active", "ended"] = "active"
) -> Response:
    """What holds alarms back, or held them: the newest first, each with how many occurrences, and who did what.

    A window of the plant document that holds nothing yet has no number; it stands on the last page.
    """
    now_ns = context.now()
    with reading(context.database) as conn:
        found = suppressions.listed(
            conn,
            now_ns,
            ended=state == "ended",
            seen=sight.matching,
            limit=page.probe,
            after=page.behind(int),
        )
        last_page = len(found) <= page.limit
        if state == "active" and last_page:
            every = suppressions.listed(conn, now_ns)
            planned = [
                one
                for one in suppressions.only_planned(context.plant(), now_ns, every)
                if sight.matches(one.suppression.matcher)
            ]
            return page.page([shown(one) for one in (*found, *planned)], None)
    return page.answer(found, shown, lambda one: (one.suppression.id,))


@router.get("/suppressions/{suppression_id}", dependencies=[needs(Right.READ)])
def one(context: ContextOf, suppression_id: int) -> Response:
    """One of them."""
    with reading(context.database) as conn:
        found = suppressions.detail(conn, suppression_id)
    return JSONResponse(shown(found))


@router.post("/suppressions", status_code=201, dependencies=[needs(Right.LEAD)])
def begin(visit: VisitOf, wanted: Wanted) -> Response:
    """Shelve alarms, or open a maintenance window for them."""
    now_ns = visit.context.now()
    starts_ns, ends_ns = wanted.times(now_ns)
    if not visit.sight.matches(wanted.matcher):
        raise NoRight(Right.LEAD, everywhere=True)
    with visit.context.tickets.transaction(now_ns) as book:
        made = suppressions.asked(
            book,
            visit.plant,
            kind=SuppressionKind(wanted.kind),
            matcher=wanted.matcher,
            reason=wanted.reason,
            owner=visit.actor,
            starts_ns=starts_ns,
            ends_ns=ends_ns,
            one_shot=wanted.one_shot,
            channel=CHANNEL,
        )
    return JSONResponse(_plain(made), 201)


@router.delete("/suppressions/{suppression_id}", dependencies=[needs(Right.LEAD)])
def end(visit: VisitOf, suppression_id: int, reason: Annotated[str, Query(max_length=4000)] = "") -> Response:
    """End it before its time, and say why; what stands then becomes a ticket within seconds."""
    with visit.context.tickets.transaction(visit.context.now()) as book:
        ended = suppressions.end_early(
            book, suppression_id, actor=visit.actor, reason=reason, channel=CHANNEL
        )
    return JSONResponse(_plain(ended))


def shown(one: Listed) -> Json:
    """A suppression with its numbers and its record."""
    counts = {"held": one.held, "folded": one.folded, "over": one.over}
    return {**_plain(one.suppression), **counts, "events": plain(one.events)}


def _plain(one: Suppression) -> dict[str, Json]:
    matcher = one.matcher.model_dump(mode="json", exclude_defaults=True)
    return {**plain(one), "id": one.id or None, "matcher": matcher}
