"""A batch of the product is kept back, and the lots that it was made with: asked for by one, decided by another (rule 56).

Asked for -> frozen -> its release asked for -> released; refused, it is what it was before. While a batch is frozen, also
while its release is only asked for, none of its lots is handed out (`ticketing.quality.holds`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from andon.database import behind
from andon.plant import Plant
from ticketing.book import Book
from ticketing.errors import DeedRefused, Missing, NoEdge, StepRefused
from ticketing.parts.tables import part_lot
from ticketing.problem_clock import quality
from ticketing.problem_store import look
from ticketing.quality.news import Line, News, note_on, tell
from ticketing.quality.tables import batch, batch_event, batch_lot
from ticketing.stepping import entitled
from ticketing.vague import is_vague


class BatchState(StrEnum):
    """How a batch stands; HELD is both FROZEN and RELEASE_ASKED."""

    FREEZE_ASKED = "freeze_asked"
    FROZEN = "frozen"
    RELEASE_ASKED = "release_asked"
    RELEASED = "released"
    REFUSED = "refused"


class Deed(StrEnum):
    """What is done to a batch; the first opens one."""

    ASK_FREEZE = "ask_freeze"
    FREEZE = "freeze"
    REFUSE_FREEZE = "refuse_freeze"
    ASK_RELEASE = "ask_release"
    RELEASE = "release"
    REFUSE_RELEASE = "refuse_release"


_B = BatchState
HELD = frozenset({_B.FROZEN, _B.RELEASE_ASKED})
EDGES: Mapping[tuple[BatchState, Deed], BatchState] = {
    (_B.FREEZE_ASKED, Deed.FREEZE): _B.FROZEN,
    (_B.FREEZE_ASKED, Deed.REFUSE_FREEZE): _B.REFUSED,
    (_B.FROZEN, Deed.ASK_RELEASE): _B.RELEASE_ASKED,
    (_B.RELEASE_ASKED, Deed.RELEASE): _B.RELEASED,
    (_B.RELEASE_ASKED, Deed.REFUSE_RELEASE): _B.FROZEN,
}
"""(state, deed) -> state. What is not here is no edge."""
DECISIONS = frozenset(Deed) - {Deed.ASK_FREEZE, Deed.ASK_RELEASE}


@dataclass(frozen=True, slots=True)
class Lot:
    """A lot of a part, as the store knows it."""

    part: str
    lot: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch with the lots of parts that it was made with. `reason` is why it was frozen."""

    id: int
    code: str
    problem: int
    state: BatchState
    reason: str
    asked_by: str
    asked_ns: int
    frozen_by: str | None = None
    frozen_ns: int | None = None
    ended_by: str | None = None
    ended_ns: int | None = None
    version: int = 1
    lots: tuple[Lot, ...] = ()

    @property
    def number(self) -> str:
        """As people call it."""
        return f"FZ-{self.id}"

    @property
    def held(self) -> bool:
        """Whether its lots are kept back."""
        return self.state in HELD


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """One line of what was done to a batch."""

    batch: int
    seq: int
    at_ns: int
    actor: str
    action: str
    to_state: BatchState
    reason: str


def ask_freeze(
    book: Book,
    plant: Plant,
    problem_id: int,
    *,
    code: str,
    lots: Sequence[Lot],
    reason: str,
    actor: str,
    channel: str,
) -> Batch:
    """Ask for a batch to be frozen, from the root-cause task that found it out; those who decide are told.

    A rule asks like a person does: metric K8 out of bounds comes as actor "rule/K8".

    Raises
    ------
    ProblemNotFound, StepRefused
        There is no such task; or `code`, `lots` or `reason` is missing, or a lot is not known to the store.
    DeedRefused
        A batch of that code is held, or asked to be, already ("batch_held").
    """
    problem = look(book.conn, problem_id)
    wanted = tuple(dict.fromkeys(lots))
    missing = [
        Missing(name) for name, there in (("code", code.strip()), ("lots", wanted)) if not there
    ] + _words(reason)
    missing += [Missing("lots", f"unknown: {one.part}/{one.lot}") for one in _strange(book.conn, wanted)]
    if missing:
        raise StepRefused(Deed.ASK_FREEZE, "none", missing)
    live = {_B.FREEZE_ASKED, *HELD}
    other = next((one for one in _read(book.conn, batch.c.code == code.strip()) if one.state in live), None)
    if other is not None:
        raise DeedRefused("batch_held", f"{other.number}: batch {other.code} is {other.state} already")
    new = Batch(
        book.next_number("batch"),
        code.strip(),
        problem.id,
        _B.FREEZE_ASKED,
        reason.strip(),
        actor,
        book.now_ns,
        lots=wanted,
    )
    row = {name: getattr(new, name) for name in ("id", "code", "problem", "reason", "asked_by", "asked_ns")}
    book.conn.execute(insert(batch).values(**row, state=str(new.state), version=1))
    rows = [{"batch": new.id, "part": one.part, "lot": one.lot} for one in wanted]
    book.conn.execute(insert(batch_lot), rows)
    _note(book, plant, new, Deed.ASK_FREEZE, Line("", actor, channel, reason.strip()))
    return new


