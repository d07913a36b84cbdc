"""The form that changes the fields of a ticket; what is refused is said beside its field."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.rules.types import TicketType
from api.pages import say
from api.rights import needs
from api.visit import VisitOf
from api.web.forms import Form, texts_of
from api.web.refused import FIELDS, Refused
from api.web.report_page import OWN, values_of, wrongs
from api.web.ticket_steps import ticket_of
from api.web.ticket_view import show
from ticketing import editing
from ticketing.errors import FieldsRefused, StaleVersion
from ticketing.service import By
from ticketing.ticket import Ticket
from ticketing.urgency import ORDER

router = APIRouter()


@router.post("/tickets/{ticket_id}/fields", dependencies=[needs(Right.WORK)])
def edit(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Change fields of an open ticket."""
    texts, answer = texts_of(form), RedirectResponse(f"/tickets/{ticket_id}", 303)
    before = ticket_of(visit, ticket_id)
    wanted = _wanted(texts, before, visit.plant.ticket_type(texts.get("type", before.type)))
    version = int(texts["version"]) if texts.get("version", "").isdecimal() else 0
    by = By(actor=visit.actor, now_ns=visit.context.now(), expected_version=version)
    reason = texts.get("reason", "")[:4000]
    try:
        editing.edit(visit.context.tickets, ticket_id, wanted, reason=reason, plant=visit.plant, **by)
    except StaleVersion:
        say(answer, "flash.stale", number=before.number)
    except FieldsRefused as error:
        wrong = wrongs(error.missing, visit.words)
        others = [said for name, said in wrong.items() if name not in texts]
        return show(request, visit, ticket_id, refused=Refused(FIELDS, texts, wrong, others))
    else:
        say(answer, "report.edited", number=before.number)
    return answer


def _wanted(texts: Mapping[str, str], before: Ticket, kind: TicketType | None) -> editing.Edit:
    values = values_of(texts, kind)
    shown = [f.name for f in (kind.fields if kind else ()) if OWN + f.name in texts]
    wanted = editing.Edit(
        type=texts.get("type", before.type),
        fault_type=texts.get("fault_type") or None,
        urgent=bool(texts.get("urgent")),
        grade=texts.get("grade") or None,
        region=texts.get("region", ""),
        fields={name: values.get(name) for name in shown},
    )
    priority = next((word for word in ORDER if word == texts.get("priority")), before.priority)
    if priority != before.priority:
        wanted["priority"] = priority
    return wanted
