"""Knowledge over REST: the edit pool, published articles and their versions, citations, and what was like a ticket."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from api.answers import plain
from api.closing import doer
from api.paging import PagingOf
from api.places import SightOf, must_see
from api.rights import NoRight, needs
from api.steps import Name, Text
from api.visit import ContextOf, Visit, VisitOf
from ticketing import store
from ticketing.knowledge import articles, pool
from ticketing.knowledge.article import KEYWORD_CHARACTERS, KEYWORDS, ArticleState, Body
from ticketing.knowledge.similar import Alike, alike, came_back
from ticketing.knowledge.suggesting import suggested

router = APIRouter(tags=["knowledge"])
SHOWN = 5
"""Tickets and articles that a ticket is told of."""
LEAST = 1.5
"""Less than this is a word in common by chance."""
Keyword = Annotated[str, Field(min_length=1, max_length=KEYWORD_CHARACTERS)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Versioned(_Asked):
    """The version that was decided on."""

    version: int = Field(ge=1)


class Words(_Asked):
    """What an article says; `cause` is the code of a root cause."""

    title: Annotated[str, Field(max_length=200)] = ""
    problem: Text = ""
    solution: Text = ""
    keywords: Annotated[tuple[Keyword, ...], Field(max_length=3 * KEYWORDS)] = ()
    cause: Annotated[str, Field(max_length=16)] = ""

    def body(self) -> Body:
        """The same as an article holds it."""
        said = self.model_dump(include={"title", "problem", "solution", "keywords"})
        return Body(**said, cause=self.cause or None)


class Written(Words):
    """A new article, about a machine or none."""

    asset: Name = ""


class Edited(Words, Versioned):
    """An article written anew, and why."""

    note: Text = ""


class Published(Versioned):
    """`shared`: everybody of the plant may read it, and not only who sees its machine."""

    shared: bool = False


class Merged(Versioned):
    """Into which published article."""

    into: int


class WithReason(Versioned):
    """Why."""

    reason: Text = ""


class Citing(_Asked):
    """Which article helped."""

    article: int


@router.get("/articles", dependencies=[needs(Right.READ)])
def found(
    context: ContextOf,
    sight: SightOf,
    page: PagingOf,
    text: Annotated[str, Query(max_length=200)] = "",
    state: ArticleState = ArticleState.PUBLISHED,
) -> Response:
    """Articles in a state that hold all these words, the newest first; only published ones are found by words."""
    after = page.behind(int, int)
    with context.tickets.looking() as conn:
        some = articles.found(conn, text, state=state, machines=sight.assets, limit=page.probe, after=after)
    return page.answer(some, plain, lambda one: (one.changed_ns, one.id))


@router.get("/articles/pool", dependencies=[needs(Right.READ)])
def edit_pool(context: ContextOf, sight: SightOf, page: PagingOf) -> Response:
    """The edit pool: drafts of closed tickets that wait for a review, the next due first."""
    after = page.behind(int, int)
    with context.tickets.looking() as conn:
        some = articles.pool(conn, machines=sight.assets, limit=page.probe, after=after)
    return page.answer(some, plain, lambda one: (one.due_ns or 0, one.id))


@router.post("/articles", status_code=201, dependencies=[needs(Right.WORK)])
def write(visit: VisitOf, written: Written) -> Response:
    """Put down what no ticket taught: a draft in the edit pool."""
    if written.asset:
        visit.sight.must_see(written.asset)
    made = pool.write(doer(visit), visit.plant, written.body(), asset=written.asset)
    return JSONResponse(plain(made), 201)


@router.get("/articles/{article_id}", dependencies=[needs(Right.READ)])
def article(context: ContextOf, sight: SightOf, article_id: int) -> Response:
    """One article with its versions, the newest first, and the tickets that it helped on."""
    with context.tickets.looking() as conn:
        one = plain(articles.numbered(conn, article_id))
        versions = plain(articles.versions(conn, article_id))
        cited = plain(articles.cited_on(conn, article_id, sight.assets))
    return JSONResponse({**one, "versions": versions, "cited_on": cited})


@router.post("/articles/{article_id}/edit", dependencies=[needs(Right.ANALYSE)])
def edit(visit: VisitOf, article_id: int, edited: Edited) -> Response:
    """Write it anew: what is published only so that it could be published."""
    body = edited.body()
    made = pool.edit(
        doer(visit), visit.plant, article_id, version=edited.version, body=body, note=edited.note
    )
    return JSONResponse(plain(made))


@router.post("/articles/{article_id}/publish", dependencies=[needs(Right.ANALYSE)])
def publish(visit: VisitOf, article_id: int, published: Published) -> Response:
    """It is reviewed; what closing its ticket left to do is done by this."""
    may_share(visit, shared=published.shared)
    made = pool.publish(doer(visit), visit.plant, article_id, **published.model_dump())
    return JSONResponse(plain(made))


@router.post("/articles/{article_id}/merge", dependencies=[needs(Right.ANALYSE)])
def merge(visit: VisitOf, article_id: int, merged: Merged) -> Response:
    """It says what a published one says, which its ticket then cites."""
    must_see(visit.context, visit.sight, "article_id", merged.into)
    return JSONResponse(plain(pool.merge(doer(visit), article_id, **merged.model_dump())))


@router.post("/articles/{article_id}/discard", dependencies=[needs(Right.ANALYSE)])
def discard(visit: VisitOf, article_id: int, why: WithReason) -> Response:
    """Nothing is to be learned from it, and why."""
    return JSONResponse(plain(pool.discard(doer(visit), article_id, **why.model_dump())))


@router.post("/articles/{article_id}/withdraw", dependencies=[needs(Right.ANALYSE)])
def withdraw(visit: VisitOf, article_id: int, why: WithReason) -> Response:
    """It is not to be followed any more, and why."""
    return JSONResponse(plain(pool.withdraw(doer(visit), article_id, **why.model_dump())))


@router.post("/tickets/{ticket_id}/citations", status_code=201, dependencies=[needs(Right.WORK)])
def cite(visit: VisitOf, ticket_id: int, citing: Citing) -> Response:
    """An article helped on this ticket: counted once."""
    must_see(visit.context, visit.sight, "article_id", citing.article)
    return JSONResponse(plain(pool.cite(doer(visit), ticket_id, citing.article)), 201)


@router.get("/tickets/{ticket_id}/alike", dependencies=[needs(Right.READ)])
def like(visit: VisitOf, ticket_id: int) -> Response:
    """Solved tickets like this one and what fixed them, articles that may help, those it cites; each says why."""
    seen = visit.sight.assets
    with visit.context.tickets.looking() as conn:
        ticket = store.ticket(conn, ticket_id, limit=1).ticket
        shown = told(alike(conn, ticket, visit.plant, seen))
        back = came_back(conn, shown)
        known = suggested(conn, ticket, visit.plant, seen)[:SHOWN]
        cited = articles.cited_by(conn, ticket_id, seen)
    return JSONResponse(
        {
            "tickets": [plain(replace(one, came_back=one.ticket in back)) for one in shown],
            "articles": [plain(one) for one in known],
            "cited": [plain(one) for one in cited],
        }
    )


def told(found: list[Alike]) -> list[Alike]:
    """Those that were the same trouble, as many as are shown; of other troubles of the machine nothing is said."""
    return [one for one in found if one.same_trouble and one.score >= LEAST][:SHOWN]


def may_share(visit: Visit, *, shared: bool) -> None:
    """NoRight for who is bound to places: they publish for those who see the machine, not for the whole plant."""
    if shared and visit.sight.assets is not None:
        raise NoRight(Right.ANALYSE, everywhere=True)
