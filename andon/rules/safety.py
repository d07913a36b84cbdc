"""What is checked and signed for before hands are laid on a machine: lock-out, tag-out and their like (rule 10)."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from andon.rules.types import Code

Before = Literal["work", "end"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckItem(_Frozen):
    """One line of a checklist: it is ticked, or there is no signature."""

    zh: str = Field(min_length=1, max_length=200, description="In Chinese.")
    en: str = Field(min_length=1, max_length=200, description="In English.")


class Checklist(_Frozen):
    """One safety sign-off. Who has the ticket signs it, and who takes it over signs anew: a lock is personal.

    `work`: before hands are laid on the machine, that is before the ticket is at the site survey, and so before it is
    resolved. `end`: before it is resolved, as for locks that are taken off again.
    """

    code: Code = Field(description="Stable; in REST, audit and signatures.")
    zh: str = Field(min_length=1, max_length=100, description="Name in Chinese.")
    en: str = Field(min_length=1, max_length=100, description="Name in English.")
    items: tuple[CheckItem, ...] = Field(min_length=1, max_length=40, description="What is ticked, in order.")
    before: Before = Field(default="work", description="When it has to be signed.")
    types: tuple[Code, ...] | None = Field(
        default=None, description="Types of tickets that it is for, by code; left out: all."
    )
    criticality: tuple[Literal["A", "B", "C"], ...] = Field(
        default=(), description="Of machines that it is for; none: all."
    )

    def applies(self, ticket_type: str, criticality: str | None) -> bool:
        """Whether such a ticket needs it; a ticket without a machine is of no criticality."""
        return (self.types is None or ticket_type in self.types) and (
            not self.criticality or criticality in self.criticality
        )


LOCK_OUT = Checklist(
    code="lock_out_tag_out",
    zh="上锁挂牌",
    en="Lock-out, tag-out",
    items=(
        CheckItem(zh="已通知受影响的人员", en="Affected people are told"),
        CheckItem(zh="设备已停机", en="The machine is shut down"),
        CheckItem(
            zh="所有能源已隔离（电、液、气、重力、热）",
            en="All energy is isolated: electric, hydraulic, air, gravity, heat",
        ),
        CheckItem(zh="本人的锁和牌已挂上", en="My own lock and tag are on"),
        CheckItem(zh="残余能量已释放或限制", en="Stored energy is released or restrained"),
        CheckItem(zh="已试启动，确认无能量", en="Tried to start: there is no energy"),
    ),
    types=(),
)
RETURN = Checklist(
    code="return_to_service",
    zh="恢复送电",
    en="Return to service",
    items=(
        CheckItem(zh="工具已清点，防护装置已复位", en="Tools are counted, guards are back"),
        CheckItem(zh="无人处于危险区", en="Nobody is in the danger zone"),
        CheckItem(zh="本人的锁和牌已取下", en="My own lock and tag are off"),
        CheckItem(zh="已通知受影响的人员", en="Affected people are told"),
    ),
    before="end",
    types=(),
)
CHECKLISTS: tuple[Checklist, ...] = (LOCK_OUT, RETURN)
"""The six steps of a lock-out and the return (OSHA 29 CFR 1910.147 (d), (e)); for no type until a planner says so."""


class Safety(_Frozen):
    """The plant's safety sign-offs."""

    checklists: tuple[Checklist, ...] = Field(
        default=CHECKLISTS, description="What can be asked for; a type asks for none until it is said."
    )

    @model_validator(mode="after")
    def _unique(self) -> Self:
        codes = [one.code for one in self.checklists]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise ValueError(f"checklists must be unique; twice: {', '.join(twice)}")
        return self

    def checklist(self, code: str) -> Checklist | None:
        """The checklist of that code."""
        return next((one for one in self.checklists if one.code == code), None)
