"""Declared maintenance holds a machine's alarms as well: one word of a person for its detectors and for its tickets."""

from collections.abc import Sequence

from sqlalchemy import Connection

from andon.events import Declaration, Declared
from andon.rules.suppression import Matcher
from ticketing import suppressions
from ticketing.book import Book
from ticketing.suppression import Suppression, SuppressionKind


def take(conn: Connection, declared: Sequence[Declaration], now_ns: int) -> None:
    """Begin or end what a batch declares, in its transaction; what was held is looked at when maintenance is over."""
    words = [one for one in declared if one.what in {Declared.MAINTENANCE_BEGINS, Declared.MAINTENANCE_ENDS}]
    if not words:
        return
    book = Book(conn, now_ns)
    for said in words:
        standing = _standing(book, said.asset)
        if said.what is Declared.MAINTENANCE_ENDS:
            for one in standing:
                suppressions.end(book, one.id, actor=said.by, reason=said.note or str(said.what))
        elif not standing:
            suppressions.begin(
                book,
                Suppression(
                    id=0,
                    kind=SuppressionKind.MAINTENANCE_WINDOW,
                    matcher=Matcher(asset=said.asset),
                    starts_ns=min(said.at_ns, now_ns),
                    ends_ns=None,
                    reason=said.note or str(said.what),
                    owner=said.by,
                    origin=suppressions.DECLARED,
                ),
            )
    book.save()


def _standing(book: Book, asset: str) -> Sequence[Suppression]:
    known = suppressions.active(book.conn, book.now_ns)
    mine = (one for one in known if one.origin == suppressions.DECLARED and one.ended_ns is None)
    return [one for one in mine if one.matcher.asset == asset]
