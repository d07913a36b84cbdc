"""Systems that keep the state of tickets too (an ERP, a CRM): what they hear, and what their words mean here (rule 85)."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from andon.events import Json
from andon.mappings import Identifier

State = Literal["pending_dispatch", "assigned", "in_progress", "resolved", "closed"]
Meaning = Literal["transition", "confirmed", "order", "stock"]
"""What an event of a partner can be: a step of a ticket, "I know its state", a new order, a level of its stock."""

EVENTS: Mapping[str, Meaning] = {
    "andon.partner.transition.v1": "transition",
    "andon.partner.confirmed.v1": "confirmed",
    "andon.partner.order.v1": "order",
    "andon.partner.stock.v1": "stock",
}
"""The types of events that every partner may send."""
Path = Annotated[str, StringConstraints(pattern=r"^[^\s.\x00]+(\.[^\s.\x00]+){0,7}$", max_length=200)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,23}$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]


class Partner(BaseModel):
    """A system that is told every change of a ticket and may ask for one; `docs/partners.md` says how."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    code: Code = Field(description="the name of its channel of the kind `partner` in andon.toml")
    name: str = Field(default="", max_length=100, description="what it is called; none: its code")
    name_zh: str = Field(default="", max_length=100, description="what it is called in Chinese")
    confirm_within_s: float = Field(
        default=60.0, gt=0, le=3600, description="s; a state it has not confirmed by then is a failure (K5)"
    )
    types: tuple[str, ...] = Field(default=(), description="types of tickets it hears of; none: all")
    states: dict[State, Word] = Field(
        default_factory=dict, description="our state -> its word for it; left out, it has our word"
    )
    steps: dict[Word, Word] = Field(
        default_factory=dict,
        description="its word -> the step it means; none: it may take every step by our words",
    )
    people: dict[Word, Identifier] = Field(
        default_factory=dict, description="its user -> the person of the plant who acts"
    )
    fields: dict[Path, Word] = Field(
        default_factory=dict, description="its field -> ours: what it is told beside, under `fields`"
    )
    events: dict[Word, Meaning] = Field(
        default_factory=dict, description="its own type of event -> what it is, beside andon.partner.*"
    )
    reads: dict[Meaning, dict[Word, Path]] = Field(
        default_factory=dict, description="for what an event is: our field -> where it stands in its data"
    )
    defaults: dict[Meaning, dict[Word, Json]] = Field(
        default_factory=dict,
        description="for what an event is: our field -> its value where the event has none",
    )
    stock: bool = Field(default=False, description="whether it is the master of the stock of parts")
    parts: dict[Word, Word] = Field(default_factory=dict, description="its number of a part -> our code")

    def meaning(self, type_: str) -> Meaning | None:
        """What an event of that type is; None if it is none of the partner's.

        >>> Partner(code="erp", events={"SalesOrder.Created": "order"}).meaning("SalesOrder.Created")
        'order'
        """
        return self.events.get(type_) or EVENTS.get(type_)

    def word(self, state: str) -> str:
        """Its word for a state of ours."""
        return next((theirs for ours, theirs in self.states.items() if ours == state), state)

    def state(self, word: str) -> str:
        """The state of ours that its word names; the word itself where the document does not know it."""
        return next((ours for ours, theirs in self.states.items() if theirs == word), word)


def check_partners(partners: tuple[Partner, ...]) -> None:
    """ValueError where two partners have one code, a word means two states, or two are the master of the stock."""
    codes = [one.code for one in partners]
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise ValueError(f"codes of partners must be unique; twice: {', '.join(twice)}")
    for one in partners:
        words = [one.word(state) for state in State.__args__]  # type: ignore[attr-defined]
        if len(set(words)) < len(words):
            raise ValueError(f"partner {one.code}: states: one word stands for two states")
    masters = [one.code for one in partners if one.stock]
    if len(masters) > 1:
        raise ValueError(f"the stock has one master; say which: {', '.join(masters)}")
