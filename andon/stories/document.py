"""A story as it stands in its file: a plant, and dated steps in plain words, each with what is expected of it.

A step is one thing that happens: a machine stops or runs, something is measured, a person does something, the plant
document changes; or nothing, and time has passed.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from andon.config import ConfigError, check, unknown
from andon.events import SECOND_NS, Json
from andon.plant import Plant
from andon.stories.deeds import DEEDS, WATCHED
from api.visit import zone_named

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=600)]
EACH = "{each}"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stops(_Part):
    """MES reports that a machine stopped."""

    asset: str
    reason: str = Field(description="the reason's code in MES")
    message: str = ""
    category: str = ""
    severity: int = Field(default=700, ge=1, le=1000)


class Runs(_Part):
    """MES reports that the reason of a stop is gone."""

    asset: str
    reason: str


class Measured(_Part):
    """A measuring point says values, one every so many seconds, the last of them at the step's time."""

    asset: str
    point: str
    quantity: str = "velocity_rms"
    values: tuple[float, ...] = Field(min_length=1, max_length=1000)
    every_s: float = Field(default=60.0, gt=0)


class Refusal(_Part):
    """What a person is told whose step is refused."""

    code: str
    missing: tuple[str, ...] = Field(default=(), description="`what why`, as `photo absent`")


class Calls(_Part):
    """The names by which the story speaks of what a step opens; what is done for `each` opens `name_1`, `name_2` ..."""

    ticket: Name | None = None
    problem: Name | None = None
    part: Name | None = Field(
        default=None, description="what the deed's answer is: a requisition, an approval, an audit"
    )

    def all(self, times: int = 0) -> set[str]:
        """Those that are given; of what is done so many times, with their numbers."""
        given = {name for name in (self.ticket, self.problem, self.part) if name}
        return {f"{name}_{n + 1}" for name in given for n in range(times)} if times else given


class Expected(_Part):
    """What has to be so after a step. Of a table only what stands here is compared, of a list what has to be in it.

    `name_count` is how many entries the list `name` has.
    """

    tickets: int | None = Field(default=None, description="how many tickets there have ever been")
    problems: int | None = Field(default=None, description="how many root-cause and improvement tasks")
    ticket: Mapping[Name, Mapping[str, Json]] = Field(default_factory=dict)
    problem: Mapping[Name, Mapping[str, Json]] = Field(default_factory=dict)
    clock: Mapping[Name, Mapping[str, Mapping[str, Json]]] = Field(
        default_factory=dict, description="ticket -> clock -> what it shows; the latest of its kind"
    )
    audit: Mapping[Name, tuple[str, ...]] = Field(
        default_factory=dict, description="ticket -> its newest rows, the newest last, as `who did`"
    )
    told: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="person or `requester` -> what stood on the phone since the last step",
    )
    not_told: tuple[str, ...] = Field(default=(), description="whose phones were silent since the last step")
    see: Mapping[str, Json] = Field(
        default_factory=dict, description="address under /api/v1/ -> what is there"
    )


