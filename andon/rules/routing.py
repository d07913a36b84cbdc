"""How tickets find their person: rules in order, the first that fits; what it demands, how it ranks, whom it asks."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from andon.events import Priority

Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Against = Literal["skill", "on_leave", "off_shift", "region", "declined", "offline", "other_line", "full"]
"""What can speak against a person, the gravest first."""

MUST: tuple[Against, ...] = ("skill", "on_leave", "off_shift", "region", "declined")
PREFER: tuple[Against, ...] = ("offline", "other_line", "full")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class When(_Frozen):
    """Which tickets a rule is for; what is left out does not restrict."""

    types: tuple[str, ...] = Field(default=(), description="Types of tickets, by code.")
    priorities: tuple[Priority, ...] = Field(default=(), description="Their priorities.")
    urgent: bool | None = Field(default=None, description="Whether they are marked as urgent.")
    fault_types: tuple[str, ...] = Field(default=(), description="Their fault types, by code.")
    lines: tuple[str, ...] = Field(default=(), description="The lines their machines stand in.")


class Weights(_Frozen):
    """How much each part counts in the score of who passes; only their ratios matter, 0 switches a part off."""

    load: float = Field(default=5.0, ge=0, le=100, description="The free share of what the person can carry.")
    distance: float = Field(
        default=2.0, ge=0, le=100, description="Nearness to the machine; unknown counts as farthest."
    )
    experience: float = Field(
        default=2.0, ge=0, le=100, description="Tickets on the same machine that the person has done."
    )
    seniority: float = Field(default=1.0, ge=0, le=100, description="Years in the trade.")


class RoutingRule(_Frozen):
    """One rule: for which tickets, what it demands of a person, how those who pass are ranked, and who is asked."""

    name: Name = Field(description="What the decision is recorded under.")
    when: When = Field(default=When(), description="The tickets that it is for; left out: all.")
    tags: tuple[Name, ...] = Field(default=(), description="Tags asked for beside those of the fault type.")
    must: tuple[Against, ...] = Field(
        default=MUST, description="Nobody is named against whom one of these speaks, while there are others."
    )
    prefer: tuple[Against, ...] = Field(
        default=PREFER, description="Whom one of these speaks against comes after all others, in this order."
    )
    weights: Weights = Field(default=Weights(), description="How those are ranked who are equal so far.")
    offer_to: int = Field(
        default=0,
        ge=0,
        le=20,
        description="Offer it to so many at once, the first to accept has it; 0: name one.",
    )
    offer_s: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="Seconds until an offer that nobody accepted goes further.",
    )


LINE_STOP = RoutingRule(
    name="line_stop",
    when=When(urgent=True, fault_types=("line_stop",)),
    must=(*MUST, "offline"),
    prefer=(),
    weights=Weights(load=0, distance=1, experience=0, seniority=0),
    offer_to=3,
)
"""An urgent line stop skips the queue: the nearest three who are online and can do it (rule 19)."""

USUAL = RoutingRule(name="usual")
"""What holds where no rule of the plant fits."""


ROLES: dict[Name, tuple[Name, ...]] = {
    "line_leader": ("line leader", "shift leader", "supervisor", "班组长"),
    "duty": ("duty manager", "planner", "值班经理", "计划员"),
    "administrator": ("administrator", "管理员"),
    "quality": ("quality", "quality engineer", "质量", "质量工程师"),
    "equipment_director": ("equipment director", "设备总监"),
    "customer_service_supervisor": ("customer_service_supervisor", "customer service supervisor", "客服主管"),
}
"""The roles that the product itself names, and who fills them where the plant says nothing else."""


class Routing(_Frozen):
    """The plant's rules of routing and the words they rest on."""

    rules: tuple[RoutingRule, ...] = Field(
        default=(LINE_STOP,), description="In order: the first that fits decides; none: as by default."
    )
    roles: dict[Name, tuple[Name, ...]] = Field(
        default={}, description="Role -> the roles of people who fill it, the best first; besides `ROLES`."
    )
    off_shift: Literal["duty", "next_shift"] = Field(
        default="duty", description="Whom a role means while nobody who fills it is on shift."
    )
    stale_s: float = Field(
        default=900.0,
        gt=0,
        le=604_800,
        description="Seconds after which a reported presence is unknown again.",
    )
    experience_days: int = Field(
        default=180, ge=1, le=3650, description="Days that done work counts as experience."
    )
    near_m: float = Field(default=100.0, gt=0, le=1e6, description="Metres at which nearness counts half.")

    def filled_by(self, role: str) -> tuple[Name, ...]:
        """The roles of people, as they stand in the document, that a role stands for."""
        return self.roles.get(role) or ROLES.get(role, (role,))
