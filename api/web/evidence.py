"""Which drawings a ticket's page shows: those of the finding at its head, and the newest of what it does not have."""

from collections.abc import Mapping

from sqlalchemy import Connection

from andon.events import Json
from ticketing import store


def evidence_of(conn: Connection, detail: store.TicketDetail) -> Mapping[str, Json]:
    """The parts of the evidence by name, as detectors give them.

    `trend_beside` is the trend of another channel; a forecast stays with the trend that it was made of, and is
    `forecast_beside` there.
    """
    newest = {part: drawing.body for part, drawing in detail.drawings.items()}
    foretold = newest.pop("forecast", None) if _of_one_finding(detail, "forecast", "trend") else None
    newest.pop("forecast", None)
    head: Mapping[str, Json] = store.evidence(conn, detail.ticket.headline.finding) or {}
    shown = {**newest, **head}
    other, own = newest.get("trend"), head.get("trend")
    if other and own and other["channel"] != own["channel"]:
        shown |= {"trend_beside": other, "forecast_beside": foretold}
    elif own is None:
        shown["forecast"] = foretold
    return shown


def _of_one_finding(detail: store.TicketDetail, *parts: str) -> bool:
    return len({detail.drawings[part].finding for part in parts if part in detail.drawings}) == 1
