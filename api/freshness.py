"""Which measuring points can be believed to be alive: fresh, stale or never seen."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from andon.access.roles import Right
from andon.database import reading
from api.answers import plain
from api.context import Context
from api.paging import PagingOf
from api.places import Sight, SightOf
from api.rights import needs
from api.visit import ContextOf
from ingest import gaps
from ingest.freshness import Freshness, Place, State, heard, judge

router = APIRouter(tags=["pipeline"])


def points_of(context: Context, sight: Sight | None = None) -> dict[Place, Freshness]:
    """Every point of the plant document that is seen with its state, in the document's order."""
    with reading(context.database) as conn:
        known, still_open = heard(conn), gaps.open_gaps(conn)
    found = judge(context.plant(), known, still_open, context.now())
    return {(one.asset, one.point): one for one in found if sight is None or sight.sees(one.asset)}


def counts_of(points: Mapping[Place, Freshness]) -> dict[State, int]:
    """How many points are in each state, every state named."""
    counted = Counter(one.state for one in points.values())
    return {state: counted[state] for state in State}


@router.get("/freshness", dependencies=[needs(Right.READ)])
def freshness(
    context: ContextOf,
    sight: SightOf,
    page: PagingOf,
    asset: Annotated[str | None, Query(max_length=64)] = None,
    state: Annotated[State | None, Query()] = None,
) -> Response:
    """The points of the plant, of one machine, or in one state, with when each was last heard and from which source."""
    points = points_of(context, sight)
    wanted = [one for one in points.values() if asset in {None, one.asset} and state in {None, one.state}]
    counts = {str(name): count for name, count in counts_of(points).items()}
    return page.cut(wanted, plain, counts=counts)
