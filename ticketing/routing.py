"""Who should do it: filter by skill, line and presence, then rank by load; always a person and a backup (rule 21).

Everyone weighed is kept with the numbers, so that the choice can be explained (design law 11).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import compress

from andon.plant import Person
from ticketing.ticket import Candidate, Suggestion

SKILL, OFFLINE, OTHER_LINE, FULL = "skill", "offline", "other_line", "full"
"""What speaks against someone, the gravest first."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a ticket asks of a person. Without a `skill` everyone has it."""

    skill: str | None
    line: str
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Loads:
    """Open tickets per person (suggested ones count), and when each was last given one."""

    open_tickets: Mapping[str, int] = field(default_factory=dict)
    last_assigned_ns: Mapping[str, int] = field(default_factory=dict)


def suggest(need: Need, people: Sequence[Person], loads: Loads) -> Suggestion:
    """The person with nothing against them and the lightest load, and the next one as backup.

    Ties go to the one least recently assigned. If nobody has the skill, the machine's owner is named, and the
    rule says so.
    """
    weighed = sorted((_weigh(need, person, loads) for person in people), key=lambda pair: pair[0])
    ranked = [candidate for _, candidate in weighed]
    skilled = [candidate.person for candidate in ranked if SKILL not in candidate.misses]
    others = [candidate.person for candidate in ranked if SKILL in candidate.misses]
    rule = _rule(ranked)
    if not skilled and need.owner is not None:
        others = [need.owner, *(person for person in others if person != need.owner)]
        rule = "owner"
    named = [*skilled, *others]
    return Suggestion(
        person=named[0] if named else None,
        backup=named[1] if len(named) > 1 else None,
        rule=rule,
        skill=need.skill,
        candidates=tuple(ranked),
    )


Rank = tuple[bool, bool, bool, bool, float, int, str]


def _weigh(need: Need, person: Person, loads: Loads) -> tuple[Rank, Candidate]:
    """A candidate with what ranks it: misses, gravest first; then load; then who was given work least recently."""
    load = loads.open_tickets.get(person.id, 0)
    against = (
        need.skill is not None and need.skill not in person.tags,
        not person.online,
        bool(person.lines) and need.line not in person.lines,
        load >= person.max_load,
    )
    ratio = load / person.max_load
    candidate = _candidate(person.id, person.name, load, person.max_load, against)
    return (*against, ratio, loads.last_assigned_ns.get(person.id, 0), person.id), candidate


@lru_cache(maxsize=4096)
def _candidate(
    person: str, name: str, load: int, max_load: int, against: tuple[bool, bool, bool, bool]
) -> Candidate:
    misses = tuple(compress((SKILL, OFFLINE, OTHER_LINE, FULL), against))
    return Candidate(person, name, load, max_load, round(1 - load / max_load, 3), misses)


def _rule(ranked: Sequence[Candidate]) -> str:
    """The rule in one word: "lightest" if nothing speaks against the first, else the gravest that does."""
    if not ranked:
        return "nobody"
    return ranked[0].misses[0] if ranked[0].misses else "lightest"
