"""A dead letter opened whole, and taking it, or all of a reason, anew; a step that was given up done again."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from api.letters import ask, named, one_of, opened
from api.originals import message_of
from api.pages import render, say
from api.pipeline import readable
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.formats import whole
from api.web.forms import Form, field_of, whole_number_of
from api.web.wording import letter_cure, letter_name
from ingest.deadletters import Which
from ingest.refusal import Reason
from ticketing import timers
from ticketing.timers import Timer

router = APIRouter(prefix="/pipeline")


@router.get("/letters/{letter}", dependencies=[needs(Right.REDRIVE, whole=True)])
def letter(request: Request, visit: VisitOf, letter: str) -> Response:
    """The message as it arrived, what was wrong with it, and what mends that."""
    found = opened(visit.context, letter)
    it = found.letter
    return render(
        request,
        visit,
        "letter.html",
        "pipeline",
        it=it,
        name=named(it),
        reason=letter_name(it.reason, visit.words),
        cure=letter_cure(it.reason, visit.words),
        topic=it.topic.decode("utf-8", "backslashreplace"),
        length=whole(it.length),
        head=readable(it),
        used_ns=found.used_ns,
        can_be_taken=found.can_be_taken,
        said=message_of(found.record) if found.record else None,
    )


@router.post("/letters/redrive", dependencies=[needs(Right.REDRIVE, whole=True)])
def redrive(visit: VisitOf, form: Form) -> Response:
    """Have the engine take all of a reason anew."""
    reason = field_of(form, "reason")
    if reason not in set(Reason):
        raise HTTPException(422, "name the reason whose dead letters are to be taken anew")
    return _asked(visit, f"/pipeline?reason={reason}#letters", Which(reason=reason))


@router.post("/letters/{letter}/redrive", dependencies=[needs(Right.REDRIVE, whole=True)])
def redrive_one(visit: VisitOf, letter: str) -> Response:
    """Have the engine take this one anew."""
    found = opened(visit.context, letter)
    back = f"/pipeline/letters/{quote(named(found.letter), safe='')}"
    return _asked(visit, back, one_of(found.letter))


@router.post("/timers/again", dependencies=[needs(Right.REDRIVE, whole=True)])
def again(visit: VisitOf, form: Form) -> Response:
    """Have a step that was given up tried once more."""
    step, cycle = (whole_number_of(form, name) or 0 for name in ("step", "cycle"))
    which = Timer(field_of(form, "kind")[:32], field_of(form, "subject")[:200], 0, step, cycle)
    with visit.context.tickets.transaction(visit.context.now()) as book:
        found = timers.again(book, which)
    if not found:
        raise HTTPException(404, "there is no such step that was given up")
    return RedirectResponse("/pipeline#timers", 303)


def _asked(visit: Visit, back: str, which: Which) -> Response:
    answer = RedirectResponse(back, 303)
    say(answer, "flash.letters_asked", n=whole(ask(visit, which)))
    return answer
