"""What is told of a problem: messages with the ticket that it was last about, and with its own number and state."""

from collections.abc import Sequence

from andon.events import Json
from ticketing.book import Book
from ticketing.problem import Problem


def tell(
    book: Book,
    problem: Problem,
    kind: str,
    people: Sequence[str | None],
    *,
    actor: str,
    reason: str = "",
    action: str = "",
) -> None:
    """Queue a message about a problem, with the ticket that it was last about."""
    content: dict[str, Json] = {
        "problem": problem.number,
        "problem_kind": problem.kind,
        "problem_state": problem.state,
        "due_ns": problem.due_ns,
        "action": action,
        "actor": actor,
        "reason": reason,
    }
    step = f"{problem.number}-{kind.replace('.', '-')}-{problem.audit_seq}"
    book.tell(book.ticket(problem.last_ticket), kind, people, content, step=step)
