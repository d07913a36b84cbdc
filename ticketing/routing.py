"""Who should do it: filter, then rank; always a named person and a backup, never a department (rules 17 to 22).

The plant's rules say what must be, what comes first and what counts how much. Everyone weighed is kept with the numbers
and with what speaks against, so that the choice can be explained (design law 11).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import compress
from operator import itemgetter
from typing import get_args

from andon.events import Priority
from andon.plant import Person, Plant
from andon.positions import Position
from andon.rules.routing import USUAL, Against, RoutingRule, When
from ticketing.duty import DUTY, Roster, Standing, of_role
from ticketing.ticket import Candidate, Suggestion

AGAINST: tuple[Against, ...] = get_args(Against)
LEADER = "line_leader"
FULL_EXPERIENCE, FULL_SENIORITY = 5, 10
"""Tickets on a machine, and years in the trade, from which more makes no difference."""


@dataclass(frozen=True, slots=True)
class Case:
    """What routing looks at of a ticket, or of one that might be. `kinds`: what the machine said, the nearest first."""

    type: str
    asset: str
    priority: Priority
    fault_type: str | None = None
    urgent: bool = False
    kinds: tuple[str, ...] = ()
    line: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """What a ticket asks of a person: of each group of `skills` one tag. `declined` are those who did not take it."""

    skills: tuple[tuple[str, ...], ...] = ()
    line: str = ""
    asset: str = ""
    region: str = ""
    position: Position | None = None
    owner: str | None = None
    declined: frozenset[str] = frozenset()
    rule: RoutingRule = USUAL


@dataclass(frozen=True, slots=True)
class Loads:
    """Per person: open tickets (suggested ones count), when last given one, and tickets done lately on the machine."""

    open_tickets: Mapping[str, int] = field(default_factory=dict)
    last_assigned_ns: Mapping[str, int] = field(default_factory=dict)
    done_here: Mapping[str, int] = field(default_factory=dict)


def rule_for(case: Case, plant: Plant) -> RoutingRule:
    """The first of the plant's rules that fits, else the product's own."""
    return next((rule for rule in plant.routing.rules if _fits(rule.when, case)), USUAL)


def need_of(case: Case, plant: Plant, declined: frozenset[str] = frozenset()) -> Need:
    """What the case asks for: the tags of its fault type, else of what the machine said; of its type; of the rule.

    A person's report says no kind: then it is what the fault that the person chose is told by.
    """
    asset, rule = plant.asset(case.asset), rule_for(case, plant)
    fault = next((fault for fault in plant.fault_types if fault.code == case.fault_type), None)
    triggers = fault.triggers if fault is not None else ()
    told_by = [one for each in triggers for one in (each.category, each.condition, each.family)]
    kinds = (*case.kinds, *(str(one) for one in told_by if one))
    groups = [fault.tags] if fault is not None and fault.tags else _skill_of(kinds, plant)
    groups += _skill_of((case.type,), plant)
    groups += [(tag,) for tag in rule.tags]
    return Need(
        skills=tuple(dict.fromkeys(groups)),
        line=case.line or (asset.line if asset else ""),
        asset=case.asset,
        region=case.region or (asset.region if asset else ""),
        position=asset.position if asset else None,
        owner=asset.owner if asset else None,
        declined=declined,
        rule=rule,
    )


def suggest(need: Need, roster: Roster, loads: Loads) -> Suggestion:
    """The best of those who pass as the person, the next as backup; to whom it is offered, if the rule says so.

    Ties go to the one least recently assigned. If nobody passes, the line leader is named, with the person on duty;
    without either the machine's owner, else whom the least speaks against.
    """
    scale = _scale_of(need.rule)
    weighed = [_weigh(need, scale, person, roster, loads) for person in roster.plant.people]
    weighed.sort(key=itemgetter(0))
    ranked = [candidate for _, candidate in weighed]
    passing = [candidate for rank, candidate in weighed if rank[0] == 0]
    named = [one.person for one in passing]
    rule = "best" if passing and not passing[0].misses else _gravest(passing)
    if not passing:
        named, rule = _instead(need, roster)
        rule = rule or _gravest(ranked)
    person, rest = _first(named, ranked)
    return Suggestion(
        person=person,
        backup=_backup(person, rest, passing, roster),
        rule=rule,
        skills=need.skills,
        candidates=tuple(ranked),
        routing=need.rule.name,
        offer_to=tuple(one.person for one in passing[: need.rule.offer_to]),
    )


def lacks(need: Need, person: Person) -> Sequence[tuple[str, ...]]:
    """The groups of skills of which the person has no tag."""
    return [group for group in need.skills if frozenset(group).isdisjoint(person.tags)]


def unclaimed(need: Need, roster: Roster, before: Suggestion) -> Suggestion:
    """Nobody took what was offered: line leader and person on duty are named, as if nobody had passed."""
    named, _ = _instead(need, roster)
    person, rest = _first(named, before.candidates)
    return replace(before, person=person, backup=next(iter(rest), None), rule="unclaimed", offer_to=())


def _fits(when: When, case: Case) -> bool:
    asked = (
        (when.types, case.type),
        (when.priorities, case.priority),
        (when.fault_types, case.fault_type),
        (when.lines, case.line),
    )
    urgent = when.urgent is None or when.urgent is case.urgent
    return urgent and all(not wanted or said in wanted for wanted, said in asked)


def _skill_of(kinds: Sequence[str], plant: Plant) -> list[tuple[str, ...]]:
    """The skill of the first of these kinds that the plant has one for, as a group."""
    return next(([(plant.skills[kind],)] for kind in kinds if kind in plant.skills), [])


@dataclass(frozen=True, slots=True)
class _Scale:
    """A rule as numbers: what each thing that speaks against weighs, and how much each part of a score counts."""

    must: Mapping[str, int]
    prefer: Mapping[str, int]
    weights: Mapping[str, float]


@lru_cache(maxsize=256)
def _scale_of(rule: RoutingRule) -> _Scale:
    graver = [miss for miss in reversed(AGAINST) if miss in rule.must]
    counted = {name: weight for name, weight in rule.weights if weight}
    return _Scale(
        must={miss: 1 << place for place, miss in enumerate(graver)},
        prefer={miss: 1 << place for place, miss in enumerate(reversed(rule.prefer))},
        weights={name: weight / sum(counted.values()) for name, weight in counted.items()},
    )


Rank = tuple[int, int, float, int, str]


def _weigh(need: Need, scale: _Scale, person: Person, roster: Roster, loads: Loads) -> tuple[Rank, Candidate]:
    """A candidate with what ranks it: what must not be, what should not; the score; who was given work least recently."""
    standing = roster.of(person)
    load, done_here = loads.open_tickets.get(person.id, 0), loads.done_here.get(person.id, 0)
    misses = _misses(need, person, standing, load)
    distance_m = _distance_m(need.position, standing.position)
    shares = {
        "load": max(0.0, 1 - load / person.max_load),
        "distance": 0.0 if distance_m is None else 1 / (1 + distance_m / roster.plant.routing.near_m),
        "experience": min(done_here / FULL_EXPERIENCE, 1.0),
        "seniority": min(person.seniority / FULL_SENIORITY, 1.0),
    }
    parts = {name: weight * shares[name] for name, weight in scale.weights.items()}
    score = sum(parts.values())
    candidate = Candidate(
        person=person.id,
        name=person.name,
        load=load,
        max_load=person.max_load,
        score=round(score, 3),
        misses=misses,
        parts={name: round(part, 3) for name, part in parts.items()},
        distance_m=None if distance_m is None else round(distance_m, 1),
        done_here=done_here,
        seniority=person.seniority,
        company=person.company,
    )
    rank = (
        sum(scale.must.get(miss, 0) for miss in misses) if misses else 0,
        sum(scale.prefer.get(miss, 0) for miss in misses) if misses else 0,
        -round(score, 9),
        loads.last_assigned_ns.get(person.id, 0),
        person.id,
    )
    return rank, candidate


def _misses(need: Need, person: Person, standing: Standing, load: int) -> tuple[Against, ...]:
    """What speaks against the person, the gravest first."""
    speaks = (
        bool(need.skills) and bool(lacks(need, person)),
        standing.on_leave,
        not standing.on_shift,
        bool(person.regions and need.region) and need.region not in person.regions,
        person.id in need.declined,
        not standing.online,
        bool(person.lines) and need.line not in person.lines,
        load >= person.max_load,
    )
    return tuple(compress(AGAINST, speaks))


def _distance_m(one: Position | None, other: Position | None) -> float | None:
    return None if one is None or other is None else one.distance_m(other)


def _gravest(ranked: Sequence[Candidate]) -> str:
    """What speaks against the first, in one word."""
    return ranked[0].misses[0] if ranked else "nobody"


def _first(named: Sequence[str], ranked: Sequence[Candidate]) -> tuple[str | None, Sequence[str]]:
    """The first of those named, else of those ranked; and all others in order."""
    everyone = list(dict.fromkeys([*named, *(one.person for one in ranked)]))
    return next(iter(everyone), None), everyone[1:]


def _instead(need: Need, roster: Roster) -> tuple[list[str], str]:
    """Who is named where nobody passes: line leader and person on duty, else the machine's owner; by which rule."""
    leader, duty = of_role(LEADER, need.line, roster), of_role(DUTY, need.line, roster)
    named = [d.person for d in (leader, duty) if d.person is not None and d.rule in {"on_shift", "duty"}]
    if named:
        rule = "line_leader" if leader.rule == "on_shift" else DUTY
        return list(dict.fromkeys([*named, need.owner] if need.owner else named)), rule
    return ([need.owner], "owner") if need.owner else ([], "")


def _backup(
    person: str | None, others: Sequence[str], passing: Sequence[Candidate], roster: Roster
) -> str | None:
    """The backup that the document names for the person, if nothing bars that one; else the next of the others."""
    found = roster.people.get(person or "")
    wanted = found.backup if found is not None else None
    if wanted is not None and any(one.person == wanted for one in passing):
        return wanted
    return next(iter(others), None)