def decide(
    book: Book,
    plant: Plant,
    batch_id: int,
    deed: Deed,
    *,
    version: int,
    reason: str,
    actor: str,
    channel: str,
) -> Batch:
    """Freeze, ask for the release, release, or refuse either; gives the batch as it then is.

    Raises
    ------
    DeedRefused
        There is no such batch; someone else was faster ("batch_moved"); who decides asked for it ("own_approval"), or
        has none of the roles `quality.freezers` ("not_an_approver").
    NoEdge, StepRefused
        That cannot be done as it stands; no reason is said.
    """
    before = numbered(book.conn, batch_id)
    if (before.state, deed) not in EDGES:
        raise NoEdge(before.state, deed, [str(one) for state, one in EDGES if state is before.state])
    if before.version != version:
        raise DeedRefused(
            "batch_moved", f"{before.number} is at version {before.version}, not {version}: look again"
        )
    missing = _words(reason)
    if missing:
        raise StepRefused(deed, before.state, missing)
    if deed in DECISIONS:
        _must_decide(plant, before, actor)
    after = _after(before, deed, actor, book.now_ns)
    row = {name: getattr(after, name) for name in _MOVED}
    book.conn.execute(update(batch).where(batch.c.id == before.id).values(**row, state=str(after.state)))
    _note(book, plant, after, deed, Line("", actor, channel, reason.strip()))
    return after


def numbered(conn: Connection, batch_id: int) -> Batch:
    """That batch; DeedRefused if there is none."""
    found = _read(conn, batch.c.id == batch_id)
    if not found:
        raise DeedRefused("batch_not_found", f"there is no batch {batch_id}")
    return found[0]


def batches(
    conn: Connection,
    state: BatchState | None = None,
    *,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> tuple[Batch, ...]:
    """Batches in a state, or all, the newest first."""
    order = (batch.c.id.desc(),)
    wanted = [behind(order, after)] + ([batch.c.state == str(state)] if state is not None else [])
    return _read(conn, *wanted, limit=limit)


def of_problem(conn: Connection, problem_id: int) -> tuple[Batch, ...]:
    """The batches that a task asked to be frozen, the newest first."""
    return _read(conn, batch.c.problem == problem_id)


def events(conn: Connection, batch_id: int) -> tuple[BatchEvent, ...]:
    """What was done to it, the first line first."""
    c = batch_event.c
    lines = conn.execute(select(batch_event).where(c.batch == batch_id).order_by(c.seq)).mappings()
    return tuple(BatchEvent(**{**row, "to_state": BatchState(row["to_state"])}) for row in lines)


_MOVED = ("asked_by", "asked_ns", "frozen_by", "frozen_ns", "ended_by", "ended_ns", "version")


def _after(before: Batch, deed: Deed, actor: str, now_ns: int) -> Batch:
    after = replace(before, state=EDGES[before.state, deed], version=before.version + 1)
    if deed is Deed.FREEZE:
        return replace(after, frozen_by=actor, frozen_ns=now_ns)
    if deed is Deed.ASK_RELEASE:
        return replace(after, asked_by=actor, asked_ns=now_ns)
    ends = deed in {Deed.RELEASE, Deed.REFUSE_FREEZE}
    return replace(after, ended_by=actor, ended_ns=now_ns) if ends else after


def _must_decide(plant: Plant, one: Batch, actor: str) -> None:
    allowed = entitled(plant, plant.quality.freezers)
    if actor == one.asked_by:
        raise DeedRefused("own_approval", "who asks cannot decide: another person has to")
    if allowed is not None and actor not in allowed:
        raise DeedRefused(
            "not_an_approver", f"{actor} may not decide; these may: {', '.join(sorted(allowed))}"
        )


def _note(book: Book, plant: Plant, one: Batch, deed: Deed, said: Line) -> None:
    """A line in the batch's own record and in the task's audit, and a message."""
    c = batch_event.c
    last = book.conn.execute(select(func.max(c.seq)).where(c.batch == one.id)).scalar() or 0
    row = {"batch": one.id, "seq": last + 1, "at_ns": book.now_ns, "actor": said.actor, "action": str(deed)}
    book.conn.execute(insert(batch_event).values(**row, to_state=str(one.state), reason=said.reason))
    numbers = (one.number, one.code, *(f"{lot.part}/{lot.lot}" for lot in one.lots))
    problem = note_on(book, one.problem, replace(said, action=f"batch_{deed}", evidence=numbers))
    asks = deed not in DECISIONS
    people: Sequence[str | None] = (one.asked_by, problem.leader)
    if asks:
        deciders = entitled(plant, plant.quality.freezers)
        people = sorted(deciders) if deciders else quality(book, plant, book.ticket(problem.last_ticket).line)
    kind = "batch.asked" if asks else "batch.decided"
    news = News(kind, one.number, one.code, book.now_ns, deed, said.actor, said.reason, one.version)
    tell(book, problem.last_ticket, news, people)


def _words(reason: str) -> list[Missing]:
    if not reason.strip():
        return [Missing("reason")]
    return [Missing("reason", "vague")] if is_vague(reason) else []


def _strange(conn: Connection, lots: Sequence[Lot]) -> list[Lot]:
    """Those of the lots that the store has never had."""
    named = part_lot.c.lot.in_([one.lot for one in lots])
    found = {
        (row.part, row.lot) for row in conn.execute(select(part_lot.c.part, part_lot.c.lot).where(named))
    }
    return [one for one in lots if (one.part, one.lot) not in found]


def _read(conn: Connection, *wanted: ColumnElement[bool], limit: int | None = None) -> tuple[Batch, ...]:
    rows = (
        conn.execute(select(batch).where(*wanted).order_by(batch.c.id.desc()).limit(limit)).mappings().all()
    )
    ids = [row["id"] for row in rows]
    c = batch_lot.c
    lots = (
        conn.execute(select(batch_lot).where(c.batch.in_(ids)).order_by(c.part, c.lot)).all() if ids else []
    )
    return tuple(
        Batch(
            **{**row, "state": BatchState(row["state"])},
            lots=tuple(Lot(one.part, one.lot) for one in lots if one.batch == row["id"]),
        )
        for row in rows
    )
