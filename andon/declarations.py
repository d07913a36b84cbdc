"""What people declare about machines: asked for in the store, taken from there into the stream, settled in its batch.

Who asks writes a row in a transaction of their own; the engine journals it as a DECLARATION record, whose batch notes
in the row where it stands. The journal is the truth: history that is told again makes the rows anew.
"""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)

from andon.database import behind, number_past
from andon.events import Declaration, Declared
from andon.plant import Plant
from andon.ports import Record, RecordKind

NAME_MAX, NOTE_MAX = 200, 4000
metadata = MetaData()

declarations = Table(
    "declaration",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("asked_ns", BigInteger, nullable=False),
    Column("asset", Text, nullable=False),
    Column("component", Text),
    Column("what", String(24), nullable=False),
    Column("by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("ticket", String(24)),
    Column("at_ns", BigInteger),
    Column("position", BigInteger),
    sqlite_autoincrement=True,  # a number that was journaled is never given again
)
Index("declaration_by_asset", declarations.c.asset, declarations.c.id)
Index("declaration_asked", declarations.c.position)
_MAINTENANCE = (Declared.MAINTENANCE_BEGINS, Declared.MAINTENANCE_ENDS)


class DeclarationRefused(Exception):
    """What cannot be declared; `code` is stable, the text says why and what to do."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Entry:
    """One declaration with who asked for it. `at_ns` and `position` (in the engine's journal) are None until it is taken."""

    id: int
    asked_ns: int
    asset: str
    component: str | None
    what: Declared
    by: str
    note: str
    ticket: str | None
    at_ns: int | None = None
    position: int | None = None

    @property
    def since_ns(self) -> int:
        """From when on it holds, as far as is known."""
        return self.asked_ns if self.at_ns is None else self.at_ns


def check(plant: Plant, asset: str, component: str | None, what: Declared) -> None:
    """DeclarationRefused, with what was probably meant, if the plant knows no such asset or component."""
    found = plant.asset(asset)
    if found is None:
        ids = [one.id for one in plant.assets]
        raise DeclarationRefused("unknown_asset", f"there is no asset {asset[:64]!r}{_meant(asset, ids)}")
    if component is None:
        return
    if what in _MAINTENANCE:
        raise DeclarationRefused(
            "maintenance_is_whole", "maintenance is of the whole asset: leave out the component"
        )
    components = dict.fromkeys(point.component for point in found.points)
    if component not in components:
        raise DeclarationRefused(
            "unknown_component", f"{asset} has no component {component[:64]!r}{_meant(component, components)}"
        )


def _meant(given: str, known: Iterable[str]) -> str:
    names = list(known)
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(given.casefold(), folded, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {folded[near[0]]!r}?"
    return f"; there is: {', '.join(names[:20])}" if names else "; it has none"


def ask(
    conn: Connection,
    *,
    asset: str,
    what: Declared,
    by: str,
    now_ns: int,
    component: str | None = None,
    note: str = "",
    ticket: str | None = None,
) -> Entry:
    """Ask the engine to take this, in the caller's transaction; DeclarationRefused if it contradicts what stands."""
    by, note = by.strip(), note.strip()
    names = [name for name in (asset, component, by) if name is not None]
    unreadable = any("\0" in text for text in (*names, note))
    if unreadable or not all(0 < len(name) <= NAME_MAX for name in names) or len(note) > NOTE_MAX:
        raise DeclarationRefused(
            "declaration_unusable",
            f"asset, component and who declares it have 1 to {NAME_MAX} characters, the note {NOTE_MAX} at most",
        )
    if what in _MAINTENANCE:
        began = maintained(conn, asset).get(asset)
        if what is Declared.MAINTENANCE_BEGINS and began is not None:
            raise DeclarationRefused(
                "maintenance_begun", f"maintenance of {asset} has begun already, declared by {began.by}"
            )
        if what is Declared.MAINTENANCE_ENDS and began is None:
            raise DeclarationRefused("maintenance_not_begun", f"no maintenance of {asset} has begun")
    row = {"asked_ns": now_ns, "asset": asset, "component": component, "what": str(what)}
    row |= {"by": by, "note": note, "ticket": ticket}
    found = conn.execute(insert(declarations).values(row).returning(declarations.c.id))
    return Entry(found.scalar_one(), now_ns, asset, component, what, by, note, ticket)


def asked(conn: Connection, limit: int) -> list[Entry]:
    """Those that the engine has not taken, in the order in which they were asked for."""
    due = select(declarations).where(declarations.c.position.is_(None))
    return _entries(conn, due.order_by(declarations.c.id).limit(limit))


def record(entry: Entry, now_ns: int) -> Record:
    """The DECLARATION record of an entry."""
    said = {
        name: getattr(entry, name) for name in ("id", "asset", "component", "what", "by", "note", "ticket")
    }
    return Record(RecordKind.DECLARATION, now_ns, b"", json.dumps(said).encode())


def settle(conn: Connection, declared: Sequence[Declaration]) -> None:
    """Note where these stand in the stream, in the transaction of their batch."""
    for one in declared:
        taken = {"at_ns": one.at_ns, "position": one.origin.position}
        known = update(declarations).where(declarations.c.id == one.id).values(taken)
        if conn.execute(known).rowcount == 0:  # history told again: nobody asked here
            said = {name: getattr(one, name) for name in ("id", "asset", "component", "by", "note", "ticket")}
            said |= {"what": str(one.what), "asked_ns": one.at_ns}
            conn.execute(insert(declarations).values(said | taken))
            number_past(conn, declarations)


def recent(
    conn: Connection, limit: int, asset: str = "", after: Sequence[object] | None = None
) -> list[Entry]:
    """The latest, newest first, of one asset or of all."""
    order = (declarations.c.id.desc(),)
    newest = select(declarations).where(behind(order, after)).order_by(*order).limit(limit)
    return _entries(conn, newest.where(declarations.c.asset == asset) if asset else newest)


def maintained(conn: Connection, *assets: str) -> Mapping[str, Entry]:
    """The beginning of the maintenance that stands, by asset; of these assets, or of all."""
    wanted: list[ColumnElement[bool]] = [declarations.c.what.in_([str(what) for what in _MAINTENANCE])]
    if assets:
        wanted.append(declarations.c.asset.in_(assets))
    last = {
        entry.asset: entry
        for entry in _entries(conn, select(declarations).where(*wanted).order_by(declarations.c.id))
    }
    return {asset: entry for asset, entry in last.items() if entry.what is Declared.MAINTENANCE_BEGINS}


def _entries(conn: Connection, query: object) -> list[Entry]:
    rows = conn.execute(query).mappings()  # type: ignore[call-overload]
    return [Entry(**{**row, "what": Declared(row["what"])}) for row in rows]
