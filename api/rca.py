"""Root-cause tasks over REST."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from andon.database import reading
from api.answers import plain
from api.visit import ContextOf
from ticketing import store
from ticketing.problem import ProblemState

router = APIRouter(tags=["root-cause tasks"])


@router.get("/problems")
def problems(
    context: ContextOf,
    state: Annotated[ProblemState | None, Query()] = None,
    asset: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> Response:
    """Root-cause tasks with the failures they rest on, newest first."""
    with reading(context.database) as conn:
        found = store.problems(conn, state=state, asset=asset, limit=limit)
    return JSONResponse({"items": plain(found)})


@router.get("/problems/{problem_id}")
def problem(context: ContextOf, problem_id: int) -> Response:
    """One root-cause task."""
    with reading(context.database) as conn:
        found = store.problem(conn, problem_id)
    if found is None:
        raise HTTPException(404, f"there is no root-cause task {problem_id}")
    return JSONResponse(plain(found))
