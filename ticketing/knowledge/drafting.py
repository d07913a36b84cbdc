"""On closing, a draft is drawn from the ticket into the edit pool (知识库编辑池, rule 48)."""

from dataclasses import replace

import msgspec
from sqlalchemy import select

from andon.events import HOUR_NS, Json
from andon.plant import Plant
from ticketing import requisitions
from ticketing.book import Book
from ticketing.knowledge import articles
from ticketing.knowledge.article import Article, ArticleState, drawn_from
from ticketing.requisitions import RequisitionState
from ticketing.tables import finding_evidence
from ticketing.tables import photo as photos
from ticketing.ticket import Ticket

RULE = "rule/knowledge"
_PARTS_OF_EVIDENCE = msgspec.json.Decoder(dict[str, Json])


def draw(book: Book, ticket: Ticket, plant: Plant) -> None:
    """A draft of what that ticket taught, for its reviewer; one of an earlier round that nobody reviewed is over."""
    earlier = articles.of_ticket(book.conn, ticket.id)
    if any(one.cycle == ticket.reopen_count for one in earlier):
        return
    for one in earlier:
        if one.state is ArticleState.DRAFT:
            over = replace(one, state=ArticleState.DISCARDED, version=one.version + 1, changed_ns=book.now_ns)
            articles.write(book, replace(over, note="reopened"), by=RULE, note="reopened")
    machine = plant.asset(ticket.asset)
    number = book.next_number("article")
    head = ticket.headline
    new = Article(
        id=number,
        number=f"KB-{number}",
        state=ArticleState.DRAFT,
        version=1,
        body=drawn_from(ticket, _attachments(book, ticket), _parts(book, ticket)),
        asset=ticket.asset,
        model=machine.model if machine else "",
        component=head.component,
        condition=head.condition,
        fault_type=ticket.fault_type,
        ticket=ticket.id,
        cycle=ticket.reopen_count,
        shared=False,
        created_ns=book.now_ns,
        changed_ns=book.now_ns,
        due_ns=book.now_ns + round(plant.closing.knowledge_within_h * HOUR_NS),
    )
    articles.write(book, new, by=RULE)


def _parts(book: Book, ticket: Ticket) -> list[str]:
    """The parts that the store issued for it."""
    asked = requisitions.of_ticket(book.conn, ticket.id)
    return [one.part for one in asked if one.state is RequisitionState.ISSUED]


def _attachments(book: Book, ticket: Ticket) -> list[str]:
    """The kinds of what the ticket shows: its photos, and what the machine's finding was drawn from."""
    evidence = select(finding_evidence.c.body).where(finding_evidence.c.finding == ticket.headline.finding)
    body = book.conn.execute(evidence).scalar()
    has_photo = book.conn.execute(
        select(photos.c.ticket).where(photos.c.ticket == ticket.id).limit(1)
    ).first()
    return [*(["photo"] if has_photo else []), *(sorted(_PARTS_OF_EVIDENCE.decode(body)) if body else [])]
