"""When a metric asks for something to be done: the site's own bounds, and what "sustained" and "soaring" mean (rule 56)."""

from pydantic import BaseModel, ConfigDict, Field


class MetricBounds(BaseModel):
    """The bounds of one metric, in its unit: what is healthy, and beyond what somebody has to act; none: no bound."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    healthy: float | None = Field(default=None, description="the last value that is healthy")
    act: float | None = Field(default=None, description="the last value that asks for no action")


class Metrics(BaseModel):
    """What the metrics are held to; a site that says nothing has the product's bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bounds: dict[str, MetricBounds] = Field(
        default_factory=dict, description="code of a metric, like `K1` -> bounds instead of the product's"
    )
    sustained_months: int = Field(
        default=2,
        ge=1,
        le=12,
        description="so many closed months running make a low knowledge reuse sustained",
    )
    long_months: int = Field(
        default=3, ge=1, le=12, description="so many months running make a high top-3 share last long"
    )
    long_share: float = Field(
        default=75.0,
        ge=0,
        le=100,
        description="top-3 share beyond which routine analysis stops in the end, percent",
    )
    soaring: float = Field(
        default=1.5, gt=1, le=100, description="soaring: so many times the mean of the three months before"
    )
    shorter: float = Field(
        default=40.0,
        gt=0,
        lt=100,
        description="work shorter than the others' by so many percent may be cherry picking",
    )
    review_by: str = Field(default="quality", description="role that an action of a metric is given to")
    review_d: float = Field(default=7.0, gt=0, le=365, description="an action is due after so many days")
