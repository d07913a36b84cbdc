"""The reports of Andon: what each is called, what it is asked with, and who gathers what it says (rules 73 to 77)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from api.reporting import daily, dossier, monthly
from api.reporting.sheet import Sheet
from api.visit import Visit

Step = Callable[[int, int], None]
"""Told how far the gathering is: so many parts done, of so many."""


class Asks(StrEnum):
    """What a report is about."""

    MONTH = "month"
    DAY = "day"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Paper:
    """One report. `gather` is given what it `asks` for as text ("2026-10", "2026-10-05", "1042"); ValueError if wrong."""

    name: str
    asks: Asks
    gather: Callable[[Connection, Visit, str, Step], Sheet]


PAPERS: Mapping[str, Paper] = {
    one.name: one
    for one in (
        Paper("closing_quality", Asks.MONTH, monthly.closing_quality),
        Paper("heat_map", Asks.MONTH, monthly.heat_map),
        Paper("top10", Asks.MONTH, monthly.top10),
        Paper("drift", Asks.DAY, daily.drift),
        Paper("dossier", Asks.TICKET, dossier.dossier),
    )
}
