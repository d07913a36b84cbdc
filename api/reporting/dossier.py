"""All about one ticket on paper: what was found, who did what and when, what solved it, and what shows it (rule 41)."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Connection

from api.reporting import sheet
from api.reporting.sheet import Block, Sheet
from api.visit import Visit
from api.web import history
from api.web.wording import asset_name, component_name, condition_name, person_name, verdict
from ticketing import store
from ticketing.store import TicketDetail
from ticketing.ticket import Photo

_PICTURES = 12


def dossier(conn: Connection, visit: Visit, name: str, step: Callable[[int, int], None]) -> Sheet:
    """The dossier of the ticket of that id; ValueError for what is no id, TicketNotFound for a ticket that there is none of."""
    step(0, 2)
    detail = store.ticket(conn, int(name), limit=2000)
    step(1, 2)
    ticket, words = detail.ticket, visit.words
    photos = _photos(detail, visit.context.photos)
    blocks: list[Block] = [
        sheet.text(verdict(ticket.headline, words, visit.time).striptags()),
        sheet.facts("", _facts(detail, visit)),
        sheet.facts(
            words("chain.title"),
            [(words(f"chain.{key}"), said) for key, said in history.chain(detail, visit)],
        ),
        sheet.facts(
            words("solution.title"),
            [(words(f"solution.{key}"), said) for key, said in history.solution(ticket, visit)],
        ),
        _events(detail, visit),
        _activity(detail, visit),
    ]
    if photos:
        shown = [
            (one.sha256, f"{person_name(one.by, visit.plant)}, {visit.time.at(one.at_ns)}") for one in photos
        ]
        blocks.append(sheet.pictures(words("paper.photos"), [(f"{sha}.jpg", said) for sha, said in shown]))
    step(2, 2)
    return Sheet(
        title=f"{ticket.number} {condition_name(ticket.headline.condition, words)}",
        subtitle=asset_name(visit.plant.asset(ticket.asset), ticket.asset, words),
        blocks=[block for block in blocks if block.get("items") != [] and block.get("rows") != []],
        pictures={f"{one.sha256}.jpg": visit.context.photos / one.sha256 for one in photos},
    )


def _facts(detail: TicketDetail, visit: Visit) -> Sequence[tuple[str, str]]:
    ticket, words, time = detail.ticket, visit.words, visit.time
    asset = visit.plant.asset(ticket.asset)
    return [
        (words("paper.machine"), f"{asset_name(asset, ticket.asset, words)} ({ticket.asset})"),
        (words("dimension.model"), asset.model if asset and asset.model else "–"),
        (words("paper.serial"), asset.serial if asset and asset.serial else "–"),
        (words("dimension.component"), component_name(ticket.headline.component, words)),
        (words("paper.state"), words(f"state.{ticket.state}")),
        (words("dimension.priority"), words(f"priority.{ticket.priority}")),
        (words("paper.opened"), time.at(ticket.opened_ns)),
        (words("paper.resolved"), time.at(ticket.resolved_ns)),
        (words("paper.closed"), time.at(ticket.closed_ns)),
    ]


def _events(detail: TicketDetail, visit: Visit) -> Block:
    rows = [
        [visit.time.at(one.at_ns), one.what, one.numbers, one.rule]
        for one in (history.folded(each, visit) for each in detail.occurrences)
    ]
    heads = [visit.words(f"paper.{name}") for name in ("when", "what", "figure", "rule")]
    return sheet.listing(visit.words("paper.events"), heads, rows, wide=3)


def _activity(detail: TicketDetail, visit: Visit) -> Block:
    """The audit, oldest first, each line with who and when to the second."""
    rows = [
        [
            visit.time.at(one.at_ns),
            one.who,
            " ".join(filter(None, (one.did, one.moved))),
            "; ".join([*one.changes, one.reason]).strip("; "),
        ]
        for one in (history.deed(each, visit) for each in detail.events)
    ]
    heads = [visit.words(f"paper.{name}") for name in ("when", "who", "did", "why")]
    return sheet.listing(visit.words("paper.record"), heads, rows, wide=3)


def _photos(detail: TicketDetail, folder: Path) -> Sequence[Photo]:
    return [one for one in detail.photos if (folder / one.sha256).exists()][:_PICTURES]
