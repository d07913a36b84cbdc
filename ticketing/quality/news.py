"""What quality work leaves behind it: messages about the ticket that it goes back to, and lines in a task's audit."""

from collections.abc import Sequence
from dataclasses import dataclass

from andon.events import Json
from ticketing.book import Book
from ticketing.problem import Problem
from ticketing.problem_store import look, record


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell: `task` is its number ("ST-3"), `about` a machine, batch or supplier, `action` what to do.

    `round` tells apart what is told more than once of a task.
    """

    kind: str
    task: str
    about: str
    due_ns: int
    action: str = ""
    actor: str = ""
    reason: str = ""
    round: int = 0


def tell(book: Book, ticket: int, news: News, people: Sequence[str | None]) -> None:
    """Queue it with the ticket that it goes back to."""
    content: dict[str, Json] = {
        "task": news.task,
        "about": news.about,
        "due_ns": news.due_ns,
        "action": news.action,
        "actor": news.actor,
        "reason": news.reason,
    }
    step = f"{news.task}-{news.kind.replace('.', '-')}-{news.round}"
    book.tell(book.ticket(ticket), news.kind, people, content, step=step)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a task's audit: who did what from where, why, and what shows it."""

    action: str
    actor: str
    channel: str
    reason: str = ""
    evidence: tuple[str, ...] = ()


def note_on(book: Book, problem_id: int, line: Line) -> Problem:
    """Put a line behind the last of a task's audit; nothing else of it changes."""
    problem = look(book.conn, problem_id)
    return record(
        book,
        problem,
        before=problem,
        action=line.action,
        actor=line.actor,
        channel=line.channel,
        reason=line.reason,
        evidence=line.evidence,
    )
