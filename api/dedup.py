"""The rules of deduplication over REST: their versions, what came too late for them, and a dry run of changed ones."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon.database import reading
from andon.events import HOUR_NS, rfc3339
from andon.rules.dedup import Dedup
from api.answers import plain
from api.tickets import Limit, Offset
from api.visit import ContextOf
from ticketing import key_versions, rehearsal, store

router = APIRouter(prefix="/dedup", tags=["deduplication"])

DAY_NS = 24 * HOUR_NS


@router.get("/rules")
def rules(context: ContextOf) -> Response:
    """Every version of the rules, the newest first; what is in force comes from the plant document's `dedup`."""
    with reading(context.database) as conn:
        known = key_versions.versions(conn)
    return JSONResponse(
        {
            "items": [
                {
                    "version": one.rules.version,
                    "since": rfc3339(one.since_ns) if one.since_ns else None,
                    "rules": one.rules.told.model_dump(mode="json"),
                }
                for one in reversed(known)
            ]
        }
    )


@router.get("/late")
def late(context: ContextOf, limit: Limit = 200, offset: Offset = 0) -> Response:
    """What came too late to open or reopen a ticket, newest first: it is kept, and counted where a ticket is open."""
    with reading(context.database) as conn:
        found = store.late(conn, limit=limit, offset=offset)
    return JSONResponse({"items": plain(found), "limit": limit, "offset": offset})


class Changed(BaseModel):
    """Rules to try (as the plant document has them under `dedup`) on so many days of history."""

    model_config = ConfigDict(extra="forbid")
    rules: Dedup
    days: Annotated[float, Field(gt=0, le=400)] = 30


@router.post("/dry-run")
def dry_run(context: ContextOf, changed: Changed) -> Response:
    """Which tickets changed rules would have merged or split, with everything else as it was; nothing is written.

    At most the newest 20,000 findings are told, which takes up to a minute; `left_out` says whether there are more.
    """
    now_ns = context.now()
    with reading(context.database) as conn:
        told = rehearsal.Told.of(conn, now_ns - int(changed.days * DAY_NS), now_ns)
    found = rehearsal.rehearse(told, context.plant(), changed.rules)
    return JSONResponse(plain(found))
