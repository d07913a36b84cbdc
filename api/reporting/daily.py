"""What is told once a day: the responsibility drift list, as it was made before the first shift (rule 74)."""

from collections.abc import Callable
from datetime import date

from sqlalchemy import Connection

from api.reporting import sheet
from api.reporting.sheet import Sheet
from api.visit import Visit
from api.web.formats import MISSING
from api.web.wording import asset_name, person_name
from ticketing import drift as drifting


def drift(conn: Connection, visit: Visit, day: str, step: Callable[[int, int], None]) -> Sheet:
    """The list of that day, or the newest; ValueError for a day without one."""
    step(0, 1)
    words = visit.words
    found = drifting.kept(conn, date.fromisoformat(day) if day else None)
    if found is None:
        raise ValueError(
            f"there is no drift list of {day or 'any day'}: one is made before the first shift of a day"
        )
    rows = [
        [
            one.number,
            asset_name(visit.plant.asset(one.asset), one.asset, words),
            words(f"state.{one.state}"),
            person_name(one.person or None, visit.plant),
            words("list.and").join(words(f"drift.why_{reason}") for reason in one.reasons),
            words("list.and").join(person_name(who, visit.plant) for who in dict.fromkeys(one.missed_by))
            or MISSING,
            visit.time.short(one.update_due_ns),
        ]
        for one in found.items
    ]
    heads = (
        "paper.ticket",
        "paper.machine",
        "paper.state",
        "drift.who",
        "drift.why",
        "drift.missed_by",
        "sla.due",
    )
    step(1, 1)
    return Sheet(
        title=words("drift.title"),
        subtitle=words("paper.made_at", at=visit.time.at(found.at_ns)),
        blocks=[
            sheet.listing("", [words(head) for head in heads], rows, wide=4)
            if rows
            else sheet.text(words("drift.none"))
        ],
        wide=True,
    )
