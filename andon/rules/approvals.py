"""Who agrees to what a repair costs: levels in order, each with its limit in money, whom it asks, and for what (rule 23).

Limits, rates and amounts are written in the plant's currency, with at most two decimals, and counted in cents.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from andon.rules.types import Code

MOST = 1e9
"""No amount of a ticket is higher, in the plant's currency."""


def cents_of(amount: float) -> int:
    """An amount of money as whole cents.

    >>> cents_of(4999.99)
    499999
    """
    return round(amount * 100)


def _two_decimals(amount: float) -> float:
    if abs(amount * 100 - round(amount * 100)) > 1e-6 * max(1.0, abs(amount)):
        raise ValueError("money has at most two decimals")
    return amount


Money = Annotated[float, Field(ge=0, le=MOST), AfterValidator(_two_decimals)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Who(_Frozen):
    """Whom a level asks: all that is said has to be true of a person."""

    role: str = Field(default="", max_length=64, description="A role of routing, or a person's as written.")
    department: str = Field(default="", max_length=64, description="The person's department.")
    person: str = Field(default="", max_length=64, description="That one person, by id.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.role or self.department or self.person):
            raise ValueError("a level asks somebody: say a role, a department or a person")
        return self


class Level(_Frozen):
    """One level of approval: from which amount it is asked, for which tickets, and who it is."""

    code: Code = Field(description="Stable; in REST, audit and decisions.")
    zh: str = Field(min_length=1, max_length=100, description="Name in Chinese.")
    en: str = Field(min_length=1, max_length=100, description="Name in English.")
    who: Who = Field(description="Whom it asks.")
    from_amount: Money = Field(default=0.0, description="Asked from this amount on, the amount included.")
    types: tuple[Code, ...] | None = Field(
        default=None, description="Types of tickets that it is for, by code; left out: all."
    )
    criticality: tuple[Literal["A", "B", "C"], ...] = Field(
        default=(), description="Of machines that it is for; none: all."
    )
    remind_h: float = Field(
        default=4.0,
        gt=0,
        le=8760,
        description="Hours until it is reminded; after as many more others are told.",
    )

    def applies(self, ticket_type: str, criticality: str | None) -> bool:
        """Whether it is asked about such tickets at all; a ticket without a machine is of no criticality."""
        return (self.types is None or ticket_type in self.types) and (
            not self.criticality or criticality in self.criticality
        )


LEVELS: tuple[Level, ...] = (
    Level(code="team_leader", zh="班组长", en="Team leader", who=Who(role="line_leader")),
    Level(
        code="equipment_director",
        zh="设备总监",
        en="Equipment director",
        who=Who(role="equipment_director"),
        from_amount=5000.0,
    ),
)
"""The documents' own rule; exactly 5,000 needs the director too. No cost, no approval."""


class Approvals(_Frozen):
    """The plant's rules of approving costs."""

    levels: tuple[Level, ...] = Field(
        default=LEVELS, description="In the order in which they are asked; none: costs need no approval."
    )
    over_percent: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="So much more than approved may be spent before it is asked again, in per cent.",
    )
    own_costs: bool = Field(
        default=False, description="Who states a cost may approve it too, where the level is theirs."
    )

    @model_validator(mode="after")
    def _unique(self) -> Self:
        codes = [level.code for level in self.levels]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise ValueError(f"levels of approval must be unique; twice: {', '.join(twice)}")
        return self

    def asked(self, ticket_type: str, criticality: str | None, cents: int) -> tuple[Level, ...]:
        """The levels that an amount needs, in order; nothing needs none.

        >>> [level.code for level in Approvals().asked("equipment_repair", "B", 500_000)]
        ['team_leader', 'equipment_director']
        """
        if cents <= 0:
            return ()
        return tuple(
            level
            for level in self.levels
            if cents >= cents_of(level.from_amount) and level.applies(ticket_type, criticality)
        )

    def lacking(self, levels: Sequence[Level], granted: Mapping[str, int], cents: int) -> tuple[Level, ...]:
        """Those of the levels that still have to agree to an amount; `granted` is the most that each agreed to, in cents.

        The last answers for the amount, those before it for the work: so a dearer repair asks the further level, and
        one that stays with the same level asks that one again.
        """
        if not levels:
            return ()
        last = levels[-1]
        below = [level for level in levels[:-1] if level.code not in granted]
        covered = last.code in granted and cents <= granted[last.code]
        return (*below, *(() if covered else (last,)))

    def with_leeway(self, cents: int) -> int:
        """What may be spent where so much was approved."""
        return cents + int(cents * self.over_percent / 100)

    def level(self, code: str) -> Level | None:
        """The level of that code."""
        return next((one for one in self.levels if one.code == code), None)
