"""What people do in the edit pool: write, review, publish, merge, discard, withdraw; and cite an article on a ticket.

Whoever reviews a draft does what closing its ticket left to do: the ticket's knowledge obligation is met by it (rule 34).
"""

from collections.abc import Collection
from dataclasses import replace

from andon.events import HOUR_NS
from andon.plant import Plant
from ticketing.book import Book
from ticketing.causes import causes_of
from ticketing.deeds import Doer
from ticketing.errors import DeedRefused, Missing, NoEdge, StepRefused
from ticketing.knowledge import articles
from ticketing.knowledge.article import EDITABLE, REVIEWABLE, Article, ArticleState, Body, wrong_with
from ticketing.knowledge.tables import citation
from ticketing.obligations import Owed, fulfil, owed_now
from ticketing.stepping import lock
from ticketing.ticket import NOT_A_FAILURE
from ticketing.vague import is_vague


def write(by: Doer, plant: Plant, body: Body, *, asset: str = "", component: str = "") -> Article:
    """Put down what no ticket taught: a draft about a machine, or about none."""
    if not body.title.strip():
        raise StepRefused("write", ArticleState.DRAFT, [Missing("title")])
    machine = plant.asset(asset)
    with by.tickets.transaction(by.now_ns) as book:
        number = book.next_number("article")
        new = Article(
            id=number,
            number=f"KB-{number}",
            state=ArticleState.DRAFT,
            version=1,
            body=body,
            asset=asset,
            model=machine.model if machine else "",
            component=component,
            condition="",
            fault_type=None,
            ticket=None,
            cycle=None,
            shared=False,
            created_ns=by.now_ns,
            changed_ns=by.now_ns,
            due_ns=by.now_ns + round(plant.closing.knowledge_within_h * HOUR_NS),
        )
        return articles.write(book, new, by=by.actor)


def edit(by: Doer, plant: Plant, article_id: int, *, version: int, body: Body, note: str = "") -> Article:
    """Write it anew: a draft as it comes, what is published only so that it could be published."""
    with by.tickets.transaction(by.now_ns) as book:
        one = _look(book, article_id, version, "edit", EDITABLE)
        if one.state is ArticleState.PUBLISHED and (wrong := wrong_with(body, causes_of(plant))):
            raise StepRefused("edit", one.state, wrong)
        kept = replace(body, attachments=one.body.attachments)
        return _turn(book, one, by, one.state, note=note, body=kept)


def publish(by: Doer, plant: Plant, article_id: int, *, version: int, shared: bool) -> Article:
    """It is reviewed: from now on it is found, suggested and cited; by everybody if it is `shared`."""
    with by.tickets.transaction(by.now_ns) as book:
        one = _look(book, article_id, version, "publish", REVIEWABLE)
        if wrong := wrong_with(one.body, causes_of(plant)):
            raise StepRefused("publish", one.state, wrong)
        new = _turn(book, one, by, ArticleState.PUBLISHED, shared=shared, reviewed=True)
        _done(book, new, by, new.number)
        return new


def merge(by: Doer, article_id: int, *, version: int, into: int) -> Article:
    """It says what a published article says: that one is cited by its ticket, and nothing is told twice."""
    with by.tickets.transaction(by.now_ns) as book:
        one = _look(book, article_id, version, "merge", REVIEWABLE)
        other = articles.numbered(book.conn, into)
        if other.id == one.id or other.state is not ArticleState.PUBLISHED:
            raise StepRefused("merge", one.state, [Missing("into", "not_published")])
        new = _turn(
            book, one, by, ArticleState.MERGED, note=other.number, reviewed=True, merged_into=other.id
        )
        if one.ticket is not None:
            _cite(book, one.ticket, other, by)
        _done(book, new, by, other.number)
        return new


