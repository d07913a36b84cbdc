"""The rules of deduplication over REST: their versions, what came too late for them, and a dry run of changed ones."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import HOUR_NS, Json, rfc3339
from andon.rules.dedup import Dedup
from api.answers import plain
from api.paging import PagingOf
from api.places import SightOf
from api.rights import needs
from api.visit import ContextOf
from ticketing import key_versions, rehearsal, store

router = APIRouter(prefix="/dedup", tags=["deduplication"])

DAY_NS = 24 * HOUR_NS


@router.get("/rules", dependencies=[needs(Right.READ)])
def rules(context: ContextOf, page: PagingOf) -> Response:
    """Every version of the rules, the newest first; what is in force comes from the plant document's `dedup`."""
    with reading(context.database) as conn:
        known = key_versions.versions(conn)
    return page.cut([*reversed(known)], _shown)


def _shown(one: key_versions.Since) -> Json:
    return {
        "version": one.rules.version,
        "since": rfc3339(one.since_ns) if one.since_ns else None,
        "rules": one.rules.told.model_dump(mode="json"),
    }


@router.get("/late", dependencies=[needs(Right.READ)])
def late(context: ContextOf, sight: SightOf, page: PagingOf) -> Response:
    """What came too late to open or reopen a ticket, newest first: it is kept, and counted where a ticket is open."""
    with reading(context.database) as conn:
        found = store.late(conn, machines=sight.assets, limit=page.probe, after=page.behind(int, str))
    return page.answer(found, plain, lambda one: (one.at_ns, one.finding))


class Changed(BaseModel):
    """Rules to try (as the plant document has them under `dedup`) on so many days of history."""

    model_config = ConfigDict(extra="forbid")
    rules: Dedup
    days: Annotated[float, Field(gt=0, le=400)] = 30


@router.post("/dry-run", dependencies=[needs(Right.PLAN, whole=True)])
def dry_run(context: ContextOf, changed: Changed) -> Response:
    """Which tickets changed rules would have merged or split, with everything else as it was; nothing is written.

    At most the newest 20,000 findings are told, which takes up to a minute; `left_out` says whether there are more.
    """
    now_ns = context.now()
    with reading(context.database) as conn:
        told = rehearsal.Told.of(conn, now_ns - int(changed.days * DAY_NS), now_ns)
    found = rehearsal.rehearse(told, context.plant(), changed.rules)
    return JSONResponse(plain(found))
