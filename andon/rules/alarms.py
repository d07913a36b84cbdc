"""The master alarm database (ISA-18.2, 6): what an alarm means, how urgent it is, and what it takes to be told."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from andon.events import Family, Finding, Priority

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fleeting(_Frozen):
    """When an activation is too short to send anybody: it is recorded, and becomes a ticket only if it comes often."""

    active_s: float = Field(
        default=10.0, gt=0, le=3600, description="shorter than this it is fleeting, in seconds"
    )
    repeat_s: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="unless it comes again within so many seconds of its end",
    )
    per_hour: int = Field(
        default=3, ge=2, le=20, description="or so many of them begin within an hour: then it is told"
    )


class Count(_Frozen):
    """An alarm that is told only when it has come a number of times."""

    n: int = Field(ge=2, le=20, description="so many activations")
    within_s: float = Field(
        gt=0,
        le=86_400,
        description="within so many seconds; one that stands so long is told as well",
    )


class Chattering(_Frozen):
    """When an alarm that comes and goes is called chattering, and when it has calmed (two thresholds, as Nagios has)."""

    activations: int = Field(default=3, ge=2, le=20, description="so many activations ...")
    activations_s: float = Field(default=60.0, gt=0, le=3600, description="... within so many seconds")
    transitions: int = Field(default=5, ge=2, le=40, description="or more transitions than this ...")
    transitions_s: float = Field(default=300.0, gt=0, le=3600, description="... within so many seconds")
    calm_s: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="it has calmed when fewer than two transitions lie within so many seconds",
    )


class AlarmDefinition(_Frozen):
    """One alarm of the master database. All that it asks for has to be true of a finding; the first that fits is taken."""

    code: Code = Field(description="its name for ever")
    asset: str | None = Field(default=None, description="id of the machine")
    asset_class: str | None = Field(default=None, description="class of the machine")
    family: Family | None = Field(default=None, description="family of the finding")
    condition: str | None = Field(default=None, description="condition of the finding, such as `zone_c`")
    reason: str | None = Field(default=None, description="id of the stop's reason, or the component")
    category: str | None = Field(default=None, description="category of the stop")
    priority: Priority | None = Field(default=None, description="of its tickets; none: as `priorities` say")
    on_delay_s: float = Field(
        default=0.0, ge=0, le=86_400, description="it has to stand for so many seconds before it counts"
    )
    off_delay_s: float = Field(
        default=0.0, ge=0, le=86_400, description="it has to be gone for so many seconds before it is over"
    )
    deadband_percent: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="raised again within ten minutes of its end, it counts only if its number lies so many percent "
        "of the limit beyond the limit; for findings that have a number with a limit",
    )
    fleeting: Fleeting | None = Field(default=None, description="what is too short to be told; none: nothing")
    count: Count | None = Field(default=None, description="how often it has to come to be told; none: once")
    chattering: Chattering = Field(default=Chattering(), description="when it chatters")
    suppressible: bool = Field(default=True, description="whether it may be shelved or suppressed")
    consequence: str = Field(default="", max_length=400, description="what happens if nobody acts")
    response_hint: str = Field(default="", max_length=400, description="what the operator is to do")
    rationalised_by: str = Field(default="", max_length=100, description="who has justified it")
    rationalised_at: str = Field(default="", max_length=40, description="and when, RFC 3339")

    @model_validator(mode="after")
    def _critical_is_told(self) -> Self:
        if self.priority == "critical" and self.holds_back:
            raise ValueError(f"alarm {self.code}: a critical alarm is never held back: leave its delays out")
        return self

    @property
    def holds_back(self) -> bool:
        """Whether it may hold an activation back."""
        return bool(self.on_delay_s or self.fleeting or self.count or self.deadband_percent)

    def fits(self, finding: Finding, asset_class: str | None) -> bool:
        """Whether it is the definition of what that finding says."""
        asked = (
            (self.asset, finding.asset),
            (self.asset_class, asset_class),
            (self.family, finding.family),
            (self.condition, finding.condition),
            (self.reason, finding.component),
            (self.category, finding.text.get("category")),
        )
        return all(wanted is None or wanted == given for wanted, given in asked)


PRODUCTS_OWN = AlarmDefinition(code="andon")
"""Of what no definition fits: told at once, whatever it is."""
