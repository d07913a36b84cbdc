"""Which drawings a ticket's page shows: those of the finding at its head, and the newest of what it does not have."""

from collections.abc import Mapping

from sqlalchemy import Connection

from andon.events import Json
from ticketing import store


def evidence_of(conn: Connection, detail: store.TicketDetail) -> Mapping[str, Json]:
    """The parts of the evidence by name, as detectors give them; `trend_beside` is the trend of another channel."""
    newest = {part: drawing.body for part, drawing in detail.drawings.items()}
    head: Mapping[str, Json] = store.evidence(conn, detail.ticket.headline.finding) or {}
    shown = {**newest, **head}
    other, own = newest.get("trend"), head.get("trend")
    if other and own and other["channel"] != own["channel"]:
        shown["trend_beside"] = other
    return shown
