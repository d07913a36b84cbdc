"""Templates of work in several steps: the operations in their order, how long each takes, what is measured in it."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from andon.rules.types import Code

Label = Annotated[str, Field(min_length=1, max_length=80)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measurement(_Frozen):
    """A value that an operation asks for. Outside its limits, which belong to what is allowed, it is a fault of its own.

    >>> Measurement(name="bore", zh="孔径", en="Bore", unit="mm", low=79.98, high=80.03).is_out(80.04)
    True
    """

    name: Code = Field(description="Its name in REST and in the audit.")
    zh: Label = Field(description="Label in Chinese.")
    en: Label = Field(description="Label in English.")
    unit: str = Field(max_length=16, description="Unit (UCUM); `1` for a plain number.")
    low: float | None = Field(default=None, description="The least value that is allowed, in its unit.")
    high: float | None = Field(default=None, description="The greatest value that is allowed, in its unit.")
    instrument: bool = Field(
        default=True, description="Whoever measures says with which instrument (its number)."
    )

    @model_validator(mode="after")
    def _sound(self) -> "Measurement":
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"measurement {self.name}: the lower limit lies above the upper one")
        return self

    def is_out(self, value: float) -> bool:
        """Whether a value lies outside the limits; a limit itself is allowed."""
        return (self.low is not None and value < self.low) or (self.high is not None and value > self.high)


class Operation(_Frozen):
    """One step of the work."""

    code: Code = Field(description="Its name in REST and in the audit.")
    zh: Label = Field(description="Name in Chinese.")
    en: Label = Field(description="Name in English.")
    minutes: float | None = Field(
        default=None, gt=0, le=100_000, description="How long it takes by the standard."
    )
    parallel: bool = Field(
        default=False,
        description="It may be done beside the one before it; else it follows on all before it.",
    )
    optional: bool = Field(default=False, description="It may be left out, with a reason.")
    measurements: tuple[Measurement, ...] = Field(
        default=(), max_length=16, description="What is measured in it."
    )

    @model_validator(mode="after")
    def _unique(self) -> "Operation":
        _once(f"operation {self.code}: measurements", [one.name for one in self.measurements])
        return self


class OperationTemplate(_Frozen):
    """Operations that belong together. A ticket takes the first template that fits it when it is opened.

    All that is said of `types`, `fault_types` and `models` has to fit; a template that says nothing of them is taken by
    a plan or by a person alone.
    """

    code: Code = Field(description="Stable; in REST, audit and reports.")
    zh: Label = Field(description="Name in Chinese.")
    en: Label = Field(description="Name in English.")
    operations: tuple[Operation, ...] = Field(min_length=1, max_length=60, description="In their order.")
    types: tuple[Code, ...] = Field(default=(), description="Tickets of these types take it.")
    fault_types: tuple[Code, ...] = Field(default=(), description="Tickets of these faults take it.")
    models: tuple[str, ...] = Field(default=(), description="Tickets of machines of these models take it.")
    opens: Code | None = Field(
        default=None,
        description="Type of the ticket that a value out of its limits opens; left out: the first for failures.",
    )
    retired: bool = Field(default=False, description="Not taken any more.")

    @model_validator(mode="after")
    def _unique(self) -> "OperationTemplate":
        _once(f"operations of {self.code}", [one.code for one in self.operations])
        return self

    def fits(self, *, type_: str, fault_type: str | None, model: str) -> bool:
        """Whether a new ticket takes it by itself."""
        said = ((self.types, type_), (self.fault_types, fault_type), (self.models, model))
        asked = [value in wanted for wanted, value in said if wanted]
        return not self.retired and bool(asked) and all(asked)


def check_operations(templates: Sequence[OperationTemplate], types: Iterable[str]) -> None:
    """ValueError if a code is there twice, or a template names a type of ticket that there is not."""
    _once("templates of operations", [one.code for one in templates])
    known = set(types)
    for one in templates:
        strange = sorted({*one.types, *((one.opens,) if one.opens else ())} - known)
        if strange:
            raise ValueError(f"operations {one.code}: there is no ticket type {', '.join(strange)}")


def _once(what: str, codes: Sequence[str]) -> None:
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise ValueError(f"{what} must be unique; twice: {', '.join(twice)}")
