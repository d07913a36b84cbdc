"""What keeps an alarm from becoming a ticket for a time (ISA-18.2, 11): which alarms are meant, and for how long."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from andon.events import Family, Priority

GATEWAYS = ("silent_sensor", "sensor_lost_rows")
"""What is said of a gateway or a source that is an asset of its own: nothing comes through it."""


class Matcher(BaseModel):
    """Which alarms are meant: all that fit everything that is said. `under` is a place with all below it (ISA-95).

    >>> Matcher(under="acme/north/forming/L1", families=("stop",)).says_something
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    asset: str = Field(default="", max_length=200, description="The machine's id.")
    under: str = Field(
        default="", max_length=400, description="A place with all below it: enterprise/site/area/line/cell."
    )
    asset_class: str = Field(default="", max_length=200, description="The class of machines.")
    component: str = Field(
        default="", max_length=200, description="The component; of a stop the reason's id."
    )
    conditions: tuple[str, ...] = Field(
        default=(), max_length=50, description="Conditions, such as silent_sensor."
    )
    families: tuple[Family, ...] = Field(default=(), description="Fault families, such as stop.")
    priorities: tuple[Priority, ...] = Field(
        default=(), description="Priorities, such as low; none: of every priority."
    )

    @property
    def says_something(self) -> bool:
        """Whether it means less than every alarm of the plant."""
        return self != Matcher()


class Inhibition(BaseModel):
    """An alarm of an asset that makes those below it in the asset tree follow from it, as long as it stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    source: Matcher = Field(description="The alarm above: of a line, a power supply, a gateway.")
    families: tuple[Family, ...] = Field(
        default=(), description="Families of alarms below that follow from it; none: all."
    )


class Flood(BaseModel):
    """When the alarms of an area are a flood (IEC 62682: more than 10 in 10 minutes, over at fewer than 5)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    on: bool = Field(default=True, description="Whether floods are grouped.")
    more_than: int = Field(
        default=10, ge=2, le=1000, description="It begins with more alarms of one area than that."
    )
    fewer_than: int = Field(default=5, ge=1, le=1000, description="It ends with fewer alarms than that.")
    within_min: float = Field(default=10.0, ge=1, le=60, description="The minutes in which they are counted.")

    @model_validator(mode="after")
    def _two_thresholds(self) -> "Flood":
        if self.fewer_than > self.more_than:
            raise ValueError(
                "a flood that begins with more_than must end with fewer: fewer_than <= more_than"
            )
        return self


class Suppressing(BaseModel):
    """The plant's rules of shelving, inhibition and floods."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    shelve_h: float = Field(
        default=8.0, gt=0, le=168, description="How long an alarm is shelved where nothing is said."
    )
    shelve_max_h: float = Field(
        default=8.0, gt=0, le=168, description="The longest that an alarm can be shelved: one shift."
    )
    window_max_days: float = Field(
        default=31.0, gt=0, le=366, description="The longest maintenance window that a person can open."
    )
    remind_min: float = Field(
        default=15.0, ge=0, le=480, description="So long before a shelf ends its owner is reminded; 0: never."
    )
    inhibit_max_h: float = Field(
        default=24.0,
        gt=0,
        le=168,
        description="After so long those below are told although the alarm above stands.",
    )
    settle_s: float = Field(
        default=10.0,
        ge=0,
        le=600,
        description="So long after the alarm above is over those below may take to be over as well.",
    )
    inhibitions: tuple[Inhibition, ...] = Field(
        default=(
            Inhibition(source=Matcher(families=(Family.STOP,)), families=(Family.STOP, Family.DATA_QUALITY)),
            Inhibition(
                source=Matcher(families=(Family.ELECTRICAL,)),
                families=(Family.STOP, Family.ELECTRICAL, Family.DATA_QUALITY),
            ),
            Inhibition(source=Matcher(conditions=GATEWAYS), families=(Family.DATA_QUALITY,)),
        ),
        description="Which alarms of an asset hold back those of the assets below it.",
    )
    flood: Flood = Field(default=Flood(), description="When the alarms of an area are a flood.")

    @model_validator(mode="after")
    def _default_fits(self) -> "Suppressing":
        if self.shelve_h > self.shelve_max_h:
            raise ValueError("shelve_h is longer than shelve_max_h allows")
        return self
