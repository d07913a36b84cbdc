"""Which published articles may help on a ticket, each with why: same condition, fault, model, words in common."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection

from andon.database import Machines
from andon.events import Family
from andon.plant import Plant
from ticketing.knowledge.article import Article
from ticketing.knowledge.articles import about, holding_any, pieces_of
from ticketing.knowledge.similar import (
    OF_WORDS,
    SAME_CONDITION,
    SAME_FAULT,
    SAME_MODEL,
    phrases,
    said_pieces,
    same_condition,
)
from ticketing.knowledge.tables import article
from ticketing.ticket import Ticket

LOOKED_AT = 50
_A_WORD = 0.75
_SHOWN_WORDS = 5


@dataclass(frozen=True, slots=True)
class Suggested:
    """An article that may help. `why` are its likenesses to the ticket, `words` those in common."""

    article: Article
    score: float
    why: tuple[str, ...]
    words: tuple[str, ...] = ()


def suggested(conn: Connection, ticket: Ticket, plant: Plant, machines: Machines) -> list[Suggested]:
    """Published articles like what the ticket says, the most like it first, of those alike the most cited."""
    c = article.c
    said = said_pieces(ticket)
    wheres: list[ColumnElement[bool]] = []
    if ticket.headline.family is not Family.REPORT:
        wheres.append(c.condition == ticket.headline.condition)
    elif ticket.fault_type:
        wheres.append(c.fault_type == ticket.fault_type)
    if held := holding_any(conn, said, LOOKED_AT):
        wheres.append(c.id.in_(sorted(held)))
    found = _weighed(ticket, plant, said, about(conn, wheres, machines, LOOKED_AT))
    return sorted(found, key=lambda one: (-one.score, -one.article.citations, -one.article.id))


def _weighed(
    ticket: Ticket, plant: Plant, said: Sequence[str], found: Sequence[Article]
) -> Iterator[Suggested]:
    machine = plant.asset(ticket.asset)
    model = machine.model if machine else ""
    reported = ticket.headline.family is Family.REPORT and bool(ticket.fault_type)
    for one in found:
        body = one.body
        held = frozenset(said) & frozenset(pieces_of(body.title, *body.keywords, body.problem, body.solution))
        words = phrases(ticket.description, held)
        weights = {
            "condition": SAME_CONDITION
            if same_condition(ticket.headline, one.condition, one.component)
            else 0.0,
            "fault": SAME_FAULT if reported and one.fault_type == ticket.fault_type else 0.0,
            "words": min(OF_WORDS, _A_WORD * len(held)) if words else 0.0,
        }
        if not any(weights.values()) or one.ticket == ticket.id:
            continue
        weights["model"] = SAME_MODEL if model and one.model == model else 0.0
        why = sorted((name for name, weight in weights.items() if weight), key=lambda name: -weights[name])
        yield Suggested(one, round(sum(weights.values()), 3), tuple(why), words[:_SHOWN_WORDS])
