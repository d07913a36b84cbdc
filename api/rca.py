"""Root-cause and improvement tasks over REST: lists, one with all that belongs to it, and a POST for every step."""

import re
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from api.answers import plain
from api.paging import PagingOf
from api.places import SightOf
from api.problem_deeds import DEEDS, RIGHT_OF, ProblemDeed, do
from api.rights import needs
from api.steps import Deed, Target, Text
from api.tickets import On as OnTicket
from api.visit import ContextOf, Visit, VisitOf
from ticketing import recoding
from ticketing.problem import ProblemKind, ProblemState
from ticketing.problem_states import ProblemStep
from ticketing.problem_store import events, look, problems
from ticketing.ticket import Ticket

router = APIRouter(tags=["root-cause tasks"])


@router.get("/problems", dependencies=[needs(Right.READ)])
def listed(
    context: ContextOf,
    sight: SightOf,
    page: PagingOf,
    *,
    state: Annotated[ProblemState | None, Query()] = None,
    kind: Annotated[ProblemKind | None, Query()] = None,
    asset: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Root-cause and improvement tasks with what they rest on, newest first."""
    with reading(context.database) as conn:
        after = page.behind(int)
        found = problems(
            conn, state=state, kind=kind, asset=asset, machines=sight.assets, limit=page.probe, after=after
        )
    return page.answer(found, plain, lambda one: (one.id,))


@router.get("/problems/{problem_id}", dependencies=[needs(Right.READ)])
def one(context: ContextOf, problem_id: int) -> Response:
    """One task with its failures, causes, actions, check and audit."""
    with reading(context.database) as conn:
        found = look(conn, problem_id)
        audit = events(conn, problem_id)
    body = {**plain(found), "events": plain(audit)}
    return JSONResponse(body, headers={"ETag": f'"{found.version}"'})


class Doer:
    """A request to do something to a problem: who, and on which version."""

    def __init__(
        self,
        visit: VisitOf,
        problem_id: int,
        if_match: Annotated[str | None, Header(description='the problem\'s version, as `"7"`')] = None,
    ) -> None:
        self._visit: Visit = visit
        self._problem_id = problem_id
        self._if_match = if_match

    def do(self, step: ProblemStep, deed: ProblemDeed) -> Response:
        """One call of the service; the answer is the problem as it then is."""
        version = deed.version if deed.version is not None else self._version()
        done = do(self._visit, self._problem_id, step, deed.given(), version=version, channel="api")
        return JSONResponse(plain(done), headers={"ETag": f'"{done.version}"'})

    def _version(self) -> int:
        match = re.fullmatch(r'(?:W/)?"(\d{1,18})"', self._if_match or "")
        if match is None:
            raise HTTPException(
                428, 'name the version you decided on: "version" in the body, or If-Match: "7"'
            )
        return int(match[1])


On = Annotated[Doer, Depends()]


def _route(step: ProblemStep, body: type[ProblemDeed]) -> Callable[..., Response]:
    def take(on: Doer, deed: ProblemDeed) -> Response:
        return on.do(step, deed)

    take.__name__ = f"problem_{step}"
    take.__doc__ = body.__doc__
    take.__annotations__ = {"on": On, "deed": body, "return": Response}
    return take


for _step, _body in DEEDS.items():
    router.add_api_route(
        f"/problems/{{problem_id}}/{_step}",
        _route(_step, _body),
        methods=["POST"],
        dependencies=[needs(RIGHT_OF[_step])],
    )


class Recode(Deed):
    """Another root cause of a ticket that was repaired, and why."""

    cause: Annotated[str, Field(max_length=16)] = ""
    reason: Text = ""

    def _to(self, on: Target) -> Ticket:
        return recoding.recode(
            on.tickets, on.ticket_id, cause=self.cause, reason=self.reason, plant=on.plant, **on.by
        )


@router.post("/tickets/{ticket_id}/recode", dependencies=[needs(Right.ANALYSE)])
def recode(on: OnTicket, deed: Recode) -> Response:
    """Resolved or closed: its root cause was another one; what was counted by it is counted anew."""
    return on.do(deed)
