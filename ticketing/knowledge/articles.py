"""Articles in their tables: read, written with the version that each change makes, found by words and by what they are about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, delete, exists, func, or_, select
from sqlalchemy import update as sql_update

from andon.database import Machines, among, behind
from ticketing.book import Book
from ticketing.errors import DeedRefused
from ticketing.knowledge.article import Article, ArticleState, Body
from ticketing.knowledge.tables import article, article_version, article_word, citation
from ticketing.search import cut, more, wanted, words_of
from ticketing.sql import Row, to_json
from ticketing.tables import ticket as tickets

_STRINGS = msgspec.json.Decoder(tuple[str, ...])
_BODY = msgspec.json.Decoder(Body)
_LAST = "\U0010ffff"
MOST_PIECES = 12
"""So many pieces of what somebody looks for are looked up."""
_CITED = select(func.count()).where(citation.c.article == article.c.id).correlate(article).scalar_subquery()
_READ = select(article, _CITED.label("citations"))
_POOL_ORDER = (article.c.due_ns, article.c.id)
_NEWEST = (article.c.changed_ns.desc(), article.c.id.desc())


@dataclass(frozen=True, slots=True)
class ArticleVersion:
    """One version of an article as it was written: by whom, why, and what it became by it."""

    version: int
    at_ns: int
    by: str
    state: ArticleState
    note: str
    body: Body


@dataclass(frozen=True, slots=True)
class Cited:
    """A ticket that an article helped on."""

    ticket: int
    number: str
    asset: str
    by: str
    at_ns: int


def seen(machines: Machines) -> ColumnElement[bool]:
    """What may be read by who sees these machines: what is about them, and what was published for everybody."""
    for_all = and_(article.c.shared.is_(True), article.c.state == str(ArticleState.PUBLISHED))
    return or_(for_all, among(article.c.asset, machines))


def numbered(conn: Connection, article_id: int) -> Article:
    """That article; DeedRefused if there is none."""
    row = conn.execute(_READ.where(article.c.id == article_id)).mappings().first()
    if row is None:
        raise DeedRefused("article_not_found", f"there is no article {article_id}")
    return _of(row)


def of_ticket(conn: Connection, ticket_id: int) -> tuple[Article, ...]:
    """The articles drawn from a ticket, the newest round first."""
    rows = conn.execute(_READ.where(article.c.ticket == ticket_id).order_by(article.c.cycle.desc()))
    return tuple(_of(row) for row in rows.mappings())


def pool(
    conn: Connection, *, machines: Machines = None, limit: int = 100, after: Sequence[object] | None = None
) -> tuple[Article, ...]:
    """The edit pool: drafts whose ticket is still closed, the next due first."""
    c = article.c
    again = exists().where(tickets.c.id == c.ticket, tickets.c.reopen_count != c.cycle)
    wheres = (c.state == str(ArticleState.DRAFT), seen(machines), ~again, behind(_POOL_ORDER, after))
    return _all(conn, _READ.where(*wheres).order_by(*_POOL_ORDER).limit(limit))


def in_pool(conn: Connection, machines: Machines = None) -> int:
    """How many wait there."""
    wheres = (article.c.state == str(ArticleState.DRAFT), seen(machines))
    return conn.execute(select(func.count()).select_from(article).where(*wheres)).scalar_one()


def found(
    conn: Connection,
    text: str = "",
    *,
    state: ArticleState = ArticleState.PUBLISHED,
    machines: Machines = None,
    limit: int = 100,
    after: Sequence[object] | None = None,
) -> tuple[Article, ...]:
    """Articles in a state that hold all these words, the last by its beginning too; the newest first.

    Only published ones are indexed: with words nothing else is found.
    """
    wheres = [article.c.state == str(state), seen(machines), behind(_NEWEST, after)]
    words = words_of(text)
    pieces = wanted(words)[:MOST_PIECES]
    if words and not pieces:
        return ()
    wheres += [article.c.id.in_(_holding(piece, begins=begins)) for piece, begins in pieces]
    return _all(conn, _READ.where(*wheres).order_by(*_NEWEST).limit(limit))


def holding_any(conn: Connection, pieces: Iterable[str], limit: int) -> Mapping[int, int]:
    """Published articles that hold any of these words, with how many of them: those with the most."""
    some = list(dict.fromkeys(pieces))[: 4 * MOST_PIECES]
    if not some:
        return {}
    n = func.count()
    c = article_word.c
    rows = select(c.article, n).where(c.word.in_(some)).group_by(c.article).order_by(n.desc(), c.article)
    return {row[0]: row[1] for row in conn.execute(rows.limit(limit))}


def about(
    conn: Connection, wheres: Sequence[ColumnElement[bool]], machines: Machines, limit: int
) -> tuple[Article, ...]:
    """Published articles for which one of these is true, the most cited first."""
    if not wheres:
        return ()
    wanted_ = _READ.where(article.c.state == str(ArticleState.PUBLISHED), seen(machines), or_(*wheres))
    return _all(conn, wanted_.order_by(_CITED.desc(), article.c.id.desc()).limit(limit))


def versions(conn: Connection, article_id: int) -> tuple[ArticleVersion, ...]:
    """Every version, the newest first."""
    c = article_version.c
    rows = conn.execute(select(article_version).where(c.article == article_id).order_by(c.version.desc()))
    return tuple(
        ArticleVersion(
            row.version, row.at_ns, row.by, ArticleState(row.state), row.note, _BODY.decode(row.body)
        )
        for row in rows
    )


def cited_on(
    conn: Connection, article_id: int, machines: Machines = None, limit: int = 100
) -> tuple[Cited, ...]:
    """The tickets that it helped on, the newest first; of those that are seen."""
    c = citation.c
    wanted_ = (
        select(c.ticket, tickets.c.number, tickets.c.asset, c.by, c.at_ns)
        .join(tickets, tickets.c.id == c.ticket)
        .where(c.article == article_id, among(tickets.c.asset, machines))
        .order_by(c.at_ns.desc(), c.ticket.desc())
    )
    return tuple(Cited(*row) for row in conn.execute(wanted_.limit(limit)))


def cited_by(conn: Connection, ticket_id: int, machines: Machines = None) -> tuple[Article, ...]:
    """The articles that a ticket cites, as far as they may be read."""
    joined = _READ.join(citation, citation.c.article == article.c.id)
    wheres = (citation.c.ticket == ticket_id, seen(machines))
    return _all(conn, joined.where(*wheres).order_by(citation.c.at_ns))


def write(book: Book, new: Article, *, by: str, note: str = "") -> Article:
    """Store an article that is new or has changed, with the version that it became; its version must be one higher.

    DeedRefused (article_changed) if somebody else was faster.
    """
    row = _row(new)
    if new.version == 1:
        book.add(article, row)
    else:
        same = (article.c.id == new.id, article.c.version == new.version - 1)
        if book.conn.execute(sql_update(article).where(*same).values(**row)).rowcount != 1:
            raise changed_meanwhile(new)
    book.add(
        article_version,
        {
            "article": new.id,
            "version": new.version,
            "at_ns": book.now_ns,
            "by": by,
            "state": str(new.state),
            "note": note,
            "body": to_json(new.body),
        },
    )
    _index(book, new)
    return new


def changed_meanwhile(one: Article) -> DeedRefused:
    """Somebody else was faster."""
    return DeedRefused("article_changed", f"{one.number} has been changed meanwhile: look again")


def pieces_of(*texts: str) -> list[str]:
    """What texts are found by, cut as the index is, without single characters of Chinese."""
    return [piece for piece in cut(more("", *texts)) if len(piece) > 1]


def _index(book: Book, one: Article) -> None:
    """Keep the words true: those of a published article, and none of any other."""
    if one.version > 1:
        book.conn.execute(delete(article_word).where(article_word.c.article == one.id))
    if one.state is not ArticleState.PUBLISHED:
        return
    body = one.body
    said = more("", body.title, *body.keywords, body.problem, body.solution, one.model, one.number)
    for piece in cut(said):
        book.upsert(article_word, {"word": piece, "article": one.id}, ())


def _holding(piece: str, *, begins: bool) -> Select[tuple[int]]:
    c = article_word.c
    is_it = and_(c.word >= piece, c.word < piece + _LAST) if begins else c.word == piece
    return select(c.article).where(is_it)


def _all(conn: Connection, wanted_: Select[tuple[object, ...]]) -> tuple[Article, ...]:
    return tuple(_of(row) for row in conn.execute(wanted_).mappings())


_BODY_TEXTS = ("title", "problem", "solution", "cause")
_BODY_LISTS = ("keywords", "attachments")
_IN_BODY = frozenset({*_BODY_TEXTS, *_BODY_LISTS})


def _row(one: Article) -> Row:
    row: Row = {
        column.name: getattr(one, column.name) for column in article.columns if column.name not in _IN_BODY
    }
    row |= {name: getattr(one.body, name) for name in _BODY_TEXTS}
    row |= {name: to_json(getattr(one.body, name)) for name in _BODY_LISTS}
    return row | {"state": str(one.state)}


def _of(row: RowMapping) -> Article:
    texts = {name: row[name] for name in _BODY_TEXTS}
    keywords, attachments = (_STRINGS.decode(row[name]) for name in _BODY_LISTS)
    body = Body(**texts, keywords=keywords, attachments=attachments)
    others = {name: value for name, value in row.items() if name not in _IN_BODY}
    return Article(**{**others, "state": ArticleState(row["state"]), "body": body})
