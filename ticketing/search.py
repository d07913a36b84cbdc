"""Finding tickets by their words, open and closed alike, however many there are.

A word is found whole; the last by its beginning too, and all where that finds none; Chinese by any two characters that
stand together. The index is the database's own:
FTS5 on SQLite, a tsvector under GIN on PostgreSQL, both over words cut here, so that they find the same.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Table,
    Text,
    cast,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import DDLCompiler

from andon.database import Machines
from ticketing.sql import metadata
from ticketing.tables import of_machines

MOST = 500
"""So many of the newest closed tickets are looked at; who has more than that looks for more words."""
_LONGEST = 100_000
"""Characters of a ticket that are indexed."""
_MOST_PIECES = 24
"""Of a longer text only the first words are looked for."""
_PARTS = re.compile(r"[^\W_]+")
_PAIRED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
"""Scripts written without spaces: kana, Han, Hangul."""

ticket_words = Table(
    "ticket_words",
    metadata,
    Column("rowid", BigInteger, primary_key=True, autoincrement=False),
    Column("words", Text().with_variant(TSVECTOR, "postgresql"), nullable=False),
)
"""The index. On SQLite it holds no text (`content=''`), so that what is taken out has to be named once more."""
Index("ticket_words_found", ticket_words.c.words, postgresql_using="gin").ddl_if(dialect="postgresql")

FTS5 = (
    "CREATE VIRTUAL TABLE ticket_words USING "
    "fts5(words, content='', detail=none, tokenize='unicode61 remove_diacritics 0')"
)


@compiles(CreateTable, "sqlite")
def _create(element: CreateTable, compiler: DDLCompiler, **more: Any) -> str:
    if element.element is ticket_words:
        return FTS5
    made: str = compiler.visit_create_table(element, **more)  # type: ignore[no-untyped-call]
    return made


def more(so_far: str, *texts: str | None) -> str:
    """The words that a ticket is found by with those of these texts, in lower case, each once.

    >>> more("a-7 press", "Press 3", None, "SN-042")
    'a-7 press 3 sn-042'
    """
    said = unicodedata.normalize("NFKC", " ".join(one for one in texts if one)).lower()
    return " ".join(dict.fromkeys(f"{so_far} {said}".split()))[:_LONGEST]


def cut(words: str) -> list[str]:
    """What is indexed: letters and digits that stand together, Chinese in pairs and each last character alone.

    >>> cut("sn-042 密封失效 密封")
    ['sn', '042', '密封', '封失', '失效', '效', '封']
    """
    return list(dict.fromkeys(piece for part in _PARTS.findall(words) for piece in _pieces(part)))


def _pieces(part: str) -> Sequence[str]:
    found: list[str] = []
    at = 0
    for run in _PAIRED.finditer(part):
        found += [part[at : run.start()]] if run.start() > at else []
        signs = run[0]
        found += [*(signs[n : n + 2] for n in range(len(signs) - 1)), signs[-1]]
        at = run.end()
    return [*found, part[at:]] if at < len(part) else found


def wanted(words: Sequence[str]) -> list[tuple[str, bool]]:
    """What has to be in the index for all of these words, each with whether a beginning is enough.

    >>> wanted(["sn-04", "密封失"])
    [('sn', False), ('04', True), ('密封', False), ('封失', False)]
    """
    asked: dict[tuple[str, bool], None] = {}
    for word in words:
        parts = _PARTS.findall(word)
        for part in parts:
            pieces = list(_pieces(part))
            if len(pieces) > 1 and _PAIRED.fullmatch(pieces[-1]) and len(pieces[-2]) > 1:
                pieces.pop()  # its last character alone: the pair before it says more
            last = part is parts[-1]
            asked |= {(piece, last and piece is pieces[-1] and not _is_pair(piece)): None for piece in pieces}
    return list(asked)


def _is_pair(piece: str) -> bool:
    return len(piece) == 2 and _PAIRED.fullmatch(piece) is not None


def words_of(asked: str) -> list[str]:
    """What somebody looks for, as single words in the form in which tickets hold them."""
    return unicodedata.normalize("NFKC", asked).lower().split()


def index(conn: Connection, entries: Sequence[tuple[int, str | None, str]]) -> None:
    """Keep the index true: (ticket, its words before, its words now); None before: it is new."""
    changed = [(ticket, before, now) for ticket, before, now in entries if before != now]
    if not changed:
        return
    if conn.dialect.name == "postgresql":
        rows = [{"rowid": ticket, "words": " ".join(cut(now))} for ticket, _, now in changed]
        conn.execute(_PG, rows)
        return
    gone = [
        {"id": ticket, "words": " ".join(cut(before))} for ticket, before, _ in changed if before is not None
    ]
    if gone:
        conn.execute(_GONE, gone)
    conn.execute(_NEW, [{"id": ticket, "words": " ".join(cut(now))} for ticket, _, now in changed])


_GONE = text("INSERT INTO ticket_words (ticket_words, rowid, words) VALUES ('delete', :id, :words)")
_NEW = text("INSERT INTO ticket_words (rowid, words) VALUES (:id, :words)")
_PG = text(
    "INSERT INTO ticket_words (rowid, words) VALUES (:rowid, array_to_tsvector(string_to_array(:words, ' '))) "
    "ON CONFLICT (rowid) DO UPDATE SET words = excluded.words"
)


def newest(conn: Connection, words: Sequence[str], machines: Machines = None) -> Sequence[int]:
    """The newest tickets (`MOST` at most) that hold all of these words; none if nothing of them can be looked for.

    Of those `machines`, so that tickets that somebody does not see take nobody's place. A beginning is looked up by putting together what all words that begin so are on, which with a common one is half of
    all tickets; a whole word is only walked along. So whole words are looked for first. If they name as many tickets as
    are looked at, that is it; else the last word may go on; and all may, where that finds nothing.
    """
    pieces = wanted(words)
    last = words[-1:] and wanted(words[-1:])
    whole = [(piece, False) for piece, _ in pieces]
    typed = [(piece, begins and (piece, begins) in last) for piece, begins in pieces]
    found = _held(conn, whole, machines, MOST)
    if len(found) < MOST and typed != whole:
        found = _held(conn, typed, machines, MOST)
    if not found and pieces != typed:
        found = _held(conn, pieces, machines, MOST)
    return found


def holding_any(conn: Connection, pieces: Sequence[str], machines: Machines, limit: int) -> Sequence[int]:
    """The newest tickets that hold any of these words, cut as the index is."""
    return _held(conn, [(piece, False) for piece in pieces[:_MOST_PIECES]], machines, limit, every=False)


def _held(
    conn: Connection,
    pieces: Sequence[tuple[str, bool]],
    machines: Machines,
    limit: int,
    *,
    every: bool = True,
) -> Sequence[int]:
    """The newest that hold all of these, or any; each with whether a beginning is enough."""
    if not pieces:
        return ()
    if conn.dialect.name == "postgresql":
        join = " & " if every else " | "
        query = join.join(f"'{piece}'{':*' if begins else ''}" for piece, begins in pieces)
        holds = ticket_words.c.words.op("@@")(cast(literal(query), TSQUERY))
    else:
        join = " AND " if every else " OR "
        query = join.join(f'"{piece}"{"*" if begins else ""}' for piece, begins in pieces)
        holds = literal_column("ticket_words").op("MATCH")(query)
    number = ticket_words.c.rowid
    rows = select(number).where(holds, of_machines(number, machines)).order_by(number.desc()).limit(limit)
    return conn.execute(rows).scalars().all()
