"""What was mended on one machine is done on its sisters too: one tracked task for each of them (rule 51, 8D D7).

It begins with the answer "yes" at closing, or with the action of a root-cause task. A sister is a machine of the same
model, or of the same class where no model is known. A decision without tasks is one too, and says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, exists, insert, select, update

from andon.database import Machines, among, behind
from andon.plant import Asset, Plant
from ticketing.book import Book
from ticketing.duty import who
from ticketing.errors import DeedRefused, Missing, StepRefused
from ticketing.problem_deeds import later
from ticketing.problem_store import look
from ticketing.quality.news import Line, News, note_on, tell
from ticketing.quality.tables import deployment, sister_task
from ticketing.sql import to_json
from ticketing.stepping import lock
from ticketing.tables import ticket as tickets
from ticketing.ticket import UNRESOLVED, Ticket
from ticketing.timers import Timer, cancel, set_timer
from ticketing.vague import is_vague

TIMER = "sister.due"


class SisterState(StrEnum):
    """OPEN until it is DONE, or DROPPED because it is not needed there after all."""

    OPEN = "open"
    DONE = "done"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Sister:
    """What is to be done on one sister machine, and what became of it; `ticket` or `problem` is what it goes back to."""

    id: int
    deployment: int
    ticket: int | None
    problem: int | None
    text: str
    asset: str
    owner: str
    due_ns: int
    state: SisterState = SisterState.OPEN
    note: str = ""
    evidence: tuple[str, ...] = ()
    done_by: str | None = None
    done_ns: int | None = None

    @property
    def number(self) -> str:
        """As people call it."""
        return f"ST-{self.id}"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One decision with its tasks; none: it is not needed elsewhere, and `text` says why."""

    id: int
    ticket: int | None
    problem: int | None
    text: str
    by: str
    at_ns: int
    tasks: tuple[Sister, ...] = ()


def sisters_of(plant: Plant, asset_id: str) -> tuple[Asset, ...]:
    """The machines of the same model, else of the same class; without the machine itself."""
    machine = plant.asset(asset_id)
    if machine is None:
        return ()
    kind = (machine.model, "") if machine.model else ("", machine.asset_class)
    return tuple(
        one
        for one in plant.assets
        if one.id != asset_id and kind == ((one.model, "") if machine.model else ("", one.asset_class))
    )


def from_ticket(
    book: Book, ticket_id: int, plant: Plant, *, text: str, assets: Sequence[str], actor: str, channel: str
) -> Deployment:
    """What the handler answered with "yes" is given to the sister machines, or, with none of them, found not needed.

    Raises
    ------
    StepRefused
        `text` is missing or says nothing (demand "action_text"), a machine is no sister of the ticket's ("assets"), or
        the ticket is not resolved yet ("same_kind").
    """
    lock(book.conn, ticket_id)
    ticket = book.ticket(ticket_id)
    of = {one.id for one in sisters_of(plant, ticket.asset)}
    missing = _missing(text, assets, of)
    if ticket.state in UNRESOLVED or not ticket.same_kind:
        missing.append(Missing("same_kind", "not_said"))
    if missing:
        raise StepRefused("deploy", ticket.state, missing)
    new = Deployment(book.next_number("deployment"), ticket.id, None, text.strip(), actor, book.now_ns)
    made = _deploy(book, plant, new, ticket.id, assets)
    numbers = tuple(f"{one.number} {one.asset}" for one in made.tasks)
    book.record(
        ticket, action="deployed", actor=actor, channel=channel, reason=text.strip(), evidence=numbers
    )
    return made


def from_problem(
    book: Book, problem_id: int, plant: Plant, *, text: str, assets: Sequence[str], actor: str, channel: str
) -> Deployment:
    """What ends the cause of a task is given to machines like those it was found on.

    Raises
    ------
    ProblemNotFound, StepRefused
        There is no such task; or `text` is missing ("action_text"), or a machine is not in the plant ("assets").
    """
    problem = look(book.conn, problem_id)
    missing = _missing(text, assets, {one.id for one in plant.assets})
    if missing or not assets:
        raise StepRefused("deploy", problem.state, missing or [Missing("assets")])
    new = Deployment(book.next_number("deployment"), None, problem.id, text.strip(), actor, book.now_ns)
    made = _deploy(book, plant, new, problem.last_ticket, assets)
    numbers = tuple(f"{one.number} {one.asset}" for one in made.tasks)
    note_on(book, problem.id, Line("deployed", actor, channel, text.strip(), numbers))
    return made


