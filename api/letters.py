"""Dead letters over REST: the list, one opened whole out of the journal, and asking the engine to take them anew."""

import base64
import logging
import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading, writing
from andon.events import Json, rfc3339
from andon.ports import DeadLetter, RecordKind
from api.answers import plain
from api.context import Context
from api.originals import message_of
from api.paging import PagingOf
from api.rights import needs
from api.steps import Name
from api.visit import ContextOf, Visit, VisitOf
from ingest import deadletters
from ingest.deadletters import Which
from ingest.originals import Original, original
from ingest.refusal import Reason

router = APIRouter(prefix="/dead-letters", tags=["pipeline"])
log = logging.getLogger(__name__)
_NAMED = re.compile(r"[^\x00]{1,200}:[0-9]{1,18}")


class Again(BaseModel):
    """Which dead letters are taken anew: those of a reason, of a source, of both; of neither: all."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason | None = None
    source: Name | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A dead letter with its record, None where that is not kept whole any more; `used_ns`: when it was used after all."""

    letter: DeadLetter
    used_ns: int | None
    record: Original | None

    @property
    def can_be_taken(self) -> bool:
        """Whether the engine could take it anew."""
        return self.used_ns is None and self.record is not None


def named(letter: DeadLetter) -> str:
    """What a dead letter is called in addresses and commands: the trace id of its message."""
    return f"{letter.source}:{letter.position}"


def opened(context: Context, name: str) -> Opened:
    """The dead letter of that name; 404 where there is none."""
    source, _, digits = name.rpartition(":")
    if _NAMED.fullmatch(name) is None:
        raise HTTPException(
            404, "there is no such dead letter: it is called SOURCE:POSITION, like floor:1041"
        )
    with reading(context.database) as conn:
        found = deadletters.one(conn, source, int(digits))
    if found is None:
        raise HTTPException(404, "there is no such dead letter")
    letter, used_ns = found
    kept = original(context.journals, name) if context.journals else None
    whole = kept is not None and kept.record.kind is RecordKind.MESSAGE
    return Opened(letter, used_ns, kept if whole else None)


def ask(visit: Visit, which: Which) -> int:
    """Ask the engine to take them anew; gives how many there are."""
    now_ns = visit.context.now()
    with writing(visit.context.database) as conn:
        count = deadletters.ask(conn, which, now_ns)
    log.info("dead letters are asked for again", extra={"by": visit.actor, "which": str(which), "n": count})
    return count


def one_of(letter: DeadLetter) -> Which:
    """That letter and no other."""
    return Which(source=letter.source, position=letter.position)


@router.get("", dependencies=[needs(Right.READ, whole=True)])
def dead_letters(
    context: ContextOf,
    page: PagingOf,
    reason: Annotated[Reason | None, Query()] = None,
    source: Annotated[Name | None, Query()] = None,
) -> Response:
    """The newest messages that could not be used, with their reason and beginning (base64), and how many there are."""
    which = Which(reason, source)
    with reading(context.database) as conn:
        found = deadletters.recent(conn, page.probe, which, after=page.behind(int, int, str))
        counts = deadletters.counts(conn, which)
        underway = deadletters.underway(conn)
    return page.answer(
        found,
        _told,
        lambda one: (one.received_ns, one.position, one.source),
        counts=dict(counts),
        asked=underway,
    )


@router.get("/{letter}", dependencies=[needs(Right.REDRIVE, whole=True)])
def dead_letter(context: ContextOf, letter: str) -> Response:
    """One of them with its message as it arrived; `message` is null where it is not kept whole any more."""
    found = opened(context, letter)
    told: dict[str, Json] = {
        **_told(found.letter),
        "used_at": None if found.used_ns is None else rfc3339(found.used_ns),
        "message": None if found.record is None else message_of(found.record),
    }
    return JSONResponse(told)


@router.post("/redrive", status_code=202, dependencies=[needs(Right.REDRIVE, whole=True)])
def redrive(visit: VisitOf, again: Again) -> Response:
    """Have the engine take all of a reason or source anew: once what was wrong is mended they are used after all.

    What is refused again keeps its new reason; a message that is not kept whole stays as it is.
    """
    return JSONResponse({"asked": ask(visit, Which(again.reason, again.source))}, 202)


@router.post("/{letter}/redrive", status_code=202, dependencies=[needs(Right.REDRIVE, whole=True)])
def redrive_one(visit: VisitOf, letter: str) -> Response:
    """Have the engine take this one anew; 0 are asked for where it was used already."""
    found = opened(visit.context, letter)
    return JSONResponse({"asked": ask(visit, one_of(found.letter))}, 202)


def _told(letter: DeadLetter) -> dict[str, Json]:
    head = base64.b64encode(letter.head).decode("ascii")
    return {"id": named(letter), **plain(letter), "head_base64": head}
