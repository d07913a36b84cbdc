"""How the pipeline does, over REST: sources with their counters, dead letters, gaps."""

import base64
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from andon import manifest
from andon.database import reading
from andon.ports import DeadLetter
from api.answers import plain
from api.flow import sources_of
from api.visit import ContextOf
from ingest import deadletters
from ingest import gaps as gap_store

router = APIRouter(tags=["pipeline"])
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/sources")
def sources(request: Request, context: ContextOf) -> Response:
    """Every source; received = stored + duplicates + ignored + overflow + refused."""
    with reading(context.database) as conn:
        stages = manifest.counted(conn)
    found = sources_of(stages, context.status(), request.app.state.rates, context.now())
    items = [{**plain(source), "balances": source.off_by == 0} for source in found]
    stages_after = {name: dict(counts) for name, counts in stages.items() if not name.startswith("source.")}
    return JSONResponse({"items": items, "stages": stages_after, "degraded": context.readiness()})


@router.get("/dead-letters")
def dead_letters(context: ContextOf, limit: Limit = 100) -> Response:
    """The newest messages that could not be used, with their reason and beginning (base64), and how many there are."""
    with reading(context.database) as conn:
        found, counts = deadletters.recent(conn, limit), deadletters.counts(conn)
    items = [
        {**plain(letter), "head_base64": base64.b64encode(letter.head).decode("ascii")} for letter in found
    ]
    return JSONResponse({"items": items, "counts": dict(counts)})


@router.get("/gaps")
def gaps(
    context: ContextOf, limit: Limit = 100, still_open: Annotated[bool, Query(alias="open")] = False
) -> Response:
    """Data known to be missing, newest first."""
    with reading(context.database) as conn:
        found = gap_store.open_gaps(conn)[:limit] if still_open else gap_store.recent(conn, limit)
    return JSONResponse({"items": plain(found)})


def readable(letter: DeadLetter) -> str:
    """The beginning of a dead letter as text that shows every byte: what does not print is escaped."""
    text = letter.head.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
