"""What can be done to a ticket over the web: each deed is a checked body and one call of the service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from andon.access.roles import Right
from andon.plant import Plant
from ticketing import fieldwork
from ticketing.demands import Hold, SignedBy, Ticks
from ticketing.service import By, Tickets
from ticketing.states import Step
from ticketing.ticket import Outcome, SubState, Ticket


def _one_or_many(value: object) -> object:
    """A form sends one line of evidence, a program a list."""
    return [value] if isinstance(value, str) else value


_NO_NUL = r"^[^\x00]*$"  # PostgreSQL keeps no NUL
Name = Annotated[str, Field(max_length=64, pattern=_NO_NUL)]
Text = Annotated[str, Field(max_length=4000, pattern=_NO_NUL)]
Evidence = Annotated[list[Text], BeforeValidator(_one_or_many), Field(max_length=20)]


@dataclass(frozen=True, slots=True)
class Target:
    """The ticket that something is done to, and who does it."""

    tickets: Tickets
    ticket_id: int
    plant: Plant
    by: By


class Deed(BaseModel):
    """A step with what it needs. `version` is the ticket's version the caller looked at (or header If-Match)."""

    model_config = ConfigDict(extra="forbid")
    version: int | None = None

    def to(self, on: Target) -> Ticket:
        """Do it; TicketingError says what is missing."""
        return self._to(on)

    def _to(self, on: Target) -> Ticket:
        raise NotImplementedError


class Assign(Deed):
    """Give it to a named person with a named backup. Routing's own suggestion needs no reason."""

    person: Name
    backup: Name
    reason: Text = ""

    def _to(self, on: Target) -> Ticket:
        return on.tickets.assign(
            on.ticket_id, person=self.person, backup=self.backup, plant=on.plant, reason=self.reason, **on.by
        )


class Back(Deed):
    """A step back: why, and what shows it (a note, a photo's hash, a finding's id)."""

    reason: Text = ""
    evidence: Evidence = []


class Transfer(Back):
    """Hand it over to another person, who has to accept it in turn."""

    person: Name
    backup: Name

    def _to(self, on: Target) -> Ticket:
        return on.tickets.transfer(
            on.ticket_id,
            person=self.person,
            backup=self.backup,
            plant=on.plant,
            reason=self.reason,
            evidence=self.evidence,
            **on.by,
        )


class Decline(Back):
    """The assignee does not take it."""

    def _to(self, on: Target) -> Ticket:
        return on.tickets.decline(on.ticket_id, reason=self.reason, evidence=self.evidence, **on.by)


class Accept(Deed):
    """The assignee takes it and says how it begins."""

    sub_state: SubState

    def _to(self, on: Target) -> Ticket:
        return on.tickets.accept(on.ticket_id, sub_state=self.sub_state, plant=on.plant, **on.by)


class Depart(Deed):
    """Who works on it is on the way."""

    note: Text = ""

    def _to(self, on: Target) -> Ticket:
        return fieldwork.depart(on.tickets, on.ticket_id, note=self.note, **on.by)


class Arrive(Deed):
    """Who works on it stands at the machine: its code scanned, else a position, else a note."""

    scan: Text = ""
    position: Text = ""
    note: Text = ""

    def _to(self, on: Target) -> Ticket:
        return fieldwork.arrive(
            on.tickets,
            on.ticket_id,
            plant=on.plant,
            scan=self.scan,
            position=self.position,
            note=self.note,
            **on.by,
        )


class Substate(Back):
    """What the work is at now, why, and what shows it; waiting for parts needs an open requisition."""

    sub_state: SubState

    def _to(self, on: Target) -> Ticket:
        return on.tickets.substate(
            on.ticket_id,
            sub_state=self.sub_state,
            plant=on.plant,
            reason=self.reason,
            evidence=self.evidence,
            **on.by,
        )


class HoldIt(Back):
    """The work waits, or cannot be solved for now: it stays in progress."""

    hold: Hold

    def _to(self, on: Target) -> Ticket:
        return fieldwork.hold(
            on.tickets, on.ticket_id, hold=self.hold, reason=self.reason, evidence=self.evidence, **on.by
        )


class Resume(Deed):
    """What the work waited for is there."""

    reason: Text = ""

    def _to(self, on: Target) -> Ticket:
        return fieldwork.resume(on.tickets, on.ticket_id, reason=self.reason, **on.by)


class Resolve(Deed):
    """The work is done; photos are sent before."""

    summary: Text = ""
    cause: Annotated[str, Field(max_length=16)] | None = None
    same_kind: bool | None = None
    scene_tag: Name | None = None

    def _to(self, on: Target) -> Ticket:
        return on.tickets.resolve(
            on.ticket_id,
            summary=self.summary,
            cause=self.cause,
            same_kind=self.same_kind,
            plant=on.plant,
            scene_tag=self.scene_tag,
            **on.by,
        )


