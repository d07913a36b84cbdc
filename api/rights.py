"""What a route asks of whoever calls it: one right, stated where the route is, and read by the gate and the matrix.

@router.post("/tickets/{ticket_id}/assign", dependencies=[needs(Right.PLAN)])
"""

from collections.abc import Iterable
from typing import Any, cast

from fastapi import Depends, HTTPException, Request
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute

from andon.access.roles import Principal, Right


class Needs:
    """A dependency that refuses who lacks the right."""

    def __init__(self, right: Right) -> None:
        self.right = right

    def __call__(self, request: Request) -> None:
        """403 with the code `no_right` for a principal without it."""
        if not principal_of(request).may(self.right):
            raise HTTPException(403, f"no_right: {self.right}")


def needs(right: Right) -> Any:
    """The dependency of a route that asks for `right`."""
    return Depends(Needs(right))


def principal_of(request: Request) -> Principal:
    """Who speaks, as the gate found out."""
    return cast("Principal", request.state.principal)


def asked(route: APIRoute) -> list[Right]:
    """The rights that a route asks for; one that is open to everybody, or was forgotten, asks for none."""
    dependencies: Iterable[Dependency] = route.dependencies
    return [one.dependency.right for one in dependencies if isinstance(one.dependency, Needs)]
