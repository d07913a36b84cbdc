"""How long things may take, by whose time, and who is told: policies in order, the first that fits a ticket (rule 28)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from andon.calendars import Calendar
from andon.events import Priority

Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
ClockName = Literal["response", "claim", "resolution", "update", "dwell", "signoff"]
CLOCKS: tuple[ClockName, ...] = get_args(ClockName)
YEAR_MIN = 525_600


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EscalationStep(_Frozen):
    """Whom a limit that passes is told, and when; of several that are overdue only the last is taken."""

    to: Name = Field(
        description="A role of routing, a person's role as it is written, or `assignee`, `backup`, `requester`."
    )
    at_min: float = Field(
        default=0.0,
        ge=-YEAR_MIN,
        le=YEAR_MIN,
        description="Minutes after the limit, by its own clock; negative: before it.",
    )
    channel: str = Field(
        default="", max_length=64, description="The channel that it is meant for, as a hint; empty: any."
    )
    repeat: int = Field(default=1, ge=1, le=5, description="How often it is said.")
    every_min: float = Field(default=60.0, gt=0, le=YEAR_MIN, description="Minutes between two times.")


class Limit(_Frozen):
    """How long something may take: to the very end of it is in time."""

    minutes: float = Field(gt=0, le=YEAR_MIN, description="Minutes by its clock.")
    clock: Literal["wall", "working"] = Field(
        default="working", description="Whether all time counts, or that of its calendar."
    )
    calendar: str = Field(default="", description="One of the plant's calendars; empty: that of `sla`.")
    steps: tuple[EscalationStep, ...] = Field(default=(), max_length=20, description="Who is told, and when.")


class Fitting(_Frozen):
    """Which tickets a policy is for: all that is said has to be true; what is left out does not restrict."""

    types: tuple[str, ...] = Field(default=(), description="Types of tickets, by code.")
    priorities: tuple[Priority, ...] = Field(default=(), description="Their priorities.")
    urgent: bool | None = Field(default=None, description="Whether they are marked as urgent.")
    grades: tuple[str, ...] = Field(default=(), description="Grades of their requesters.")
    conditions: tuple[str, ...] = Field(
        default=(), description="Condition or family of what was found, or the fault type; one is enough."
    )
    lines: tuple[str, ...] = Field(default=(), description="The lines their machines stand in.")


class SlaPolicy(_Frozen):
    """One policy; a limit that it does not give is that of `usual`."""

    name: Name = Field(description="What escalations are recorded under.")
    when: Fitting = Field(default=Fitting(), description="The tickets that it is for; left out: all.")
    response: Limit | None = Field(default=None, description="From opening to the first thing a person does.")
    claim: Limit | None = Field(default=None, description="From being assigned to being accepted.")
    resolution: Limit | None = Field(
        default=None, description="From opening to resolved, less the time on hold."
    )
    update: Limit | None = Field(default=None, description="From one thing that a person does to the next.")
    dwell: Limit | None = Field(default=None, description="In one state or sub-state, on hold or not.")
    signoff: Limit | None = Field(default=None, description="From resolved to the requester's signature.")
    without: tuple[ClockName, ...] = Field(default=(), description="What is not limited here.")

    def limit(self, clock: ClockName) -> Limit | None:
        """What it says of that clock."""
        found: Limit | None = getattr(self, clock)
        return found


_RAISED = (EscalationStep(to="line_leader"), EscalationStep(to="duty", at_min=30, repeat=3, every_min=60))


def _policy(
    name: str, when: Fitting, response_min: float, claim_min: float, resolution_min: float
) -> SlaPolicy:
    return SlaPolicy(
        name=name,
        when=when,
        response=Limit(minutes=response_min, steps=_RAISED),
        claim=Limit(minutes=claim_min, steps=(EscalationStep(to="line_leader"),)),
        resolution=Limit(minutes=resolution_min, steps=(EscalationStep(to="assignee", at_min=-30), *_RAISED)),
    )


POLICIES: tuple[SlaPolicy, ...] = (
    _policy("line_stop", Fitting(conditions=("stop", "line_stop")), 15, 5, 4 * 60),
    _policy("critical", Fitting(priorities=("critical",)), 15, 5, 8 * 60),
    _policy("hardware_fault", Fitting(types=("hardware_fault",)), 15, 15, 8 * 60),
    _policy("process_abnormality", Fitting(types=("process_abnormality",)), 30, 15, 8 * 60),
    _policy("configuration_enquiry", Fitting(types=("configuration_enquiry",)), 2 * 60, 30, 24 * 60),
    _policy("customer_complaint", Fitting(types=("customer_complaint",)), 2 * 60, 30, 24 * 60),
    _policy("spare_part_requisition", Fitting(types=("spare_part_requisition",)), 4 * 60, 60, 24 * 60),
    SlaPolicy(
        name="preventive_maintenance",
        when=Fitting(types=("preventive_maintenance",)),
        without=("response", "claim", "resolution", "update", "dwell"),
    ),
)
"""Rule 28: hardware fault at most 15 min, configuration enquiry 2 h, a failure under contract 2 h."""

USUAL = _policy("usual", Fitting(), 2 * 60, 15, 24 * 60).model_copy(
    update={
        "update": Limit(
            minutes=120,
            steps=(EscalationStep(to="assignee"), EscalationStep(to="line_leader", at_min=30, repeat=3)),
        ),
        "dwell": Limit(minutes=120, steps=(EscalationStep(to="line_leader"),)),
        "signoff": Limit(
            minutes=24 * 60,
            clock="wall",
            steps=(
                EscalationStep(to="requester", channel="console"),
                EscalationStep(to="customer_service_supervisor", channel="mail"),
            ),
        ),
    }
)
"""What holds where no policy of the plant says otherwise (rules 31 and 32, edge table)."""


class Sla(_Frozen):
    """The plant's policies, and what they share."""

    policies: tuple[SlaPolicy, ...] = Field(
        default=POLICIES, description="In order: the first that fits a ticket holds; none: `usual`."
    )
    usual: SlaPolicy = Field(default=USUAL, description="What holds besides.")
    calendar: str = Field(
        default="", description="The plant's calendar of working time; empty: around the clock."
    )
    wall_priorities: tuple[Priority, ...] = Field(
        default=("critical",),
        description="Tickets of these priorities know no working time: all time counts.",
    )
    wall_conditions: tuple[str, ...] = Field(
        default=("stop", "line_stop"), description="The same for these conditions, families and fault types."
    )
    drift_before_min: float = Field(
        default=15.0,
        ge=0,
        le=720,
        description="Minutes before the day's first shift at which the drift list is made (rule 30).",
    )
    drift_at: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = Field(
        default="08:00", description="When the day begins where there is no calendar."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        names = [policy.name for policy in (*self.policies, self.usual)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"policies must have names of their own; twice: {', '.join(twice)}")
        return self

    def limits(self) -> Iterator[tuple[str, ClockName, Limit]]:
        """Every limit of every policy, with the policy's name."""
        for policy in (*self.policies, self.usual):
            for clock in CLOCKS:
                limit = policy.limit(clock)
                if limit is not None:
                    yield policy.name, clock, limit


def check_sla(sla: Sla, calendars: Mapping[str, Calendar]) -> None:
    """ValueError if a calendar is named that the plant does not have."""
    named = [("sla", sla.calendar)]
    named += [(f"sla policy {policy}: {clock}", limit.calendar) for policy, clock, limit in sla.limits()]
    for where, name in named:
        if name and name not in calendars:
            raise ValueError(f"{where}: there is no calendar {name!r} under calendars")
