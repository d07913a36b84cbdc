"""What the forms of a ticket let people choose from, in the visitor's language."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from api.catalogue import Words
from api.visit import Visit
from ticketing import store
from ticketing.causes import causes_of
from ticketing.closing import scene_tags_of
from ticketing.demands import Hold, SignedBy
from ticketing.ticket import SubState

Choice = tuple[str, str]
"""What is sent, and what is read."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of each field."""

    people: Sequence[Choice]
    causes: Sequence[Choice]
    scene_tags: Sequence[Choice]
    sub_states: Sequence[Choice]
    holds: Sequence[Choice]
    ticks: Sequence[Choice]
    signed_by: Sequence[Choice]


def choices_of(detail: store.TicketDetail, visit: Visit) -> Choices:
    """What can be chosen on this ticket."""
    words, plant = visit.words, visit.plant
    causes, tags = causes_of(plant), scene_tags_of(plant)
    language = words.language
    return Choices(
        people=[(one.id, f"{one.name} · {one.role}") for one in plant.people],
        causes=[
            (code, f"{code} {getattr(one, language)}") for code, one in causes.items() if not one.retired
        ],
        scene_tags=[(code, getattr(one, language)) for code, one in tags.items() if not one.retired],
        sub_states=_named("sub_state", SubState, words),
        holds=_named("hold", Hold, words),
        ticks=_named("tick", ("solved", "no_derived_risk", "no_further_support"), words),
        signed_by=_named("signed_by", _ways_to_sign(detail), words),
    )


def _named(family: str, codes: Iterable[str], words: Words) -> list[Choice]:
    return [(code, words(f"{family}.{code}")) for code in codes]


def _ways_to_sign(detail: store.TicketDetail) -> list[SignedBy]:
    """A code needs a telephone, a drawn signature has to be drawn first."""
    there = {SignedBy.SIGNATURE: detail.given.signatures > 0, SignedBy.SMS: bool(detail.ticket.phone)}
    return [way for way in SignedBy if there.get(way, True)]