class Sign(Deed):
    """The requester's three ticks, by login, by a signature drawn before, or by the code sent to the phone."""

    solved: bool = False
    no_derived_risk: bool = False
    no_further_support: bool = False
    signed_by: SignedBy = SignedBy.LOGIN
    signer: Name = ""
    code: Annotated[str, Field(max_length=16)] = ""

    def _to(self, on: Target) -> Ticket:
        return on.tickets.sign(
            on.ticket_id,
            ticks=Ticks(self.solved, self.no_derived_risk, self.no_further_support),
            plant=on.plant,
            signed_by=self.signed_by,
            signer=self.signer,
            code=self.code,
            **on.by,
        )


class Reject(Back):
    """The requester refuses to sign."""

    def _to(self, on: Target) -> Ticket:
        return on.tickets.reject(on.ticket_id, reason=self.reason, evidence=self.evidence, **on.by)


class GiveUp(Deed):
    """Closed without a repair or a signature: why, and who approved it."""

    reason: Text = ""
    approver: Name = ""


class CloseUnsigned(GiveUp):
    """A supervisor closes what nobody signs."""

    def _to(self, on: Target) -> Ticket:
        return on.tickets.close_unsigned(
            on.ticket_id, reason=self.reason, approver=self.approver, plant=on.plant, **on.by
        )


class Cancel(GiveUp):
    """Nothing needs to be done; `outcome` where that is for planned work or an operating change."""

    outcome: Literal[Outcome.PLANNED, Outcome.OPERATING_CHANGE] | None = None

    def _to(self, on: Target) -> Ticket:
        return on.tickets.cancel(
            on.ticket_id,
            reason=self.reason,
            approver=self.approver,
            outcome=self.outcome,
            plant=on.plant,
            **on.by,
        )


class FalseAlarm(GiveUp):
    """There was no fault; `outcome` where planned work or an operating change had set it off."""

    outcome: Literal[Outcome.FALSE_ALARM, Outcome.PLANNED, Outcome.OPERATING_CHANGE] = Outcome.FALSE_ALARM

    def _to(self, on: Target) -> Ticket:
        return on.tickets.false_alarm(
            on.ticket_id,
            reason=self.reason,
            approver=self.approver,
            outcome=self.outcome,
            plant=on.plant,
            **on.by,
        )


class Duplicate(GiveUp):
    """It is the same as another open ticket, which takes over what was folded into this one."""

    master: int

    def _to(self, on: Target) -> Ticket:
        return on.tickets.duplicate(
            on.ticket_id,
            of=self.master,
            reason=self.reason,
            approver=self.approver,
            plant=on.plant,
            **on.by,
        )


class Reopen(Back):
    """A closed ticket goes on."""

    def _to(self, on: Target) -> Ticket:
        return on.tickets.reopen(
            on.ticket_id, reason=self.reason, evidence=self.evidence, plant=on.plant, **on.by
        )


class Relearn(Deed):
    """The proposal of the closure is accepted: the component's baseline is learned anew."""

    note: Text = ""

    def _to(self, on: Target) -> Ticket:
        return on.tickets.relearn(on.ticket_id, note=self.note, **on.by)


class KeepBaseline(Deed):
    """The proposal of the closure is declined, and why."""

    reason: Text = ""

    def _to(self, on: Target) -> Ticket:
        return on.tickets.keep_baseline(on.ticket_id, reason=self.reason, **on.by)


class Archive(Deed):
    """A closed ticket is done with; its scene tag, if the handler named none."""

    scene_tag: Name | None = None

    def _to(self, on: Target) -> Ticket:
        return fieldwork.archive(on.tickets, on.ticket_id, scene_tag=self.scene_tag, plant=on.plant, **on.by)


DEEDS: Mapping[Step, type[Deed]] = {
    Step.ASSIGN: Assign,
    Step.TRANSFER: Transfer,
    Step.DECLINE: Decline,
    Step.ACCEPT: Accept,
    Step.DEPART: Depart,
    Step.ARRIVE: Arrive,
    Step.SUBSTATE: Substate,
    Step.HOLD: HoldIt,
    Step.RESUME: Resume,
    Step.RESOLVE: Resolve,
    Step.SIGN: Sign,
    Step.REJECT: Reject,
    Step.CLOSE_UNSIGNED: CloseUnsigned,
    Step.CANCEL: Cancel,
    Step.FALSE_ALARM: FalseAlarm,
    Step.DUPLICATE: Duplicate,
    Step.REOPEN: Reopen,
    Step.RELEARN: Relearn,
    Step.KEEP_BASELINE: KeepBaseline,
    Step.ARCHIVE: Archive,
}
"""Every step that people take; FAIL_AGAIN is the machine's own."""

RIGHT_OF: Mapping[Step, Right] = {
    **dict.fromkeys(DEEDS, Right.WORK),
    **dict.fromkeys((Step.SIGN, Step.REJECT), Right.REPORT),
    **dict.fromkeys((Step.REOPEN, Step.ARCHIVE), Right.LEAD),
    **dict.fromkeys((Step.RELEARN, Step.KEEP_BASELINE), Right.TUNE),
    **dict.fromkeys((Step.ASSIGN, Step.CANCEL, Step.FALSE_ALARM), Right.PLAN),
    **dict.fromkeys((Step.DUPLICATE, Step.CLOSE_UNSIGNED), Right.PLAN),
}
"""What each step asks for: who has worked on it works, who asked for it confirms."""
