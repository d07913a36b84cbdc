"""The operations of a ticket over REST: what is to be done and measured in which order, and that it was done."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.events import Json
from api.answers import plain
from api.closing import doer
from api.rights import needs
from api.steps import Name, Text
from api.visit import ContextOf, VisitOf
from ticketing.operations import deeds, work

router = APIRouter(tags=["operations"])
Seq = Annotated[int, Path(ge=1, le=1000, description="Its number on the ticket, from 1.")]
_WHERE = "/tickets/{ticket_id}/operations/{seq}"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Template(_Body):
    """The template whose operations the ticket takes."""

    template: Name


class Value(_Body):
    """A value that was measured, and with which instrument."""

    name: Name
    value: float
    instrument: Name = ""

    def said(self) -> deeds.Said:
        """The same as the deed takes it."""
        return deeds.Said(self.name, self.value, self.instrument)


class Done(_Body):
    """How many minutes it took, what was measured, and by whom, if it was not who tells."""

    minutes: float | None = None
    values: Annotated[list[Value], Field(max_length=20)] = []
    note: Text = ""
    done_by: Name = ""


class Corrected(Value):
    """What the value should have said, and why it did not."""

    reason: Text = ""


class Why(_Body):
    """Why."""

    reason: Text = ""


def shown(step: work.Step) -> dict[str, Json]:
    """An operation with what it asks for, and of each value whether it lies outside its limits."""
    said = plain(replace(step, asks=()))
    values = [{**plain(one), "out": one.is_out} for one in step.values]
    return {**said, "asks": [one.model_dump(mode="json") for one in step.asks], "values": values}


def _shown(steps: Sequence[work.Step], status: int = 200) -> Response:
    return JSONResponse({"items": [shown(one) for one in steps]}, status)


@router.get("/tickets/{ticket_id}/operations", dependencies=[needs(Right.READ)])
def operations(context: ContextOf, ticket_id: int) -> Response:
    """The ticket's operations in their order, with every value that was said and what each corrects."""
    with context.tickets.looking() as conn:
        found = work.of_ticket(conn, ticket_id)
    return _shown(found)


@router.post("/tickets/{ticket_id}/operations", status_code=201, dependencies=[needs(Right.WORK)])
def take(visit: VisitOf, ticket_id: int, wanted: Template) -> Response:
    """Take the operations of a template, behind those that are there."""
    found = deeds.take_template(doer(visit), ticket_id, visit.plant, wanted.template)
    return _shown(found, 201)


@router.post(f"{_WHERE}/done", dependencies=[needs(Right.WORK)])
def do(visit: VisitOf, ticket_id: int, seq: Seq, done: Done) -> Response:
    """It is done. A value out of its limits opens a ticket of its own, linked to this one, once."""
    step = deeds.do(
        doer(visit),
        ticket_id,
        seq,
        visit.plant,
        minutes=done.minutes,
        values=[one.said() for one in done.values],
        note=done.note,
        done_by=done.done_by,
    )
    return JSONResponse(shown(step))


@router.post(f"{_WHERE}/correct", dependencies=[needs(Right.WORK)])
def correct(visit: VisitOf, ticket_id: int, seq: Seq, said: Corrected) -> Response:
    """A value was wrong: what it should have said; the one before stays on record."""
    step = deeds.correct(doer(visit), ticket_id, seq, visit.plant, said=said.said(), reason=said.reason)
    return JSONResponse(shown(step))


@router.post(f"{_WHERE}/take-back", dependencies=[needs(Right.WORK)])
def take_back(visit: VisitOf, ticket_id: int, seq: Seq, why: Why) -> Response:
    """It was not done after all, or has to be done again."""
    return JSONResponse(shown(deeds.take_back(doer(visit), ticket_id, seq, reason=why.reason)))


@router.post(f"{_WHERE}/leave-out", dependencies=[needs(Right.WORK)])
def leave_out(visit: VisitOf, ticket_id: int, seq: Seq, why: Why) -> Response:
    """An optional operation is not needed here."""
    return JSONResponse(shown(deeds.leave_out(doer(visit), ticket_id, seq, reason=why.reason)))
