"""Types of tickets put together without code: which modules each has, when its fields are asked for, what limits hold.

Every change is looked at dry first: what would be different, for how many tickets, and what of the plant is unsound then.
"""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from starlette.responses import JSONResponse, Response

from andon import assembly, plants
from andon.access.roles import Right
from andon.assembly import Change, ModuleKind, Wanted
from andon.database import reading, writing
from andon.plant import Plant
from andon.rules.types import CustomField, Moment
from api.answers import plain
from api.refused import Refused
from api.rights import needs
from api.visit import Visit, VisitOf
from ticketing.approving.deciders import asks
from ticketing.tables import ticket
from ticketing.ticket import UNRESOLVED

router = APIRouter(tags=["costs and approvals"])


class Named(BaseModel):
    """A new field of a type: text until the plant document says more."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,31}$")]
    zh: Annotated[str, Field(min_length=1, max_length=80)]
    en: Annotated[str, Field(min_length=1, max_length=80)]
    mandatory: tuple[Moment, ...] = ()


class Assembly(BaseModel):
    """How a type is to be; what is left out stays as it is. With `dry_run` nothing is changed."""

    model_config = ConfigDict(extra="forbid")
    modules: dict[ModuleKind, Annotated[list[str], Field(max_length=200)]] | None = None
    mandatory: dict[str, tuple[Moment, ...]] = {}
    limits: dict[str, float] = {}
    field: Named | None = None
    dry_run: bool = False

    def wanted(self) -> Wanted:
        """The same as the assembly reads it."""
        return Wanted(
            modules={kind: frozenset(codes) for kind, codes in self.modules.items()}
            if self.modules is not None
            else None,
            mandatory=self.mandatory,
            limits=self.limits,
            more=CustomField(**self.field.model_dump()) if self.field is not None else None,
        )


@router.get("/ticket-types", dependencies=[needs(Right.READ)])
def types(visit: VisitOf) -> Response:
    """Every type of ticket with what it is assembled from and could be, and the version of the plant document."""
    items = [
        {**one.model_dump(mode="json"), "modules": plain(assembly.modules_of(visit.plant, one.code))}
        for one in visit.plant.ticket_types
    ]
    return JSONResponse({"items": items, "version": visit.plant.version})


@router.post("/ticket-types/{type_code}/modules", dependencies=[needs(Right.PLAN, whole=True)])
def assemble(visit: VisitOf, type_code: str, wanted: Assembly) -> Response:
    """Assemble a type anew: what would change, for how many open tickets, and what is unsound; then it is asked for.

    The engine brings the plant document into force; `version` is its number, null for a dry run.
    """
    try:
        after, changes = looked_at(visit, type_code, wanted.wanted())
        version = None if wanted.dry_run else brought(visit, after, changes)
    except assembly.UnknownModule as error:
        raise Refused(404, "unknown_module", str(error)) from error
    except plants.Outdated as error:
        raise Refused(409, "under_way", str(error)) from error
    except ValueError as error:
        raise Refused(422, "change_refused", str(error)) from error
    return JSONResponse(
        {
            "changes": plain(changes),
            "unsound": unsound(after),
            "open_tickets": open_tickets(visit, type_code),
            "version": version,
        }
    )


def looked_at(visit: Visit, type_code: str, wanted: Wanted) -> tuple[Plant, Sequence[Change]]:
    """The plant document as it would be, and what would be different; ValueError if it would not be sound."""
    before = visit.context.plant()
    after = assembly.assembled(before, type_code, wanted)
    return after, assembly.changes(before, after, type_code)


def brought(visit: Visit, after: Plant, changes: Sequence[Change]) -> int:
    """Ask for that document; its version. ValueError if nothing would change, Outdated if another is on its way."""
    if not changes:
        raise ValueError("nothing would change: the type is assembled like that already")
    wanted = after.model_copy(update={"version": visit.context.plant().version + 1})
    with writing(visit.context.database) as conn:
        plants.ask(conn, wanted, visit.context.now())
    return wanted.version


def open_tickets(visit: Visit, type_code: str) -> int:
    """How many tickets of that type are still worked on."""
    c = ticket.c
    wanted = select(func.count()).where(c.type == type_code, c.state.in_(sorted(UNRESOLVED)))
    with reading(visit.context.database) as conn:
        return int(conn.execute(wanted).scalar_one())


def unsound(plant: Plant) -> list[str]:
    """Levels that nobody of the plant fills: their requests would go to the administrators of closing."""
    return [one.code for one in plant.approvals.levels if plant.people and not asks(one.who, plant)]
