"""Which alarms stand, which failures they make, and which failure is a repeat that opens an RCA (rule 4.4)."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import bindparam, select

from andon.events import Action, Family, Finding
from andon.plant import Plant, once_per_plant
from andon.rules.types import best_fitting
from ticketing.book import Book
from ticketing.problem import Problem, ProblemKind, ProblemLink, ProblemState
from ticketing.problem_clock import arrange
from ticketing.problem_deeds import due_after
from ticketing.problem_states import ProblemGiven, ProblemStep
from ticketing.problem_steps import step_on
from ticketing.problem_store import record
from ticketing.recall import Alarm, Known, source_of
from ticketing.repeats import (
    Activation,
    Begins,
    Failure,
    Repeat,
    Scoping,
    failure_of,
    is_failure,
    repeat_of,
    scoping_of,
)
from ticketing.rows import activation_row
from ticketing.sql import Row
from ticketing.tables import activation, alarm, failure, occurrence, problem_link
from ticketing.ticket import Ticket

_RAISED = select(
    occurrence.c.key,
    occurrence.c.finding,
    occurrence.c.action,
    occurrence.c.at_ns,
    occurrence.c.onset_ns,
    occurrence.c.detector,
    occurrence.c.ticket,
).where(occurrence.c.key == bindparam("key"), occurrence.c.at_ns >= bindparam("from_ns"))
_MUTABLE = ("at_ns", "last_ns", "clear_ns", "failure", "failure_ns")


def _is(one: Activation, at_ns: int, over_ns: int | None) -> bool:
    """Whether an alarm raised at that time is this activation: it stands then, or its first word is heard late."""
    if one.at_ns <= at_ns:
        return one.stands_at(at_ns)
    return over_ns is None or not at_ns <= over_ns < one.at_ns


@once_per_plant
def scoping(plant: Plant) -> Scoping:
    """What the failures of the plant's machines count for."""
    return scoping_of(plant.repeats, {asset.id: asset.path for asset in plant.assets})


