"""Codes for the machines, printed as labels: whoever scans one reports that machine (rule 7)."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from andon.access.roles import Right
from andon.config import is_loopback
from api.auth import host_name
from api.pages import render
from api.rights import needs
from api.visit import VisitOf
from ticketing.requests.codes import code_svg, scan_address

router = APIRouter()
ADDRESS_MAX = 200


@dataclass(frozen=True, slots=True)
class Label:
    """What is printed for one machine."""

    id: str
    name: str
    name_zh: str
    serial: str
    line: str
    address: str
    code: Markup


@router.get("/report/codes", dependencies=[needs(Right.READ)])
def codes(request: Request, visit: VisitOf, line: str = "", asset: str = "", address: str = "") -> Response:
    """A sheet of labels: of all machines, of one line or of one machine; `address` is where phones reach the console."""
    console = address.strip()[:ADDRESS_MAX] or str(request.base_url).rstrip("/")
    parts = urlsplit(console)
    sound = parts.scheme in {"http", "https"} and bool(parts.hostname)
    chosen = [
        one
        for one in visit.machines
        if sound and (not line or one.line == line) and (not asset or one.id == asset)
    ]
    labels = [
        Label(
            id=one.id,
            name=one.name,
            name_zh=one.name_zh,
            serial=one.serial,
            line=one.line,
            address=(where := scan_address(console, one.id)),
            code=Markup(code_svg(where)),  # noqa: S704 - drawn here, of modules alone
        )
        for one in chosen
    ]
    return render(
        request,
        visit,
        "codes.html",
        "report",
        labels=labels,
        lines=sorted({one.line for one in visit.machines}),
        line=line,
        asset=asset,
        address=console,
        sound=sound,
        here_only=sound and is_loopback(host_name(parts.netloc).strip("[]")),
    )