def discard(by: Doer, article_id: int, *, version: int, reason: str) -> Article:
    """Nothing is to be learned from it, and why."""
    with by.tickets.transaction(by.now_ns) as book:
        one = _look(book, article_id, version, "discard", {ArticleState.DRAFT})
        new = _turn(book, one, by, ArticleState.DISCARDED, note=_said(one, "discard", reason), reviewed=True)
        _done(book, new, by, reason.strip())
        return new


def withdraw(by: Doer, article_id: int, *, version: int, reason: str) -> Article:
    """It is not to be followed any more, and why; its citations stay counted."""
    with by.tickets.transaction(by.now_ns) as book:
        one = _look(book, article_id, version, "withdraw", {ArticleState.PUBLISHED})
        return _turn(book, one, by, ArticleState.WITHDRAWN, note=_said(one, "withdraw", reason))


def cite(by: Doer, ticket_id: int, article_id: int) -> Article:
    """It helped on this ticket: counted once, however often it is said (rule 50)."""
    with by.tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        ticket = book.ticket(ticket_id)
        if ticket.closure in NOT_A_FAILURE:
            raise NoEdge(ticket.state, "cite", ())
        one = articles.numbered(book.conn, article_id)
        if one.state is not ArticleState.PUBLISHED:
            raise StepRefused("cite", one.state, [Missing("article", "not_published")])
        if one.ticket == ticket_id:
            raise StepRefused("cite", one.state, [Missing("article", "own")])
        _cite(book, ticket_id, one, by)
    with by.tickets.looking() as conn:
        return articles.numbered(conn, article_id)


def _cite(book: Book, ticket_id: int, one: Article, by: Doer) -> None:
    lock(book.conn, ticket_id)
    if any(known.id == one.id for known in articles.cited_by(book.conn, ticket_id)):
        return
    row = {"ticket": ticket_id, "article": one.id, "by": by.actor, "at_ns": book.now_ns}
    book.upsert(citation, row, ())
    book.record(
        book.ticket(ticket_id), action="cited", actor=by.actor, channel=by.channel, evidence=(one.number,)
    )


def _look(book: Book, article_id: int, version: int, step: str, states: Collection[ArticleState]) -> Article:
    """The article, if it is as the caller saw it, may be so treated, and its ticket was not opened again."""
    one = articles.numbered(book.conn, article_id)
    if one.ticket is not None:
        lock(book.conn, one.ticket)
    if one.version != version:
        raise articles.changed_meanwhile(one)
    if one.state not in states:
        raise NoEdge(one.state, step, ())
    if step == "publish" and one.ticket is not None and book.ticket(one.ticket).reopen_count != one.cycle:
        raise DeedRefused(
            "ticket_reopened",
            f"{book.ticket(one.ticket).number} has been opened again: what was done did not hold",
        )
    return one


def _turn(
    book: Book,
    one: Article,
    by: Doer,
    state: ArticleState,
    *,
    note: str = "",
    body: Body | None = None,
    shared: bool | None = None,
    merged_into: int | None = None,
    reviewed: bool = False,
) -> Article:
    new = replace(
        one,
        state=state,
        version=one.version + 1,
        changed_ns=book.now_ns,
        note=note.strip(),
        body=one.body if body is None else body,
        shared=one.shared if shared is None else shared,
        merged_into=merged_into,
    )
    new = replace(new, reviewer=by.actor, reviewed_ns=book.now_ns) if reviewed else new
    return articles.write(book, new, by=by.actor, note=note.strip())


def _said(one: Article, step: str, reason: str) -> str:
    if not reason.strip() or is_vague(reason):
        raise StepRefused(step, one.state, [Missing("reason", "vague" if reason.strip() else "absent")])
    return reason.strip()


def _done(book: Book, one: Article, by: Doer, note: str) -> None:
    """What closing the ticket left to do is done by this, if it was not before."""
    if one.ticket is None:
        return
    ticket = book.ticket(one.ticket)
    if owed_now(book.conn, ticket.id, Owed.KNOWLEDGE):
        fulfil(book, ticket, Owed.KNOWLEDGE, note=note, actor=by.actor, channel=by.channel)