class Standing:
    """The alarms and failures of a batch."""

    def __init__(self, book: Book, known: Known, plant: Plant) -> None:
        self._book = book
        self._known = known
        self._plant = plant

    def cleared_before_raised(self, finding: Finding, key: str) -> bool:
        """Whether only the end of this alarm has been heard so far, and lies on no ticket."""
        old = self._known.alarms.get((key, source_of(finding)))
        return old is not None and old.ticket is None

    def raised(self, finding: Finding, key: str, at_ns: int, ticket: int) -> bool:
        """Note that the alarm was said to stand at `at_ns`; gives whether the ticket now has an active one."""
        which = (key, source_of(finding))
        old = self._known.alarms.get(which, Alarm())
        self._set(which, Alarm(max(at_ns, old.raise_ns or at_ns), old.clear_ns, ticket))
        return self._known.alarm_active(ticket)

    def raised_ns(self, finding: Finding, key: str) -> int | None:
        """When the alarm was last said to stand; None if never."""
        return self._known.alarms.get((key, source_of(finding)), Alarm()).raise_ns

    def ticket_of(self, finding: Finding, key: str) -> int | None:
        """The ticket that the alarm was on last."""
        return self._known.alarms.get((key, source_of(finding)), Alarm()).ticket

    def held(self, finding: Finding, key: str, at_ns: int) -> None:
        """Note that the alarm was said to stand at `at_ns`, though no ticket is to know of it yet."""
        which = (key, source_of(finding))
        self._set(which, self._known.alarms.get(which, Alarm()).after(at_ns, over=False))

    def cleared(self, finding: Finding, key: str, at_ns: int) -> int | None:
        """Note that the alarm was said to be over at `at_ns`, end what it had activated; gives its ticket."""
        which = (key, source_of(finding))
        old = self._known.alarms.get(which, Alarm())
        self._set(which, Alarm(old.raise_ns, max(at_ns, old.clear_ns or at_ns), old.ticket))
        acts = self._known.activations[finding.asset]
        ended = next((a for a in acts if (a.key, a.source) == which and a.stands_at(at_ns)), None)
        if ended is not None:
            self._end(ended, at_ns, finding)
            self._judge_again(finding.asset, at_ns)
        return old.ticket

    def failed(
        self, finding: Finding, key: str, at_ns: int, ticket: Ticket, *, ended_ns: int | None = None
    ) -> Ticket:
        """Note an activation; if it begins a failure that is a repeat, its RCA is opened or joined.

        `ended_ns`: when it ended, if it is told only now and others have come since.
        """
        if not is_failure(finding, self._plant.repeats):
            return ticket
        source = source_of(finding)
        others = self._known.activations[finding.asset]
        over_ns = ended_ns or self._known.alarms.get((key, source), Alarm()).clear_ns
        same = next(
            (a for a in others if (a.key, a.source) == (key, source) and _is(a, at_ns, over_ns)), None
        )
        if same is not None:
            self._replace(same, replace(same, at_ns=min(same.at_ns, at_ns), last_ns=max(same.last_ns, at_ns)))
            return ticket
        verdict = failure_of(at_ns, finding.family, others)
        begun = Activation(
            finding=finding.id,
            key=key,
            source=source,
            asset=finding.asset,
            family=finding.family,
            ticket=ticket.id,
            at_ns=at_ns,
            last_ns=at_ns,
            clear_ns=over_ns if over_ns is not None and over_ns >= at_ns else None,
            failure=finding.id if isinstance(verdict, Begins) else verdict.failure,
            failure_ns=at_ns if isinstance(verdict, Begins) else verdict.failure_ns,
        )
        others.append(begun)
        self._book.upsert(activation, activation_row(begun), _MUTABLE)
        return self._began(begun, verdict, ticket, finding) if isinstance(verdict, Begins) else ticket

    def _end(self, one: Activation, at_ns: int, cleared: Finding) -> None:
        """End an activation; what was raised after its end, and heard before it, is an activation of its own."""
        if one.last_ns <= at_ns:
            self._replace(one, replace(one, clear_ns=at_ns))
            return
        raised = self._raised_since(one, cleared)
        last_ns = max((ns for ns, *_ in raised if ns <= at_ns), default=one.at_ns)
        self._replace(one, replace(one, clear_ns=at_ns, last_ns=last_ns))
        again_ns, name, ticket = min((word for word in raised if word[0] > at_ns), key=lambda word: word[:2])
        another = replace(one, finding=name, at_ns=again_ns, ticket=ticket or one.ticket)
        self._known.activations[one.asset].append(another)
        self._book.upsert(activation, activation_row(another), _MUTABLE)

    def _raised_since(self, one: Activation, like: Finding) -> list[tuple[int, str, int | None]]:
        """When the alarm was raised since it stands, by which findings, on which tickets: stored and of this batch."""
        stored = self._book.conn.execute(_RAISED, {"key": one.key, "from_ns": one.at_ns}).mappings()
        rows = [*stored, *(row for row in self._book.rows(occurrence) if row["key"] == one.key)]
        return [
            (row["at_ns"], row["finding"], row["ticket"])
            for row in rows
            if row["action"] == Action.RAISE
            and row["at_ns"] >= one.at_ns
            and row["detector"] == like.detector
            and (like.family is Family.STOP or row["onset_ns"] == like.onset_ns)
        ]

    def _judge_again(self, asset: str, at_ns: int) -> None:
        """A clear that came after its time may show that the machine had run before a later activation."""
        acts = self._known.activations[asset]
        for one in sorted(
            (a for a in acts if a.at_ns > at_ns and a.failure != a.finding), key=lambda a: a.at_ns
        ):
            verdict = failure_of(one.at_ns, one.family, [a for a in acts if a.at_ns < one.at_ns])
            if isinstance(verdict, Begins) and one.ticket is not None:
                begun = replace(one, failure=one.finding, failure_ns=one.at_ns)
                self._replace(one, begun)
                self._began(begun, verdict, self._book.ticket(one.ticket))

    def _began(
        self, begun: Activation, verdict: Begins, ticket: Ticket, finding: Finding | None = None
    ) -> Ticket:
        """A failure began: keep it, and compare it with the ones before."""
        row: Row = {
            "finding": begun.finding,
            "asset": begun.asset,
            "key": begun.key,
            "ticket": ticket.id,
            "start_ns": begun.at_ns,
            "rule": str(verdict.rule),
            **self._what_failed(begun.asset, ticket, finding),
        }
        self._book.add(failure, row)
        self._book.counts["failures"] += 1
        scope = self._known.scoping.of(begun.asset, fault=row["fault"], component=row["component"])
        this = Failure(begun.finding, begun.key, ticket.id, begun.at_ns, scope=scope, serial=row["serial"])
        parts = self._known.scoping.parts(begun.asset)
        others = [
            one for part in parts for one in self._known.failures[part] if one.counts_for(scope, this.serial)
        ]
        repeat = repeat_of(begun.at_ns, begun.key, others, self._plant.repeats.within_h)
        self._known.failures[begun.asset].append(this)
        ticket = self._repeated(this, begun.asset, repeat, ticket)
        return self._repeated_since(this, begun.asset, others, ticket)

    def _repeated_since(self, this: Failure, asset: str, others: Sequence[Failure], ticket: Ticket) -> Ticket:
        """A failure that is told late may show that the next one, which was none's repeat so far, was its repeat."""
        within_h = self._plant.repeats.within_h
        since = (one for one in others if one.start_ns > this.start_ns)
        after = min(since, key=lambda one: one.start_ns, default=None)
        if after is None or repeat_of(after.start_ns, after.key, others, within_h) is not None:
            return ticket
        repeat = repeat_of(after.start_ns, after.key, [this], within_h)
        self._repeated(after, asset, repeat, self._book.ticket(after.ticket))
        return self._book.ticket(ticket.id)

    def _what_failed(self, asset_id: str, ticket: Ticket, finding: Finding | None) -> Row:
        """Which machine failed, and of what: component and fault of the finding, else those of its ticket."""
        asset = self._plant.asset(asset_id)
        serial = asset.serial if asset else ""
        if finding is None:
            head = ticket.headline
            return {"component": head.component, "fault": str(head.family), "serial": serial}
        fault = best_fitting(self._plant.fault_types, finding)
        said = fault.code if fault else str(finding.family)
        return {"component": finding.component, "fault": said, "serial": serial}

    def _repeated(self, this: Failure, asset: str, repeat: Repeat | None, ticket: Ticket) -> Ticket:
        """Join the open RCA of the scope, or open one with the failure before as its first; both if it repeats.

        What comes back while the effect of its actions is watched, joins it however long ago the last one was.
        """
        found = self._known.problems.get(this.scope)
        watched_ns = found.watched_ns if found else None
        recurs = watched_ns is not None and this.start_ns >= watched_ns
        if repeat is None and not recurs:
            return ticket
        numbers = repeat.numbers if repeat else {}
        opened = found is None
        if found is None:
            assert repeat is not None  # noqa: S101 - nothing recurs where no problem is open
            found = self._open_problem(this.scope, self._known.scoping.whole(asset), repeat.previous)
        link = self._link(found.id, this, repeat, watched_ns)
        joined = replace(found, links=(link,))
        if opened:
            arrange(self._book, None, joined, self._plant.repeats)
        else:
            joined = record(
                self._book,
                joined,
                before=found,
                action="joined",
                actor="rule/repeat",
                numbers=numbers,
                evidence=(this.finding,),
            )
        if recurs:
            joined = self._recurred(joined, this)
        self._known.problems[this.scope] = joined
        self._book.counts["problems_opened" if opened else "problems_joined"] += 1
        action = "problem_opened" if opened else "problem_joined"
        evidence = (joined.number, *((repeat.previous.finding,) if repeat else ()), this.finding)
        ticket = self._book.record(
            ticket, action=action, actor="rule/repeat_72h", numbers=numbers, evidence=evidence
        )
        if opened:
            told = {"problem": joined.number, "repeat": dict(numbers)}
            self._book.tell(ticket, "problem.opened", (ticket.requester or "dispatch",), told)
        return ticket

    def _recurred(self, watched: Problem, this: Failure) -> Problem:
        given = ProblemGiven(
            actor="rule/recurrence",
            now_ns=self._book.now_ns,
            measured="recurred",
            evidence=(this.finding,),
        )
        return step_on(self._book, watched, ProblemStep.RECUR, given, self._plant, actor=given.actor)

    def _open_problem(self, scope: str, asset: str, first: Failure) -> Problem:
        number = self._book.next_number("problem")
        new = Problem(
            id=number,
            number=f"RCA-{number}",
            kind=ProblemKind.RCA,
            scope=scope,
            asset=asset,
            state=ProblemState.OPEN,
            opened_ns=self._book.now_ns,
            due_ns=due_after(self._book.now_ns, self._plant.repeats),
        )
        new = record(
            self._book, new, before=None, action="opened", actor="rule/repeat", evidence=(first.finding,)
        )
        self._link(number, first)
        return new

    def _link(
        self, number: int, one: Failure, repeat: Repeat | None = None, watched_ns: int | None = None
    ) -> ProblemLink:
        interval_ns, counted_from = None, "first"
        if repeat is not None:
            interval_ns, counted_from = repeat.interval_ns, repeat.counted_from
        elif watched_ns is not None:
            interval_ns, counted_from = one.start_ns - watched_ns, "watched"
        link = ProblemLink(
            problem=number,
            failure=one.finding,
            ticket=one.ticket,
            at_ns=one.start_ns,
            same_fault=repeat.same_fault if repeat else True,
            counted_from=counted_from,
            interval_ns=interval_ns,
            linked_ns=self._book.now_ns,
        )
        self._book.upsert(problem_link, asdict(link), ("ticket",))
        return link

    def _set(self, which: tuple[str, str], new: Alarm) -> None:
        self._known.set_alarm(which, new)
        row: Row = {
            "id": "/".join(which),
            "key": which[0],
            "source": which[1],
            "raise_ns": new.raise_ns,
            "clear_ns": new.clear_ns,
            "ticket": new.ticket,
        }
        self._book.upsert(alarm, row, ("raise_ns", "clear_ns", "ticket"))

    def _replace(self, old: Activation, new: Activation) -> None:
        acts = self._known.activations[old.asset]
        acts[acts.index(old)] = new
        self._book.upsert(activation, activation_row(new), _MUTABLE)
