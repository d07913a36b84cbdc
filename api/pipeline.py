"""How the pipeline does, over REST: sources with their counters, gaps."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from andon import manifest
from andon.access.roles import Right
from andon.database import reading
from andon.ports import DeadLetter
from api.answers import plain
from api.flow import sources_of
from api.paging import PagingOf
from api.places import SightOf
from api.rights import needs
from api.visit import ContextOf
from ingest import gaps as gap_store

router = APIRouter(tags=["pipeline"])


@router.get("/sources", dependencies=[needs(Right.READ)])
def sources(request: Request, context: ContextOf, page: PagingOf) -> Response:
    """Every source; received = stored + duplicates + ignored + overflow + refused."""
    with reading(context.database) as conn:
        stages = manifest.counted(conn)
    found = sources_of(stages, context.status(), request.app.state.rates, context.now())
    stages_after = {name: dict(counts) for name, counts in stages.items() if not name.startswith("source.")}
    return page.cut(
        found,
        lambda source: {**plain(source), "balances": source.off_by == 0},
        stages=stages_after,
        degraded=context.readiness(),
    )


@router.get("/gaps", dependencies=[needs(Right.READ)])
def gaps(
    context: ContextOf,
    sight: SightOf,
    page: PagingOf,
    still_open: Annotated[bool, Query(alias="open")] = False,
) -> Response:
    """Data known to be missing, newest first."""
    with reading(context.database) as conn:
        after = page.behind(int, int)
        found = gap_store.listed(conn, page.probe, still_open=still_open, machines=sight.assets, after=after)
    return page.answer(found, lambda one: plain(one[1]), lambda one: (one[1].from_ns, one[0]))


def readable(letter: DeadLetter) -> str:
    """The beginning of a dead letter as text that shows every byte: what does not print is escaped."""
    text = letter.head.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
