"""How many photos a ticket may have and a person may add: what is kept for years is bounded (OWASP API4:2023)."""

from sqlalchemy import Connection, func, select

from andon.events import HOUR_NS
from ticketing.errors import PhotoRefused
from ticketing.stepping import SIGNATURE
from ticketing.tables import photo, ticket

PER_TICKET, PER_DAY = 20, 300
"""Photos of one round of a ticket, and of one person within 24 h; drawn signatures count for the person alone."""


def check_quota(conn: Connection, ticket_id: int, *, stage: str, actor: str, now_ns: int) -> None:
    """PhotoRefused if one more is too many."""
    mine = photo.c.by == actor, photo.c.at_ns > now_ns - 24 * HOUR_NS
    if conn.execute(select(func.count()).where(*mine)).scalar_one() >= PER_DAY:
        raise PhotoRefused("photo_quota", f"{actor} has added {PER_DAY} photos within 24 hours")
    cycle = select(ticket.c.reopen_count).where(ticket.c.id == ticket_id).scalar_subquery()
    of_ticket = photo.c.ticket == ticket_id, photo.c.cycle == cycle, photo.c.stage != SIGNATURE
    if stage != SIGNATURE and conn.execute(select(func.count()).where(*of_ticket)).scalar_one() >= PER_TICKET:
        raise PhotoRefused("photo_too_many", f"the ticket has {PER_TICKET} photos of this round")
