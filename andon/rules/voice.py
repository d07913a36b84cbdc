"""How those are heard who wait for the work: other departments, and requesters who ask where it stands (rule 35, K2, K4)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Role = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Voice(BaseModel):
    """How long another department may take to acknowledge, who hears of it, and how often an enquiry counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    acknowledge_within_min: float = Field(
        default=15.0, gt=0, le=10_080, description="minutes in which another department acknowledges"
    )
    unacknowledged_to: Role = Field(
        default="line_leader",
        description="role that is told when it has not, beside both departments' people",
    )
    enquiry_every_min: float = Field(
        default=10.0,
        ge=0,
        le=1440,
        description="of the enquiries about a ticket one is counted in so many minutes",
    )
