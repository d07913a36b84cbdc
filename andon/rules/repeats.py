"""When failures that come back become root-cause work: the scope of a repeat, the count of a month, and what is due when."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Scope = Literal["asset", "asset_fault", "asset_component"]
CauseKey = Literal["code", "code_model", "code_component"]
Period = Literal["month", "rolling_30_d"]


class Repeats(BaseModel):
    """Rules 53 and 54 as data: 72 h to the RCA, three of a kind a month to the improvement task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Scope = Field(
        default="asset",
        description="what has to fail again for an RCA: the `asset`, or `asset_fault` (the same fault of it), or "
        "`asset_component` (the same component of it)",
    )
    within_h: float = Field(
        default=72.0,
        gt=0,
        le=8760,
        description="a failure so many hours after the one before, or after its repair, is a repeat; inclusive",
    )
    roll_up: bool = Field(
        default=False, description="a failure of an asset counts for the one whose `path` it stands below"
    )
    ignored_sources: tuple[str, ...] = Field(
        default=(), description="what these sources say is simulated or commissioning: no failure"
    )
    cause_key: CauseKey = Field(
        default="code_model",
        description="what makes causes of one kind: root cause `code` alone, or `code_model` (and the machine's "
        "model), or `code_component`",
    )
    improvement_at: int = Field(
        default=3,
        ge=2,
        le=100,
        description="so many repaired tickets of one cause ask for an improvement task",
    )
    period: Period = Field(
        default="month",
        description="within a calendar `month` in the plant's time zone, or within `rolling_30_d` days",
    )
    unknown_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="alarm when more than this share of a month's causes is other or unknown",
    )
    quality_role: str = Field(
        default="quality", description="the role that hears of improvement tasks and of what is overdue"
    )
    due_d: float = Field(
        default=7.0, gt=0, le=365, description="an RCA or improvement task is due after so many days"
    )
    remind_d: float = Field(
        default=1.0, ge=0, le=365, description="so many days before it is due its person is reminded"
    )
    escalate_d: float = Field(
        default=2.0, ge=0, le=365, description="so many days after it was due the quality role is told"
    )
    check_d: float = Field(
        default=30.0,
        gt=0,
        le=730,
        description="days without recurrence after which the effectiveness is checked",
    )
