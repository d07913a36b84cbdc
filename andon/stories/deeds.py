"""What people of a story do: each deed is one request of the REST interface."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from api.problem_deeds import DEEDS as PROBLEM_DEEDS
from api.steps import DEEDS as STEPS
from ticketing.clocks import ClockKind

WATCHED = frozenset(str(kind) for kind in ClockKind)


@dataclass(frozen=True, slots=True)
class DeedOf:
    """One request: `{on}` in its path is the ticket, task, part or person that it is done on.

    `named`: what is done on has a name of the story. `versioned`: it says which version was looked at. `file`: the
    form's field that a picture is sent in.
    """

    path: str
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    named: Literal["tickets", "problems", ""] = "tickets"
    versioned: bool = True
    file: str = ""

    @property
    def on_named(self) -> bool:
        """Whether it is done on a ticket or task that the story has named."""
        return bool(self.named) and "{on}" in self.path


def _ticket(name: str) -> DeedOf:
    return DeedOf(f"tickets/{{on}}/{name}")


def _plain(path: str, method: Literal["POST", "PUT", "DELETE"] = "POST", *, file: str = "") -> DeedOf:
    known: Mapping[str, Literal["tickets", "problems"]] = {"tickets": "tickets", "problems": "problems"}
    return DeedOf(path, method, known.get(path.partition("/")[0], ""), versioned=False, file=file)


DEEDS: Mapping[str, DeedOf] = {
    **{str(step): _ticket(step) for step in STEPS},
    **{name: _ticket(name) for name in ("split", "unmerge", "recode")},
    **{f"problem_{step}": DeedOf(f"problems/{{on}}/{step}", named="problems") for step in PROBLEM_DEEDS},
    "edit": DeedOf("tickets/{on}/fields", "PATCH"),
    "report": _plain("reports"),
    "comment": _plain("tickets/{on}/comments"),
    "photo": _plain("tickets/{on}/photos", file="photo"),
    "signature": _plain("tickets/{on}/signature", file="picture"),
    "accept_offer": _plain("tickets/{on}/offers/accept"),
    "decline_offer": _plain("tickets/{on}/offers/decline"),
    "claim": _plain("tickets/{on}/claim"),
    "to_backup": _plain("tickets/{on}/to_backup"),
    "collaborator": _plain("tickets/{on}/collaborators"),
    "link": _plain("tickets/{on}/links"),
    "request_part": _plain("tickets/{on}/requisitions"),
    "issue_part": _plain("requisitions/{on}/issue"),
    "withdraw_part": _plain("requisitions/{on}/withdraw"),
    "return_part": _plain("requisitions/{on}/return"),
    "supplier": _plain("suppliers"),
    "part": _plain("parts"),
    "receive": _plain("stock/receive"),
    "count": _plain("stock/count"),
    "send_code": _plain("tickets/{on}/sign-code"),
    "ask_approval": _plain("tickets/{on}/approvals"),
    "grant": _plain("approvals/{on}/grant"),
    "refuse_approval": _plain("approvals/{on}/refuse"),
    "rate": _plain("tickets/{on}/rating"),
    "knowledge": _plain("tickets/{on}/obligations/knowledge"),
    "review": _plain("tickets/{on}/obligations/review"),
    "investigate": _plain("investigations"),
    "audit": _plain("problems/{on}/audits"),
    "finish_audit": _plain("audits/{on}/finish"),
    "make_mandatory": _plain("problems/{on}/mandatory-fields"),
    "presence": _plain("people/{on}/presence", "PUT"),
    "reassign": _plain("people/{on}/reassign"),
    "suppress": _plain("suppressions"),
    "end_suppression": _plain("suppressions/{on}", "DELETE"),
}
"""What a step's `do` can be, besides what machines do."""