class Step(_Part):
    """One step. `calls` gives the ticket or task that it opens a name, by which the file speaks of it from then on."""

    at: datetime
    zh: Words
    en: Words
    by: str = ""
    do: str = ""
    on: str = Field(
        default="", description="the ticket or task; or the number, where it is a part or a person"
    )
    with_: Mapping[str, Json] = Field(default_factory=dict, alias="with")
    calls: Calls = Calls()
    each: tuple[str, ...] = Field(
        default=(), max_length=100, description="it is done once for each of these; `{each}` is which"
    )
    refused: Refusal | None = None
    stops: Stops | None = None
    runs: Runs | None = None
    measured: Measured | None = None
    changes: Mapping[str, Json] = Field(
        default_factory=dict,
        description="of the plant document; entries of lists are found by id, code or name",
    )
    expect: Expected = Expected()

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        happens = [name for name in ("do", "stops", "runs", "measured", "changes") if getattr(self, name)]
        if len(happens) > 1:
            raise ValueError(f"a step is one thing, not {' and '.join(happens)}")
        if self.do and self.do not in DEEDS:
            raise ValueError(f"do: {unknown(self.do, DEEDS)}")
        if bool(self.do) != bool(self.by):
            raise ValueError("`by` says who does what `do` says: give both or neither")
        if self.each and not self.do:
            raise ValueError("`each` says for which `do` is done: give both or neither")
        if self.do and ("{on}" in DEEDS[self.do].path) != bool(self.on):
            raise ValueError(
                f"{self.do}: {'say on what' if not self.on else 'there is nothing it is done on'}"
            )
        for clocks in self.expect.clock.values():
            for clock in clocks.keys() - WATCHED:
                raise ValueError(f"expect.clock: {unknown(clock, WATCHED)}")
        return self

    @property
    def names(self) -> set[str]:
        """What the story calls what it opens."""
        return self.calls.all(len(self.each))

    def times(self) -> Sequence[Self]:
        """The step once for each that it is done for."""
        return [self._for(one) for one in self.each] if self.each else [self]

    def _for(self, one: str) -> Self:
        said = {
            name: value.replace(EACH, one) if isinstance(value, str) else value
            for name, value in self.with_.items()
        }
        return self.model_copy(update={"on": self.on.replace(EACH, one), "with_": said})


class Story(_Part):
    """The whole file. `phones` are people's telephone numbers: who has one is told there what Andon tells them."""

    zh: Words
    en: Words
    begins: datetime
    phones: Mapping[str, str] = Field(default_factory=dict)
    plant: Plant
    step: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        people = {person.id for person in self.plant.people}
        for who in self.phones.keys() - people:
            raise ValueError(f"phones: {unknown(who, people)}")
        at, called = self.begins, set[str]()
        for step in self.step:
            where = f"step of {step.at:%Y-%m-%d %H:%M:%S}"
            if step.at < at:
                raise ValueError(f"{where}: it stands after one of {at:%Y-%m-%d %H:%M:%S}")
            at = step.at
            if step.by and step.by not in people:
                raise ValueError(f"{where}: by: {unknown(step.by, people)}")
            _heard(step, self.plant, where)
            called |= step.names
            for name in {*_spoken_of(step)} - called:
                raise ValueError(f"{where}: {unknown(name, called)}: a step before has to call it so")
            for who in {*step.expect.told, *step.expect.not_told} - {*self.phones, "requester"}:
                raise ValueError(f"{where}: whose phone? {unknown(who, [*self.phones, 'requester'])}")
        return self

    def ns(self, at: datetime) -> int:
        """A time of the file, which is the plant's local time, in nanoseconds UTC."""
        return int(at.replace(tzinfo=zone_named(self.plant.time_zone)).timestamp()) * SECOND_NS


def _heard(step: Step, plant: Plant, where: str) -> None:
    """ValueError if a step names a machine, point or quantity that the plant does not have."""
    named = step.stops or step.runs or step.measured
    if named is None:
        return
    asset = plant.asset(named.asset)
    if asset is None:
        raise ValueError(f"{where}: asset: {unknown(named.asset, [one.id for one in plant.assets])}")
    if isinstance(named, Measured):
        point = asset.point(named.point)
        if point is None:
            raise ValueError(f"{where}: point: {unknown(named.point, [one.id for one in asset.points])}")
        if named.quantity not in point.quantities:
            raise ValueError(f"{where}: quantity: {unknown(named.quantity, point.quantities)}")


def _spoken_of(step: Step) -> Iterator[str]:
    """The names of tickets and tasks in a step."""
    expect = step.expect
    yield from (*expect.ticket, *expect.problem, *expect.clock, *expect.audit)
    if step.do and DEEDS[step.do].on_named:
        yield from (one.on for one in step.times())


def read(path: Path) -> Story:
    """The story of a file; ConfigError names the place and what was probably meant."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return check(Story, document, str(path))
