"""Which drawings a ticket's page shows: those of the finding at its head, then the newest of every other kind."""

from collections.abc import Mapping

from sqlalchemy import Connection

from andon.events import Json
from ticketing import store


def evidence_of(conn: Connection, detail: store.TicketDetail) -> Mapping[str, Json]:
    """The parts of the evidence by name, as detectors give them."""
    newest = {part: drawing.body for part, drawing in detail.drawings.items()}
    head = store.evidence(conn, detail.ticket.headline.finding)
    return {**newest, **(head or {})}
