"""When a problem, its actions and its check are due: reminded before, told when overdue, then told to quality."""

from collections.abc import Sequence
from dataclasses import replace

from andon.events import SECOND_NS, Json
from andon.plant import Plant
from andon.rules.repeats import Repeats
from ticketing.book import Book
from ticketing.duty import who
from ticketing.problem import ActionState, Problem, ProblemState
from ticketing.problem_news import tell
from ticketing.problem_states import action_of
from ticketing.problem_store import look, record
from ticketing.timers import Timer, cancel, set_timer

PROBLEM_DUE, ACTION_DUE, CHECK_DUE = "problem.due", "action.due", "problem.check"
BEFORE, AT, AFTER = range(3)
"""The steps of a due date: reminded, overdue, escalated."""
_WORKED_ON = frozenset(
    {ProblemState.OPEN, ProblemState.ANALYSING, ProblemState.ACTIONS, ProblemState.REOPENED}
)
_DAY_NS = 86_400 * SECOND_NS


def subject_of(problem: Problem, action: int | None = None) -> str:
    """What a timer of it is about."""
    return f"problem/{problem.id}" + (f"/action/{action}" if action is not None else "")


def arrange(book: Book, before: Problem | None, after: Problem, rules: Repeats) -> None:
    """Set or cancel the timers that a change of the problem asks for."""
    if before is None or before.state is not after.state:
        _arrange_state(book, after, rules)
    old = {one.id: one for one in before.actions} if before else {}
    for action in after.actions:
        if old.get(action.id) == action:
            continue
        subject = subject_of(after, action.id)
        cancel(book, ACTION_DUE, subject)
        if action.state is ActionState.OPEN and after.is_open:
            body: dict[str, Json] = {"problem": after.id, "action": action.id}
            _set(book, Timer(ACTION_DUE, subject, action.due_ns, cycle=action.moved, body=body), rules)


def _arrange_state(book: Book, after: Problem, rules: Repeats) -> None:
    subject = subject_of(after)
    body: dict[str, Json] = {"problem": after.id}
    cancel(book, PROBLEM_DUE, subject)
    cancel(book, CHECK_DUE, subject)
    if after.state in _WORKED_ON:
        _set(book, Timer(PROBLEM_DUE, subject, after.due_ns, cycle=after.cycle, body=body), rules)
    elif after.state is ProblemState.VERIFYING and after.check is not None:
        set_timer(book, Timer(CHECK_DUE, subject, after.check.due_ns, cycle=after.audit_seq, body=body))
    else:
        for action in after.actions:
            cancel(book, ACTION_DUE, subject_of(after, action.id))


def _set(book: Book, at: Timer, rules: Repeats) -> None:
    """The steps around a due date: reminded, overdue, escalated."""
    days = (-rules.remind_d, 0.0, rules.escalate_d)
    for step, off in enumerate(days):
        due_ns = at.due_ns + round(off * _DAY_NS)
        if step != BEFORE or due_ns > book.now_ns:  # nobody is reminded of what was said just now
            set_timer(book, replace(at, due_ns=due_ns, step=step))


def problem_due(book: Book, plant: Plant, timer: Timer) -> None:
    """A problem is about to be due, or is overdue."""
    problem = look(book.conn, int(timer.body["problem"]))
    if problem.state not in _WORKED_ON:
        return
    people = [
        problem.leader,
        *_quality(book, plant, problem, wanted=timer.step == AFTER or problem.leader is None),
    ]
    _say(book, problem, "problem.due" if timer.step == BEFORE else "problem.overdue", people)


def action_due(book: Book, plant: Plant, timer: Timer) -> None:
    """An action is about to be due, or is overdue."""
    problem = look(book.conn, int(timer.body["problem"]))
    action = action_of(problem, int(timer.body["action"]))
    if action is None or action.state is not ActionState.OPEN or not problem.is_open:
        return
    people = [action.owner, *((problem.leader,) if timer.step != BEFORE else ())]
    people += _quality(book, plant, problem, wanted=timer.step == AFTER)
    _say(book, problem, "action.due" if timer.step == BEFORE else "action.overdue", people, action.text)


def check_due(book: Book, _plant: Plant, timer: Timer) -> None:
    """The days without recurrence are over: the effect can be judged."""
    problem = look(book.conn, int(timer.body["problem"]))
    if problem.state is ProblemState.VERIFYING and problem.check is not None:
        _say(book, problem, "problem.check", [problem.check.checker, problem.leader])


def _quality(book: Book, plant: Plant, problem: Problem, *, wanted: bool) -> Sequence[str | None]:
    return quality(book, plant, book.ticket(problem.last_ticket).line) if wanted else ()


def quality(book: Book, plant: Plant, line: str) -> Sequence[str | None]:
    """The person whom the quality role means on a line now, and who stands in."""
    duty = who(plant.repeats.quality_role, line, book.now_ns, plant, {})
    return [duty.person, duty.backup] if duty.person else ["dispatch"]


def _say(book: Book, problem: Problem, kind: str, people: Sequence[str | None], action: str = "") -> None:
    noted = record(book, problem, before=problem, action=kind, actor="rule/due", reason=action)
    tell(book, noted, kind, people, actor="rule/due", action=action)