def finish(
    book: Book, sister_id: int, *, note: str, evidence: Sequence[str], actor: str, channel: str
) -> Sister:
    """It is done there; StepRefused without evidence, DeedRefused if it is settled already or there is none."""
    one, shown = numbered(book.conn, sister_id), tuple(said.strip() for said in evidence if said.strip())
    if not shown:
        raise StepRefused("finish", str(one.state), [Missing("evidence")])
    return _settle(book, one, SisterState.DONE, Line("", actor, channel, note.strip(), shown))


def drop(book: Book, sister_id: int, *, reason: str, actor: str, channel: str) -> Sister:
    """It is not needed there after all; StepRefused without a reason that says something."""
    one = numbered(book.conn, sister_id)
    if not reason.strip() or is_vague(reason):
        why = "vague" if reason.strip() else "absent"
        raise StepRefused("drop", str(one.state), [Missing("reason", why)])
    return _settle(book, one, SisterState.DROPPED, Line("", actor, channel, reason.strip()))


def due(book: Book, plant: Plant, timer: Timer) -> None:
    """A task on a sister machine is overdue: its owner hears it, and the line leader."""
    one = numbered(book.conn, int(timer.subject.partition("/")[2]))
    if one.state is not SisterState.OPEN:
        return
    machine = plant.asset(one.asset)
    leader = who("line_leader", machine.line if machine else "", book.now_ns, plant, {}).person
    news = News("sister.overdue", one.number, one.asset, one.due_ns, one.text, "rule/due")
    tell(book, _source(book, one), news, (one.owner, leader))


def numbered(conn: Connection, sister_id: int) -> Sister:
    """That task; DeedRefused if there is none."""
    found = _read(conn, sister_task.c.id == sister_id)
    if not found:
        raise DeedRefused("sister_not_found", f"there is no task {sister_id} on a sister machine")
    return found[0]


