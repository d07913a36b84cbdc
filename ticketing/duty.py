"""Who is at work: people as they stand at a moment, and the person whom a role means then (rules 16 and 22)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from andon.calendars import Calendar, NoWorkingTime
from andon.events import SECOND_NS
from andon.plant import Person, Plant
from andon.positions import Position

DUTY = "duty"
"""The role of the person on duty; see `Routing.filled_by`."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What was last reported of a person, and when. `leave_until_ns` holds until it is over, the rest goes stale."""

    person: str
    at_ns: int
    online: bool | None = None
    position: Position | None = None
    leave_until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A person at a moment. `known` says whether a presence that is not stale stands behind it."""

    on_shift: bool
    on_leave: bool
    online: bool
    position: Position | None
    known: bool

    @property
    def at_work(self) -> bool:
        """On shift and not on leave."""
        return self.on_shift and not self.on_leave


@dataclass
class Roster:
    """The people of a plant at one moment; each is looked up once.

    A presence older than `routing.stale_s` counts as unknown: then the document's `online` and `position` hold.
    """

    plant: Plant
    at_ns: int
    presence: Mapping[str, Presence] = field(default_factory=dict)
    _of: dict[str, Standing] = field(default_factory=dict)
    _works: dict[str, bool] = field(default_factory=dict)

    @cached_property
    def people(self) -> Mapping[str, Person]:
        """The plant's people by id."""
        return {person.id: person for person in self.plant.people}

    def of(self, person: Person) -> Standing:
        """How that person stands at this moment."""
        if person.id not in self._of:
            self._of[person.id] = self._standing(person)
        return self._of[person.id]

    def at_work(self, person_id: str) -> bool:
        """Whether a person of that id is on shift and not on leave; somebody unknown is not."""
        person = self.people.get(person_id)
        return person is not None and self.of(person).at_work

    def _standing(self, person: Person) -> Standing:
        said = self.presence.get(person.id)
        fresh = said is not None and self.at_ns - said.at_ns <= self.plant.routing.stale_s * SECOND_NS
        online = said.online if said is not None and fresh else None
        position = said.position if said is not None and fresh else None
        return Standing(
            on_shift=self._on_shift(person.calendar),
            on_leave=self.at_ns < leave_until_ns(person, said),
            online=person.online if online is None else online,
            position=position or person.position,
            known=fresh,
        )

    def _on_shift(self, name: str | None) -> bool:
        calendar = self.plant.calendars.get(name or "")
        if name is None or calendar is None:
            return True
        if name not in self._works:
            self._works[name] = calendar.works_at(self.at_ns)
        return self._works[name]


def leave_until_ns(person: Person, said: Presence | None) -> int:
    """When the person's leave ends, by the document or as reported; 0 without any."""
    written = person.absent_until
    in_document = int(written.timestamp()) * SECOND_NS if written is not None else 0
    return max(in_document, (said.leave_until_ns or 0) if said is not None else 0)


@dataclass(frozen=True, slots=True)
class Duty:
    """Whom a role means: a named person, who stands in, and why.

    `rule`: "on_shift"; "next_shift": nobody is, this is who comes first, at `from_ns`; "duty": nobody of the role is, so
    the person on duty; "nobody".
    """

    role: str
    person: str | None
    backup: str | None
    rule: str
    from_ns: int


def who(role: str, line: str, at_ns: int, plant: Plant, presence: Mapping[str, Presence]) -> Duty:
    """The person whom a role means on a line at a moment: of those at work the one online, of that line, most senior.

    `role` is one of `plant.routing.roles`, "line_leader", "duty", or a person's role as it stands in the document.

    >>> people = [{"id": "chen", "name": "Chen", "role": "line leader", "lines": ["L3"]}]
    >>> who("line_leader", "L3", 0, Plant.model_validate({"name": "p", "people": people}), {}).person
    'chen'
    """
    return of_role(role, line, Roster(plant, at_ns, presence))


def of_role(role: str, line: str, roster: Roster) -> Duty:
    """The same with a roster that is at hand."""
    plant, at_ns = roster.plant, roster.at_ns
    words = [_plain(word) for word in plant.routing.filled_by(role)]
    filling = [p for p in plant.people if _plain(p.role) in words and (not p.lines or line in p.lines)]
    ranked = sorted(filling, key=lambda p: _rank(p, words, line, roster))
    working = [p for p in ranked if roster.of(p).at_work]
    if working:
        return Duty(role, working[0].id, _backup(working, roster), "on_shift", at_ns)
    if role != DUTY and plant.routing.off_shift == "duty":
        duty = of_role(DUTY, line, roster)
        if duty.rule == "on_shift":
            return Duty(role, duty.person, duty.backup, "duty", at_ns)
    return _next(role, ranked, roster)


def _rank(person: Person, words: list[str], line: str, roster: Roster) -> tuple[bool, int, bool, int, str]:
    own_line = line in person.lines
    place = words.index(_plain(person.role))
    return not roster.of(person).online, place, not own_line, -person.seniority, person.id


def _backup(working: list[Person], roster: Roster) -> str | None:
    """The backup named in the document, if at work; else the next who fills the role."""
    named = working[0].backup
    if named is not None and roster.at_work(named):
        return named
    return working[1].id if len(working) > 1 else None


def _next(role: str, filling: Iterable[Person], roster: Roster) -> Duty:
    """Who of them comes first to the next shift."""
    coming = []
    for place, person in enumerate(filling):
        begins_ns = _begins_ns(person, roster)
        if begins_ns is not None:
            coming.append((begins_ns, place, person.id))
    coming.sort()
    if not coming:
        return Duty(role, None, None, "nobody", roster.at_ns)
    others = [person for _, _, person in coming[1:]]
    return Duty(role, coming[0][2], next(iter(others), None), "next_shift", coming[0][0])


def _begins_ns(person: Person, roster: Roster) -> int | None:
    """When the person is at work next, on leave not before it ends."""
    from_ns = max(roster.at_ns, leave_until_ns(person, roster.presence.get(person.id)))
    calendar: Calendar | None = roster.plant.calendars.get(person.calendar or "")
    if calendar is None:
        return from_ns
    try:
        return next(calendar.spans(from_ns))[0]
    except NoWorkingTime:
        return None


def _plain(role: str) -> str:
    """A role without the differences that people make in writing: case, underscores, spaces around."""
    return " ".join(role.casefold().replace("_", " ").replace("-", " ").split())
