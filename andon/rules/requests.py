"""How much may come with a request, and what a code on a machine begins with."""

from pydantic import BaseModel, ConfigDict, Field


class Requests(BaseModel):
    """Bounds on the files that people send with their requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    files: int = Field(default=8, ge=1, le=20, description="files with one report at most")
    video_mb: int = Field(default=50, ge=1, le=60, description="MiB of one video at most")
    a_day_mb: int = Field(default=500, ge=10, le=100_000, description="MiB of files of one person in 24 h")
    scan_type: str = Field(
        default="", description="ticket type that a scanned code begins with; empty: the first in use"
    )
