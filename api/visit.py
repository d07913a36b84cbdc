"""How a visitor sees the console: language, colours, the person acted as, and the plant at this moment."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Depends, HTTPException, Request

from andon.access.roles import Right
from andon.plant import Asset, Plant
from api.auth import PERSON_HEADER, speaker_of
from api.catalogue import Words, negotiate, words_of
from api.context import Context
from api.places import Sight
from api.web.formats import PlantTime

LANGUAGE, THEME, PERSON = "andon_language", "andon_theme", "andon_person"
THEMES = ("auto", "light", "dark")
PLANNERS = ("planner", "计划员")
NOBODY = "planner"
"""Who acts where the plant names no people."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request's surroundings. `actor` is the id of the person acted as: what the audit will name.

    `sight` is what of the plant the visitor sees; deeds are done in the whole plant, lists are made of what is seen.
    """

    context: Context
    plant: Plant
    words: Words
    time: PlantTime
    theme: str
    actor: str
    sight: Sight

    def may(self, right: Right) -> bool:
        """Whether the visitor has that right."""
        return self.sight.principal.may(right)

    @property
    def machines(self) -> tuple[Asset, ...]:
        """The machines that the visitor sees."""
        return self.sight.machines(self.plant)

    @property
    def seen_plant(self) -> Plant:
        """The plant as if there were no machines but those: in which to look for one that somebody names freely."""
        return (
            self.plant
            if self.sight.assets is None
            else self.plant.model_copy(update={"assets": self.machines})
        )


def context_of(request: Request) -> Context:
    """The installation that this app serves."""
    return cast("Context", request.app.state.context)


def visit_of(request: Request, context: Annotated[Context, Depends(context_of)]) -> Visit:
    """What the request's cookies and headers say about who looks."""
    plant = context.plant()
    words = words_of(negotiate(request.cookies.get(LANGUAGE), request.headers.get("accept-language", "")))
    theme = request.cookies.get(THEME, "auto")
    return Visit(
        context=context,
        plant=plant,
        words=words,
        time=PlantTime(zone_named(plant.time_zone), context.now(), words),
        theme=theme if theme in THEMES else "auto",
        actor=_actor(request, plant),
        sight=Sight.of(request.state.principal, plant),
    )


ContextOf = Annotated[Context, Depends(context_of)]
VisitOf = Annotated[Visit, Depends(visit_of)]


def _actor(request: Request, plant: Plant) -> str:
    """Who acts: whoever signed in. In a demo: named by a header, chosen on a page, else the first planner or person."""
    principal = speaker_of(request).principal
    if not principal.acts_for_anybody:
        return principal.actor
    people = {person.id: person for person in plant.people}
    named = request.headers.get(PERSON_HEADER)
    if named is not None:
        if named not in people:
            raise HTTPException(422, f"{PERSON_HEADER}: the plant has no person of that id")
        return named
    chosen = request.cookies.get(PERSON)
    if chosen in people:
        return chosen
    planners = [p.id for p in plant.people if any(word in p.role.lower() for word in PLANNERS)]
    return next(iter([*planners, *people]), NOBODY)


@cache
def zone_named(name: str) -> ZoneInfo:
    """The time zone of that name; UTC where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
