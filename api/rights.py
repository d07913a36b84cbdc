"""What a route asks of whoever calls it: one right, and that the thing that its address names stands where they see it.

@router.post("/tickets/{ticket_id}/assign", dependencies=[needs(Right.PLAN)])
"""

from collections.abc import Iterable
from typing import Any, cast

from fastapi import Depends, WebSocketException
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from andon.access.roles import Principal, Right
from api.places import OBJECTS, look

_POLICY_VIOLATION = 1008


class NoRight(Exception):
    """Who asks may not do that; `everywhere`: may do it, but not for the whole plant, whose places are bounded."""

    def __init__(self, right: Right, *, everywhere: bool = False) -> None:
        super().__init__(right)
        self.right = right
        self.everywhere = everywhere


class Needs:
    """A dependency that refuses who lacks the right, and knows nothing of things that stand elsewhere.

    `whole`: the route is about the whole plant, and asks for a principal whom no place bounds.
    """

    def __init__(self, right: Right, *, whole: bool = False) -> None:
        self.right = right
        self.whole = whole

    async def __call__(self, connection: HTTPConnection) -> None:
        """NoRight without the right; the error of a thing that is not there for one at a foreign place."""
        principal = principal_of(connection)
        refused = not principal.may(self.right)
        if refused or (self.whole and not principal.everywhere):
            if connection.scope["type"] == "websocket":
                raise WebSocketException(_POLICY_VIOLATION)
            raise NoRight(self.right, everywhere=not refused)
        named = [(one, str(name)) for one, name in connection.path_params.items() if one in OBJECTS]
        if named and not principal.everywhere:
            await run_in_threadpool(look, connection.app.state.context, principal, named)


def needs(right: Right, *, whole: bool = False) -> Any:
    """The dependency of a route that asks for `right`, and for the whole plant if its answer is about that."""
    return Depends(Needs(right, whole=whole))


def principal_of(connection: HTTPConnection) -> Principal:
    """Who speaks, as the gate found out."""
    return cast("Principal", connection.state.principal)


def asked(route: APIRoute | APIWebSocketRoute) -> list[Needs]:
    """What a route asks for; one that is open to everybody, or was forgotten, asks for nothing."""
    dependencies: Iterable[Dependency] = route.dependencies
    return [one.dependency for one in dependencies if isinstance(one.dependency, Needs)]
