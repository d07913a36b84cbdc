"""What `andon check` says of one thing that it looked at."""

from dataclasses import dataclass
from typing import Literal

State = Literal["good", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing looked at: how it is, and what to do about it."""

    name: str
    state: State
    text: str
    cure: str = ""
