"""Why a step was refused. Every error has a stable `code`; the API turns codes into answers.

TicketingError
├── TicketNotFound   ticket_not_found
├── StaleVersion     stale_version    someone else was faster
├── NoEdge           no_edge          that state cannot be left this way
├── StepRefused      step_refused     the step's demands are not met; `missing` says which
├── KeyTaken         key_has_open_ticket
├── ProblemNotFound  problem_not_found
├── ScopeTaken       scope_has_open_problem
├── NotOnTicket      not_on_ticket
├── VagueWord        vague            a word that names no state
├── ReportRefused    report_unreadable, report_too_large, event_id_missing, report_refused, idempotency_key_reused
├── FieldsRefused    fields_refused   what was to be set on a ticket; `missing` names each field and why
├── DeedRefused      a code for each deed beside the steps: requisitions, approvals, codes by SMS, ratings
├── AttachmentRefused attachment_empty, attachment_unknown, attachment_too_large, attachments_too_many,
│                    attachment_quota
└── PhotoRefused     photo_empty, photo_too_large, photo_not_an_image, photo_too_many_pixels, photo_animated,
                     photo_too_costly, photo_busy, photo_too_many, photo_quota, photo_no_folder, signature_blank
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ticketing.ticket import TicketEvent


@dataclass(frozen=True, slots=True)
class Missing:
    """One demand that is not met: `why` is "absent" or what is wrong with what was given."""

    demand: str
    why: str = "absent"


class TicketingError(Exception):
    """A step that ticketing refused."""

    code = "ticketing_error"


class TicketNotFound(TicketingError):
    """There is no ticket of that id."""

    code = "ticket_not_found"

    def __init__(self, ticket: int) -> None:
        super().__init__(f"there is no ticket {ticket}")
        self.ticket = ticket


class StaleVersion(TicketingError):
    """The ticket has moved on since the caller looked at it; `since` are the audit lines that came after."""

    code = "stale_version"

    def __init__(self, ticket: int, *, expected: int, actual: int, since: Sequence[TicketEvent] = ()) -> None:
        super().__init__(f"ticket {ticket} is at version {actual}, not {expected}: look again")
        self.ticket = ticket
        self.expected = expected
        self.actual = actual
        self.since = tuple(since)


class NoEdge(TicketingError):
    """No edge leads there from the state the ticket is in; `allowed` are the ones that can be taken."""

    code = "no_edge"

    def __init__(self, state: str, wanted: str, allowed: Sequence[str]) -> None:
        super().__init__(
            f"{wanted!s} is not possible in state {state!s}; possible: {', '.join(allowed) or 'nothing'}"
        )
        self.state = state
        self.wanted = wanted
        self.allowed = tuple(allowed)


class StepRefused(TicketingError):
    """A state is a contract: these demands of the step are not met."""

    code = "step_refused"

    def __init__(self, step: str, state: str, missing: Sequence[Missing]) -> None:
        said = ", ".join(f"{m.demand} ({m.why})" for m in missing)
        super().__init__(f"{step!s} from {state!s} is refused; missing: {said}")
        self.step = step
        self.state = state
        self.missing = tuple(missing)


class ProblemNotFound(TicketingError):
    """There is no root-cause or improvement task of that id."""

    code = "problem_not_found"

    def __init__(self, problem: int) -> None:
        super().__init__(f"there is no problem {problem}")
        self.problem = problem


class ScopeTaken(TicketingError):
    """Reopening would give one scope two open problems."""

    code = "scope_has_open_problem"

    def __init__(self, problem: int, other: int) -> None:
        super().__init__(
            f"problem {problem} cannot be reopened: problem {other} is open for the same scope; work there"
        )
        self.problem = problem
        self.other = other


class KeyTaken(TicketingError):
    """Reopening would give one key two open tickets (invariant I2)."""

    code = "key_has_open_ticket"

    def __init__(self, ticket: int, other: int) -> None:
        super().__init__(f"ticket {ticket} cannot be reopened: ticket {other} is open for the same cause")
        self.ticket = ticket
        self.other = other


class NotOnTicket(TicketingError):
    """What was to be taken off the ticket is not on it, or is all that is on it."""

    code = "not_on_ticket"

    def __init__(self, ticket: int, key: str) -> None:
        super().__init__(f"cause {key} cannot be split off ticket {ticket}")
        self.ticket = ticket
        self.key = key


class PhotoRefused(TicketingError):
    """The bytes given are not a photo that can be kept."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class AttachmentRefused(TicketingError):
    """The file given with a request cannot be kept, or is one too many; `code` says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class VagueWord(TicketingError):
    """A word that names no state (rule 37); `allowed` are those that do."""

    code = "vague"

    def __init__(self, word: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{word!r} is no state; write one of: {', '.join(allowed)}")
        self.word = word
        self.allowed = tuple(allowed)


class DeedRefused(TicketingError):
    """What is no step of the ticket's state, and cannot be done: `code` says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class ReportRefused(TicketingError):
    """A person's report that opens no ticket; `missing` names each field and what is wrong with it."""

    def __init__(self, code: str, missing: Sequence[Missing]) -> None:
        said = ", ".join(f"{m.demand} ({m.why})" for m in missing)
        super().__init__(f"the report is refused; wrong or missing: {said}")
        self.code = code
        self.missing = tuple(missing)


class FieldsRefused(TicketingError):
    """Values that cannot stand on the ticket; `missing` names each field and what is wrong with it."""

    code = "fields_refused"

    def __init__(self, missing: Sequence[Missing]) -> None:
        super().__init__(f"refused: {', '.join(f'{m.demand} ({m.why})' for m in missing)}")
        self.missing = tuple(missing)
