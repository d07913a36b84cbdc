"""A week invented from a seed: what machines say and when it arrives, when people do something, when the process stops.

What a person does is drawn when it is their turn, from the event's own `die`: so any event can be left out and the others
stay what they are, which is what makes a week that fails small.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Family, Finding, Number
from andon.plant import Plant
from tests.scenario.story import cleared, condition, stop
from tests.weeks.plants import LINES, MACHINES, Place, documents, place_of

DAY_NS = 24 * HOUR_NS
REASONS = tuple(f"E{n}" for n in range(1, 9))
DEEDS: dict[str, int] = {
    "turn": 44,
    "step_on": 34,
    "wrong_step": 5,
    "assign": 5,
    "offer": 5,
    "claim": 3,
    "decline": 3,
    "transfer": 3,
    "hand_to_backup": 2,
    "substate": 7,
    "hold": 4,
    "resume": 4,
    "part": 5,
    "photo": 2,
    "comment": 3,
    "reject": 4,
    "reopen": 4,
    "close_otherwise": 4,
    "ask_approval": 3,
    "decide_approval": 3,
    "merge": 5,
    "unmerge": 4,
    "split": 4,
    "edit": 6,
    "recode": 2,
    "link": 2,
    "presence": 4,
    "report": 5,
    "shelve": 8,
    "window": 4,
    "end_suppression": 3,
    "service": 4,
    "acknowledge": 2,
    "problem": 10,
    "obligation": 2,
    "archive": 1,
}
"""What happens besides what machines say, and how often."""


@dataclass(frozen=True)
class Event:
    """One thing that happens: `power_cut` is the statement at which the power goes, if it does."""

    at_ns: int
    deed: str
    die: int
    findings: tuple[Finding, ...] = ()
    power_cut: int | None = None

    def __str__(self) -> str:
        cut = f" with a power cut at statement {self.power_cut}" if self.power_cut is not None else ""
        return f"{self.at_ns} {self.deed} #{self.die} {' '.join(one.id for one in self.findings)}{cut}"


@dataclass(frozen=True)
class Week:
    """A whole week: the documents in their order, and all events in theirs."""

    seed: int
    place: Place
    plants: tuple[Plant, ...]
    events: tuple[Event, ...]


def invent(seed: int, deeds: int = 60) -> Week:
    """The week of that seed."""
    rng = Random(seed)  # noqa: S311 - to be repeated, not to be secret
    place = place_of(rng)
    plants = documents(rng, place)
    rush = [place.start_ns + rng.randrange(7 * DAY_NS) for _ in range(3)]
    events = [*_heard(rng, place, rush), *_done(rng, place, rush, deeds)]
    events += [Event(_when(rng, place, rush), "document", n) for n in range(1, len(plants))]
    events += [Event(_when(rng, place, rush), "restart", 0) for _ in range(rng.choice((0, 1, 2)))]
    ordered = sorted(events, key=lambda one: (one.at_ns, one.deed, one.die))
    documents_in_order = iter(range(1, len(plants)))
    ordered = [replace(e, die=next(documents_in_order)) if e.deed == "document" else e for e in ordered]
    return Week(seed, place, plants, tuple(ordered))


def _when(rng: Random, place: Place, rush: list[int]) -> int:
    """Some time of the week, mostly where much happens."""
    if rng.random() < 0.75:
        spread = rng.choice((20 * MINUTE_NS, 3 * HOUR_NS, 10 * HOUR_NS))
        at_ns = rng.choice(rush) + rng.randrange(spread)
    else:
        at_ns = place.start_ns + rng.randrange(7 * DAY_NS)
    return at_ns // SECOND_NS * SECOND_NS + rng.choice((0, 0, 0, 1, 999_999_999))


def _done(rng: Random, place: Place, rush: list[int], n: int) -> Iterator[Event]:
    for deed in rng.choices(list(DEEDS), list(DEEDS.values()), k=n):
        cut = rng.randrange(60) if rng.random() < 0.06 else None
        yield Event(_when(rng, place, rush), deed, rng.randrange(2**32), power_cut=cut)


def _heard(rng: Random, place: Place, rush: list[int]) -> Iterator[Event]:
    """What machines say, as it arrives: some of it late, twice, or together with other words."""
    words: list[tuple[int, Finding]] = []
    for _ in range(rng.choice((4, 6, 8))):
        words += _episode(rng, _when(rng, place, rush))
    if rng.random() < 0.4:
        words += _flood(rng, rng.choice(rush))
    words += [(arrives + rng.randrange(HOUR_NS), one) for arrives, one in words if rng.random() < 0.08]
    words.sort(key=lambda word: (word[0], word[1].id))
    while words:
        together = 1 + (rng.random() < 0.3) + 2 * (rng.random() < 0.1)
        some, words = words[:together], words[together:]
        arrives = max(at_ns for at_ns, _ in some)
        heard = tuple(one for _, one in some)
        cut = rng.randrange(60) if rng.random() < 0.05 else None
        yield Event(arrives, "hears", 0, heard, cut)


def _episode(rng: Random, at_ns: int) -> Iterator[tuple[int, Finding]]:
    """One alarm: how often it comes, whether it goes, and when each word arrives."""
    raised = _raised(rng, at_ns)
    kind = rng.choice(("once", "once", "stands", "repeats", "chatters", "comes_back", "comes_back"))
    times = {"once": 1, "stands": 1, "repeats": 3, "chatters": 4, "comes_back": 2}[kind]
    for _ in range(times):
        yield _arrival(rng, raised)
        long_ns = rng.choice((5 * SECOND_NS, 40 * SECOND_NS, 12 * MINUTE_NS, 5 * HOUR_NS))
        if kind != "stands" and not (kind == "repeats" and rng.random() < 0.7):
            yield _arrival(rng, cleared(raised, raised.at_ns + long_ns))
        later_ns = {
            "repeats": rng.choice((14 * MINUTE_NS + 59 * SECOND_NS, 15 * MINUTE_NS, 40 * MINUTE_NS)),
            "chatters": long_ns + 10 * SECOND_NS,
            "comes_back": rng.choice((15 * MINUTE_NS, 3 * HOUR_NS, 30 * HOUR_NS)),
        }.get(kind, 0)
        raised = _again(raised, raised.at_ns + later_ns)


def _raised(rng: Random, at_ns: int) -> Finding:
    machine = rng.choice((*MACHINES[:3], *MACHINES))
    severity = rng.choice((200, 500, 800))
    match rng.randrange(10):
        case 0:
            return stop(rng.choice(list(LINES)), "E1", at_ns, severity=severity)
        case 1 | 2:
            name = rng.choice(("zone_c", "zone_d", "bearing_outer_race"))
            return condition(machine, name, at_ns, component=rng.choice(("DE", "NDE")), severity=severity)
        case 3:
            hot = {"family": Family.TEMPERATURE, "numbers": (Number("temperature", 90.0, "Cel", 80.0),)}
            return condition(machine, "over_temperature", at_ns, severity=severity, **hot)
        case 4:
            silent = {"family": Family.DATA_QUALITY, "evidence": {}}
            return condition(machine, "silent_sensor", at_ns, severity=300, **silent)
        case _:
            return stop(machine, rng.choice(REASONS), at_ns, severity=severity)


def _again(raised: Finding, at_ns: int) -> Finding:
    return replace(
        raised,
        id=f"{raised.asset}/{raised.component}/{raised.condition}/{at_ns}/again",
        at_ns=at_ns,
        onset_ns=at_ns if raised.family is Family.STOP else raised.onset_ns,
        origin=replace(raised.origin, position=at_ns % 1_000_003),
    )


def _arrival(rng: Random, one: Finding) -> tuple[int, Finding]:
    """When it arrives: soon, within ten minutes, hours or more than a day late; or before its own time (a fast clock)."""
    late_ns = rng.choice(
        (
            SECOND_NS,
            SECOND_NS,
            SECOND_NS,
            rng.randrange(SECOND_NS, 10 * MINUTE_NS),
            rng.randrange(3 * HOUR_NS),
        )
    )
    if rng.random() < 0.04:
        late_ns = rng.choice((-7 * MINUTE_NS, -2 * HOUR_NS, 24 * HOUR_NS, 24 * HOUR_NS + 1, 30 * HOUR_NS))
    arrives = one.at_ns + late_ns
    return arrives, replace(one, origin=replace(one.origin, received_ns=arrives))


def _flood(rng: Random, at_ns: int) -> Iterator[tuple[int, Finding]]:
    for n, machine in enumerate(rng.sample(MACHINES, 7)):
        yield _arrival(rng, stop(machine, rng.choice(("E1", "E2", "E8")), at_ns + n * 20 * SECOND_NS))
