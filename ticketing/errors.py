"""Why a step was refused. Every error has a stable `code`; the API turns codes into answers.

TicketingError
├── TicketNotFound   ticket_not_found
├── StaleVersion     stale_version    someone else was faster
├── NoEdge           no_edge          that state cannot be left this way
├── StepRefused      step_refused     the step's demands are not met; `missing` says which
├── KeyTaken         key_has_open_ticket
├── NotOnTicket      not_on_ticket
└── PhotoRefused     photo_empty, photo_too_large, photo_not_an_image, photo_too_many_pixels, photo_no_folder
"""

from collections.abc import Sequence
from dataclasses import dataclass


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
    """The ticket has moved on since the caller looked at it."""

    code = "stale_version"

    def __init__(self, ticket: int, *, expected: int, actual: int) -> None:
        super().__init__(f"ticket {ticket} is at version {actual}, not {expected}: look again")
        self.ticket = ticket
        self.expected = expected
        self.actual = actual


class NoEdge(TicketingError):
    """No edge leads there from the state the ticket is in; `allowed` are the ones that can be taken."""

    code = "no_edge"

    def __init__(self, state: str, wanted: str, allowed: Sequence[str]) -> None:
        super().__init__(
            f"{wanted!r} is not possible in state {state!r}; possible: {', '.join(allowed) or 'nothing'}"
        )
        self.state = state
        self.wanted = wanted
        self.allowed = tuple(allowed)


class StepRefused(TicketingError):
    """A state is a contract: these demands of the step are not met."""

    code = "step_refused"

    def __init__(self, step: str, state: str, missing: Sequence[Missing]) -> None:
        said = ", ".join(f"{m.demand} ({m.why})" for m in missing)
        super().__init__(f"{step!r} from {state!r} is refused; missing: {said}")
        self.step = step
        self.state = state
        self.missing = tuple(missing)


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
