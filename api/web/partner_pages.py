"""Partner systems as a page: in step or not, what was not confirmed, what was refused and why; and sending again."""

from dataclasses import dataclass
from urllib.parse import quote

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.rules.partners import Partner
from api.channels import ChannelState, channels_of
from api.pages import render, say
from api.partners import COUNTED_NS, partner_of
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.formats import whole
from ticketing.partners import seeing
from ticketing.partners.seeing import PartnerEvent, PartnerState, TicketSync, Unconfirmed
from ticketing.partners.sending import send_again

router = APIRouter()
SHOWN = 50
NO_CHANNEL = ChannelState("", "", "unknown", 0, 0, None, None, "")
LOOKS = {"closed": "good", "open": "critical", "half_open": "high"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A partner with its channel and what is the matter; `share` is K5 of the last 30 days, in words."""

    it: PartnerState
    name: str
    channel: ChannelState
    has_channel: bool
    look: str
    channel_look: str
    share: str
    unconfirmed: list[Unconfirmed]
    refused: list[tuple[PartnerEvent, str]]


@dataclass(frozen=True, slots=True)
class Kept:
    """How a ticket stands with one partner, for the ticket's page."""

    name: str
    sync: TicketSync
    look: str


@router.get("/partners", dependencies=[needs(Right.READ, whole=True)])
def partners(request: Request, visit: VisitOf) -> Response:
    """Every partner, those that are out of step first."""
    channels = {one.name: one for one in channels_of(visit.context)}
    with reading(visit.context.database) as conn:
        found = [_shown(conn, one, visit, channels.get(one.code, NO_CHANNEL)) for one in visit.plant.partners]
    worst = sorted(found, key=lambda one: (-one.it.out_of_sync, -one.it.waiting, one.name))
    return render(request, visit, "partners.html", "pipeline", partners=worst, shown=SHOWN)


@router.post("/partners/{name}/send-again", dependencies=[needs(Right.REDRIVE, whole=True)])
def again(visit: VisitOf, name: str) -> Response:
    """Send all that the partner has not confirmed, now."""
    partner = partner_of(visit.plant, name)
    with visit.context.tickets.transaction(visit.context.now()) as book:
        count = send_again(book, visit.plant, partner)
    answer = RedirectResponse(f"/partners#{quote(name)}", 303)
    say(answer, "flash.partner_again", n=whole(count))
    return answer


def kept_of(conn: Connection, number: int, visit: Visit) -> list[Kept]:
    """How a ticket stands with the partners that hear of it; nothing is asked for where there are none."""
    known = {one.code: one for one in visit.plant.partners}
    found = seeing.of_ticket(conn, number) if known else ()
    return [
        Kept(_name(known[one.partner], visit), one, _look_of(one)) for one in found if one.partner in known
    ]


def _why(code: str, visit: Visit) -> str:
    key = f"partner_refused.{code}"
    return visit.words(key) if key in visit.words else code


def _look_of(one: TicketSync) -> str:
    if one.confirmed_ns is not None:
        return "good"
    return "critical" if one.failed_ns is not None else ""


def _name(partner: Partner, visit: Visit) -> str:
    chinese = visit.words.language == "zh" and partner.name_zh
    return chinese or partner.name or partner.code


def _shown(conn: Connection, partner: Partner, visit: Visit, channel: ChannelState) -> Shown:
    refused = seeing.events(conn, partner=partner.code, outcome="refused", limit=SHOWN)
    it = seeing.state_of(conn, partner, visit.context.now() - COUNTED_NS)
    return Shown(
        it=it,
        name=_name(partner, visit),
        channel=channel,
        has_channel=partner.code in visit.context.partners,
        look="critical" if it.out_of_sync else "high" if it.waiting else "good",
        channel_look=LOOKS.get(channel.circuit, ""),
        share=f"{100 * it.failures / it.told:.3g} %" if it.told else "–",
        unconfirmed=list(seeing.unconfirmed(conn, partner=partner.code, limit=SHOWN)),
        refused=[(one, _why(one.code, visit)) for one in refused],
    )
