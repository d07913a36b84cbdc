"""The deeds of quality work, each one transaction: what REST, pages and scenarios call.

The way of rule 59, from the heat map to the supplier, in their order:

1. `path.matrix(conn, plant, span)` gives shares by model and fault, `path.origins(...)` lots and suppliers of one fault.
2. `investigate(by, plant, Seen(...))` opens a root-cause task on the tickets behind a share.
3. `begin_audit(by, plant, problem, ...)` has the supplier audited; `finish_audit` gives it its new grade.
4. `ask_freeze(by, plant, problem, ...)` and `decide` keep a batch and its lots back (rule 56).
5. `make_mandatory(by, plant, problem, ...)` asks for a field from now on; the engine brings the plant into force.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from andon import plants
from andon.plant import Plant
from ticketing.deeds import Doer
from ticketing.errors import DeedRefused
from ticketing.parts.suppliers import Grade
from ticketing.problem import Problem
from ticketing.problem_store import look
from ticketing.quality import audits, batches, investigations, path, sisters
from ticketing.quality.audits import Audit
from ticketing.quality.batches import Batch, Deed, Lot
from ticketing.quality.mandatory import RESOLVING, with_mandatory
from ticketing.quality.news import Line, note_on
from ticketing.quality.path import Span
from ticketing.quality.sisters import Deployment, Sister


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen to stand out: a fault, of one model or of all, in a span of time."""

    fault: str
    span: Span
    model: str | None = None

    @property
    def scope(self) -> str:
        """The scope of the task that looks into it."""
        return f"model/{self.model or '*'}/{self.fault}"


def investigate(by: Doer, plant: Plant, seen: Seen, *, reason: str) -> Problem:
    """Open the task that looks into a fault of a model, on the tickets that it was seen in, or join the open one.

    DeedRefused "investigation_without_tickets" where there are none.
    """
    with by.tickets.transaction(by.now_ns) as book:
        found = path.tickets_of(book.conn, plant, seen.span, fault=seen.fault, model=seen.model)
        return investigations.investigate(
            book,
            plant,
            scope=seen.scope,
            tickets=found,
            actor=by.actor,
            reason=reason,
            channel=by.channel,
        )


def deploy_ticket(by: Doer, plant: Plant, ticket_id: int, *, text: str, assets: Sequence[str]) -> Deployment:
    """Give what a ticket mended to sister machines, or decide with no machines that it is not needed (rule 51)."""
    with by.tickets.transaction(by.now_ns) as book:
        return sisters.from_ticket(
            book, ticket_id, plant, text=text, assets=assets, actor=by.actor, channel=by.channel
        )


def deploy_problem(
    by: Doer, plant: Plant, problem_id: int, *, text: str, assets: Sequence[str]
) -> Deployment:
    """Give what ends a task's cause to other machines (8D D7)."""
    with by.tickets.transaction(by.now_ns) as book:
        return sisters.from_problem(
            book, problem_id, plant, text=text, assets=assets, actor=by.actor, channel=by.channel
        )


def finish_sister(by: Doer, sister_id: int, *, evidence: Sequence[str], note: str = "") -> Sister:
    """It is done on that sister machine."""
    with by.tickets.transaction(by.now_ns) as book:
        return sisters.finish(
            book, sister_id, note=note, evidence=evidence, actor=by.actor, channel=by.channel
        )


def drop_sister(by: Doer, sister_id: int, *, reason: str) -> Sister:
    """It is not needed there after all."""
    with by.tickets.transaction(by.now_ns) as book:
        return sisters.drop(book, sister_id, reason=reason, actor=by.actor, channel=by.channel)


def ask_freeze(
    by: Doer, plant: Plant, problem_id: int, *, code: str, lots: Sequence[Lot], reason: str
) -> Batch:
    """Ask for a batch and its lots to be kept back."""
    with by.tickets.transaction(by.now_ns) as book:
        return batches.ask_freeze(
            book,
            plant,
            problem_id,
            code=code,
            lots=lots,
            reason=reason,
            actor=by.actor,
            channel=by.channel,
        )


def decide(by: Doer, plant: Plant, batch_id: int, deed: Deed, *, version: int, reason: str) -> Batch:
    """Freeze or release a batch, refuse either, or ask for its release."""
    with by.tickets.transaction(by.now_ns) as book:
        return batches.decide(
            book,
            plant,
            batch_id,
            deed,
            version=version,
            reason=reason,
            actor=by.actor,
            channel=by.channel,
        )


def begin_audit(
    by: Doer,
    plant: Plant,
    problem_id: int,
    *,
    supplier: str,
    auditor: str,
    reason: str,
    due_ns: int | None = None,
) -> Audit:
    """Have a supplier audited."""
    with by.tickets.transaction(by.now_ns) as book:
        return audits.begin(
            book,
            plant,
            problem_id,
            supplier=supplier,
            auditor=auditor,
            reason=reason,
            due_ns=due_ns,
            actor=by.actor,
            channel=by.channel,
        )


def finish_audit(
    by: Doer,
    audit_id: int,
    *,
    result: audits.Result,
    findings: str,
    evidence: Sequence[str],
    grade: Grade | None = None,
) -> Audit:
    """What an audit came to."""
    with by.tickets.transaction(by.now_ns) as book:
        return audits.finish(
            book,
            audit_id,
            result=result,
            findings=findings,
            grade=grade,
            evidence=evidence,
            actor=by.actor,
            channel=by.channel,
        )


def make_mandatory(
    by: Doer,
    plant: Plant,
    problem_id: int,
    *,
    type_code: str,
    name: str,
    zh: str = "",
    en: str = "",
    choices: Sequence[str] = (),
    moments: Sequence[str] = (RESOLVING,),
) -> Plant:
    """Ask for a field of a type of tickets to be mandatory; gives the plant document that comes into force next.

    StepRefused as `with_mandatory` says it; DeedRefused "plant_outdated" if another change of the plant is on its way.
    """
    after = with_mandatory(
        plant, type_code=type_code, name=name, zh=zh, en=en, choices=choices, moments=moments
    )
    with by.tickets.transaction(by.now_ns) as book:
        look(book.conn, problem_id)
        try:
            plants.ask(book.conn, after, by.now_ns)
        except plants.Outdated as error:
            raise DeedRefused("plant_outdated", str(error)) from error
        said = (type_code, name, *moments)
        note_on(book, problem_id, Line("made_mandatory", by.actor, by.channel, name, said))
    return after
