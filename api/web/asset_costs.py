"""What a machine cost in the last twelve months, on its page: sums, and the dearest tickets."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from andon.events import HOUR_NS
from api.visit import Visit
from api.web.money import money
from ticketing.approving import spending

YEAR_NS = 365 * 24 * HOUR_NS
SHOWN = 5


@dataclass(frozen=True, slots=True)
class SpentRow:
    """One ticket with its money and downtime."""

    ticket: int
    number: str
    amount: str
    downtime: str


@dataclass(frozen=True, slots=True)
class AssetCosts:
    """`sums` are pairs of a key of the catalogue and what it comes to; `dearest` the tickets that cost most."""

    sums: Sequence[tuple[str, str]]
    dearest: Sequence[SpentRow]


def costs_of(conn: Connection, asset: str, visit: Visit) -> AssetCosts:
    """The card of one machine; without sums where nothing was spent and it never stood."""
    now_ns, currency = visit.context.now(), visit.plant.currency
    found = spending.of_asset(conn, asset, from_ns=now_ns - YEAR_NS, until_ns=now_ns + 1, now_ns=now_ns)
    minutes = sum(one.labour_minutes for one in found)
    stood = sum(one.downtime_minutes for one in found)
    cents = {
        "labour": sum(one.labour_cents for one in found),
        "parts": sum(one.parts_cents for one in found),
        "besides": sum(one.other_cents for one in found),
        "total": sum(one.cents for one in found),
    }
    sums = [("hours", visit.time.span(minutes * 60))] if minutes else []
    sums += [(key, money(amount, currency)) for key, amount in cents.items() if amount]
    sums += [("downtime", visit.time.span(stood * 60))] if stood else []
    dearest = sorted(found, key=lambda one: (-one.cents, -one.downtime_minutes, -one.ticket))[:SHOWN]
    return AssetCosts(
        sums,
        [
            SpentRow(
                one.ticket,
                one.number,
                money(one.cents, currency) if one.cents else "–",
                visit.time.span(one.downtime_minutes * 60) if one.downtime_minutes else "–",
            )
            for one in dearest
        ],
    )
