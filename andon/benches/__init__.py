"""What `andon bench` measures: one file per bench, each with `rows(...)`; a row stands for one figure, and for a goal where it names one."""

import os
import platform
from dataclasses import dataclass

from andon.events import Json


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ratio` is against `versus`, measured in the same run; `limit` bounds the ratio, or else the value."""

    name: str
    value: float
    unit: str
    versus: str | None = None
    ratio: float | None = None
    goal: str | None = None
    limit: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.limit is None:
            return None
        return (self.value if self.ratio is None else self.ratio) <= self.limit

    def facts(self) -> dict[str, Json]:
        """The row as JSON."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "versus": self.versus,
            "ratio": self.ratio,
            "goal": self.goal,
            "limit": self.limit,
            "met": self.met,
        }


def machine() -> dict[str, Json]:
    """What the figures were measured on."""
    return {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
