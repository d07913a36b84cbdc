"""Which alarms stand, which failures they make, and which failure is a repeat that opens an RCA (rule 4.4)."""

from dataclasses import replace

from sqlalchemy import bindparam, select, update

from andon.events import Action, Family, Finding
from ticketing.book import Book
from ticketing.recall import Alarm, Known, source_of
from ticketing.repeats import (
    FAILURE_FAMILIES,
    NO_FAILURE,
    Activation,
    Begins,
    Failure,
    Repeat,
    due_ns,
    failure_of,
    repeat_of,
)
from ticketing.rows import activation_row
from ticketing.tables import Row, activation, alarm, failure, occurrence, problem, problem_link
from ticketing.ticket import ProblemState, Ticket

_RAISED = select(
    occurrence.c.key,
    occurrence.c.finding,
    occurrence.c.action,
    occurrence.c.at_ns,
    occurrence.c.onset_ns,
    occurrence.c.detector,
).where(occurrence.c.key == bindparam("key"), occurrence.c.at_ns >= bindparam("from_ns"))
_TOUCH_PROBLEM = update(problem).where(problem.c.id == bindparam("_id"))
_MUTABLE = ("at_ns", "last_ns", "clear_ns", "failure", "failure_ns")


def _is(one: Activation, at_ns: int, over_ns: int | None) -> bool:
    """Whether an alarm raised at that time is this activation: it stands then, or its first word is heard late."""
    if one.at_ns <= at_ns:
        return one.stands_at(at_ns)
    return over_ns is None or not at_ns <= over_ns < one.at_ns


class Standing:
    """The alarms and failures of a batch."""

    def __init__(self, book: Book, known: Known) -> None:
        self._book = book
        self._known = known

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

    def failed(self, finding: Finding, key: str, at_ns: int, ticket: Ticket) -> Ticket:
        """Note an activation; if it begins a failure that is a repeat, its RCA is opened or joined."""
        if finding.action is not Action.RAISE or finding.family not in FAILURE_FAMILIES:
            return ticket
        if finding.condition in NO_FAILURE:
            return ticket
        source = source_of(finding)
        others = self._known.activations[finding.asset]
        over_ns = self._known.alarms[key, source].clear_ns
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
        return self._began(begun, verdict, ticket) if isinstance(verdict, Begins) else ticket

    def _end(self, one: Activation, at_ns: int, cleared: Finding) -> None:
        """End an activation; what was raised after its end, and heard before it, is an activation of its own."""
        if one.last_ns <= at_ns:
            self._replace(one, replace(one, clear_ns=at_ns))
            return
        raised = self._raised_since(one, cleared)
        last_ns = max((ns for ns, _ in raised if ns <= at_ns), default=one.at_ns)
        self._replace(one, replace(one, clear_ns=at_ns, last_ns=last_ns))
        again_ns, name = min((ns, name) for ns, name in raised if ns > at_ns)
        self._known.activations[one.asset].append(replace(one, finding=name, at_ns=again_ns))
        self._book.upsert(activation, activation_row(replace(one, finding=name, at_ns=again_ns)), _MUTABLE)

    def _raised_since(self, one: Activation, like: Finding) -> list[tuple[int, str]]:
        """When the alarm was raised since it stands, and by which findings: stored ones and those of this batch."""
        stored = self._book.conn.execute(_RAISED, {"key": one.key, "from_ns": one.at_ns}).mappings()
        rows = [*stored, *(row for row in self._book.rows(occurrence) if row["key"] == one.key)]
        return [
            (row["at_ns"], row["finding"])
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

    def _began(self, begun: Activation, verdict: Begins, ticket: Ticket) -> Ticket:
        """A failure began: keep it, and compare it with the ones before."""
        row: Row = {
            "finding": begun.finding,
            "asset": begun.asset,
            "key": begun.key,
            "ticket": ticket.id,
            "start_ns": begun.at_ns,
            "rule": str(verdict.rule),
        }
        self._book.add(failure, row)
        self._book.counts["failures"] += 1
        earlier = self._known.failures[begun.asset]
        repeat = repeat_of(begun.at_ns, begun.key, earlier)
        earlier.append(Failure(begun.finding, begun.key, ticket.id, begun.at_ns))
        return ticket if repeat is None else self._repeated(begun, repeat, ticket)

    def _repeated(self, begun: Activation, repeat: Repeat, ticket: Ticket) -> Ticket:
        """Join the machine's open RCA, or open one with the failure before as its first."""
        number = self._known.problems.get(begun.asset)
        opened = number is None
        if number is None:
            number = self._known.problems[begun.asset] = self._open_problem(begun.asset)
            self._link(number, repeat.previous, ticket=repeat.previous.ticket)
        else:
            self._book.later(_TOUCH_PROBLEM, {"_id": number, "change": self._book.change})
        this = Failure(begun.finding, begun.key, ticket.id, begun.at_ns)
        self._link(number, this, ticket=ticket.id, repeat=repeat)
        self._book.counts["problems_opened" if opened else "problems_joined"] += 1
        action = "problem_opened" if opened else "problem_joined"
        evidence = (f"RCA-{number}", repeat.previous.finding, begun.finding)
        ticket = self._book.record(
            ticket, action=action, actor="rule/repeat_72h", numbers=repeat.numbers, evidence=evidence
        )
        if opened:
            told = {"problem": f"RCA-{number}", "repeat": dict(repeat.numbers)}
            self._book.tell(ticket, "problem.opened", (ticket.requester or "dispatch",), told)
        return ticket

    def _open_problem(self, asset: str) -> int:
        number = self._book.next_number("problem")
        row: Row = {
            "id": number,
            "number": f"RCA-{number}",
            "kind": "rca",
            "scope": asset,
            "asset": asset,
            "state": str(ProblemState.OPEN),
            "opened_ns": self._book.now_ns,
            "due_ns": due_ns(self._book.now_ns),
            "review": "",
            "change": self._book.change,
        }
        self._book.add(problem, row)
        return number

    def _link(self, number: int, one: Failure, *, ticket: int, repeat: Repeat | None = None) -> None:
        row: Row = {
            "problem": number,
            "failure": one.finding,
            "ticket": ticket,
            "at_ns": one.start_ns,
            "same_fault": repeat.same_fault if repeat else True,
            "counted_from": repeat.counted_from if repeat else "first",
            "interval_ns": repeat.interval_ns if repeat else None,
            "linked_ns": self._book.now_ns,
        }
        self._book.upsert(problem_link, row, ("ticket",))

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
