"""Which findings are one cause: what a key is made of, for how long an event belongs to a ticket, what is too late."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from andon.events import HOUR_NS, MINUTE_NS, Family

DEFAULT_FIELDS = ("component",)

KeyField = Annotated[
    str,
    Field(pattern=r"^(component|condition|detector|source|text\.[\w.-]{1,64})$"),
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyRule(_Frozen):
    """Of which findings the key is made of other fields; what is empty does not restrict."""

    source: str = Field(default="", description="name of the source that the message came from")
    detector: str = Field(default="", description="kind of the detector that found it")
    family: Family | None = Field(default=None, description="family of the fault")
    fields: tuple[KeyField, ...] = Field(
        min_length=1,
        max_length=8,
        description="what makes two findings of one machine and family one cause: `component` (of a stop: its "
        "reason), `condition`, `detector`, `source`, or `text.<name>` of what the source said",
    )


class Dedup(_Frozen):
    """Rule 15 as data. A changed rule makes new keys; a cause that has a ticket keeps its key until that is done."""

    window_min: int = Field(
        default=15,
        ge=1,
        le=1440,
        description="minutes on either side of the event that opened a ticket, in which the same cause is the same "
        "event; exactly so many minutes are another one",
    )
    mode: Literal["attach_while_active", "window_only"] = Field(
        default="attach_while_active",
        description="`attach_while_active`: while a ticket is open its cause opens no other; `window_only`: after the "
        "window it does, as rule 15 is worded",
    )
    lateness_h: int = Field(
        default=24,
        ge=1,
        le=8760,
        description="what comes more hours late than that is kept and listed, and opens or reopens nothing",
    )
    keys: tuple[KeyRule, ...] = Field(
        default=(), description="the first that fits decides; else the key is made of the component"
    )

    @property
    def window_ns(self) -> int:
        """The window, half-open, in nanoseconds."""
        return self.window_min * MINUTE_NS

    @property
    def lateness_ns(self) -> int:
        """How late something may come, inclusive, in nanoseconds."""
        return self.lateness_h * HOUR_NS

    def fields_of(self, source: str, detector: str, family: Family) -> tuple[str, ...]:
        """What the key of such a finding is made of, besides its machine and family.

        >>> Dedup().fields_of("mes", "stop_alarm", Family.STOP)
        ('component',)
        """
        for rule in self.keys:
            fits = rule.source in {"", source} and rule.detector in {"", detector}
            if fits and rule.family in {None, family}:
                return rule.fields
        return DEFAULT_FIELDS
