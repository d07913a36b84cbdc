"""What `andon bench` measures: one file per bench, each with `rows(...)`; a row stands for one figure, and for a goal where it names one."""

import os
import platform
from dataclasses import dataclass

from andon.events import Json


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ratio` is against `versus`, measured in the same run; `limit` bounds the ratio, or else the value.

    `at_least`: the limit is one from below.
    """

    name: str
    value: float
    unit: str
    versus: str | None = None
    ratio: float | None = None
    goal: str | None = None
    limit: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.limit is None:
            return None
        bounded = self.value if self.ratio is None else self.ratio
        return bounded >= self.limit if self.at_least else bounded <= self.limit

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