def tasks(
    conn: Connection,
    state: SisterState | None = SisterState.OPEN,
    *,
    owner: str = "",
    machines: Machines = None,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> tuple[Sister, ...]:
    """Tasks on sister machines in a state (None: all), the next due first."""
    c = sister_task.c
    wanted = [among(c.asset, machines), behind((c.due_ns, c.id), after)]
    wanted += [c.state == str(state)] if state is not None else []
    wanted += [c.owner == owner] if owner else []
    return _read(conn, and_(*wanted), limit)


def of_ticket(conn: Connection, ticket_id: int) -> tuple[Deployment, ...]:
    """What was decided about the sisters of a ticket's machine."""
    return _deployments(conn, deployment.c.ticket == ticket_id)


def of_problem(conn: Connection, problem_id: int) -> tuple[Deployment, ...]:
    """What was given to other machines from a task."""
    return _deployments(conn, deployment.c.problem == problem_id)


def undecided(conn: Connection, *, machines: Machines = None, limit: int = 50) -> tuple[int, ...]:
    """Repaired tickets whose handler said "elsewhere too", about whose sisters nobody has decided yet, newest first."""
    c = tickets.c
    said = c.same_kind.is_(True), c.resolved_ns.is_not(None), among(c.asset, machines)
    decided = exists().where(deployment.c.ticket == c.id)
    found = select(c.id).where(*said, ~decided).order_by(c.resolved_ns.desc(), c.id.desc())
    return tuple(conn.execute(found.limit(limit)).scalars())


def waits(ticket: Ticket, decided: Sequence[Deployment]) -> bool:
    """Whether the ticket's handler said "elsewhere too", and nobody has decided what is done there."""
    return bool(ticket.same_kind) and ticket.state not in UNRESOLVED and not decided


def _missing(text: str, assets: Sequence[str], known: set[str]) -> list[Missing]:
    missing = []
    if not text.strip() or is_vague(text):
        missing.append(Missing("action_text", "vague" if text.strip() else "absent"))
    strange = sorted(set(assets) - known)
    if strange:
        missing.append(Missing("assets", f"unknown: {', '.join(strange)[:200]}"))
    return missing


def _deploy(book: Book, plant: Plant, new: Deployment, told_with: int, assets: Sequence[str]) -> Deployment:
    """Write it down with a task for each machine, whose owner is told; `told_with` is the ticket that it goes back to."""
    row = {name: getattr(new, name) for name in ("id", "ticket", "problem", "text", "by", "at_ns")}
    book.conn.execute(insert(deployment).values(**row))
    due_ns = later(book.now_ns, plant.quality.sisters_d)
    given = tuple(_task(book, plant, new, asset, due_ns) for asset in dict.fromkeys(assets))
    for one in given:
        news = News("sister.given", one.number, one.asset, one.due_ns, one.text, new.by)
        tell(book, told_with, news, (one.owner,))
    return replace(new, tasks=given)


def _task(book: Book, plant: Plant, of: Deployment, asset: str, due_ns: int) -> Sister:
    """One task, for the machine's owner, else for the leader of its line, else for who decided."""
    machine = plant.asset(asset)
    line = machine.line if machine else ""
    owner = (machine.owner if machine else None) or who("line_leader", line, book.now_ns, plant, {}).person
    one = Sister(
        id=book.next_number("sister"),
        deployment=of.id,
        ticket=of.ticket,
        problem=of.problem,
        text=of.text,
        asset=asset,
        owner=owner or of.by,
        due_ns=due_ns,
    )
    row = {name: getattr(one, name) for name in ("id", "deployment", "asset", "owner", "due_ns", "note")}
    book.conn.execute(insert(sister_task).values(**row, state=str(one.state), evidence="[]"))
    set_timer(book, Timer(TIMER, f"sister/{one.id}", due_ns))
    return one


def _settle(book: Book, one: Sister, state: SisterState, said: Line) -> Sister:
    """Write down how it ended, once: of two at once the second is told that it is settled."""
    ended = {"state": str(state), "note": said.reason, "evidence": to_json(list(said.evidence))}
    c = sister_task.c
    changed = book.conn.execute(
        update(sister_task)
        .where(c.id == one.id, c.state == str(SisterState.OPEN))
        .values(**ended, done_by=said.actor, done_ns=book.now_ns)
    )
    if changed.rowcount != 1:
        raise DeedRefused("sister_settled", f"{one.number} is {one.state} already")
    cancel(book, TIMER, f"sister/{one.id}")
    line = replace(said, action=f"sister_{state}", evidence=(one.number, one.asset, *said.evidence))
    if one.ticket is None:
        note_on(book, one.problem or 0, line)
    else:
        lock(book.conn, one.ticket)
        book.record(
            book.ticket(one.ticket),
            action=line.action,
            actor=line.actor,
            channel=line.channel,
            reason=line.reason,
            evidence=line.evidence,
        )
    return numbered(book.conn, one.id)


def _source(book: Book, one: Sister) -> int:
    """The ticket that a task goes back to."""
    if one.ticket is not None:
        return one.ticket
    return look(book.conn, one.problem or 0).last_ticket


def _deployments(conn: Connection, wanted: ColumnElement[bool]) -> tuple[Deployment, ...]:
    rows = conn.execute(select(deployment).where(wanted).order_by(deployment.c.id)).mappings().all()
    found = _read(conn, sister_task.c.deployment.in_([row["id"] for row in rows])) if rows else ()
    return tuple(
        Deployment(**row, tasks=tuple(one for one in found if one.deployment == row["id"])) for row in rows
    )


def _read(conn: Connection, wanted: ColumnElement[bool], limit: int | None = None) -> tuple[Sister, ...]:
    c = sister_task.c
    what = (deployment.c.ticket, deployment.c.problem, deployment.c.text)
    joined = select(sister_task, *what).join(deployment, deployment.c.id == c.deployment)
    rows = conn.execute(joined.where(wanted).order_by(c.due_ns, c.id).limit(limit))
    return tuple(_of(row) for row in rows.mappings())


def _of(row: RowMapping) -> Sister:
    values: dict[str, object] = {
        str(name): value for name, value in row.items()
    }  # a column's name is no plain text
    return msgspec.convert(values | {"evidence": msgspec.json.decode(row["evidence"])}, Sister)
