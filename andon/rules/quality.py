"""When a share is a finding, who may freeze a batch, and how long sister machines and audits may take (rules 51, 56, 59)."""

from pydantic import BaseModel, ConfigDict, Field


class Quality(BaseModel):
    """What quality work goes by; one that says nothing has the product's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    significance: float = Field(
        default=0.05,
        gt=0,
        lt=0.5,
        description="a share stands out if chance alone would make one like it less often than this, all that were "
        "compared at once taken into account (Holm)",
    )
    fewest: int = Field(
        default=5, ge=2, le=1000, description="fewer tickets than this are no finding, whatever their share"
    )
    times: float = Field(
        default=1.5,
        ge=1,
        le=100,
        description="a share that is less than so many times that of the others is no finding, however sure it is",
    )
    freezers: tuple[str, ...] = Field(
        default=("quality", "quality manager", "production manager", "质量", "质量经理", "生产经理"),
        description="roles that decide on the freeze of a batch and on its release, never the one who asks",
    )
    sisters_d: float = Field(
        default=14.0,
        gt=0,
        le=365,
        description="what is to be done on sister machines is due after so many days",
    )
    audit_d: float = Field(
        default=30.0, gt=0, le=365, description="the audit of a supplier is due after so many days"
    )
