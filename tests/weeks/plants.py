"""The plant that a week is lived in: two lines in one area and one in another, people in shifts, documents that change."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from andon.calendars import WEEKDAYS, Calendar
from andon.events import SECOND_NS, Family
from andon.plant import Asset, Person, Plant
from andon.rules.alarms import AlarmDefinition, Count, Fleeting
from andon.rules.closing import Closing
from andon.rules.dedup import Dedup
from andon.rules.repeats import Repeats
from andon.rules.routing import Routing, RoutingRule, When
from andon.rules.sla import EscalationStep, Fitting, Limit, Sla, SlaPolicy
from andon.rules.suppression import Flood, Matcher, Suppressing
from andon.rules.windows import MaintenanceWindow

LINES = {"L1": "acme/north/forming/L1", "L2": "acme/north/forming/L2", "L3": "acme/north/paint/L3"}
MACHINES = tuple(f"M{n}" for n in range(1, 10))
WEEKS: tuple[tuple[str, datetime], ...] = (
    ("Europe/Berlin", datetime(2026, 3, 25, tzinfo=UTC)),  # forward on Sunday the 29th
    ("Europe/Berlin", datetime(2026, 10, 22, tzinfo=UTC)),  # back on Sunday the 25th
    ("America/New_York", datetime(2026, 3, 5, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 29, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 2, tzinfo=UTC)),  # by half an hour, on the 5th
    ("Australia/Lord_Howe", datetime(2026, 10, 1, tzinfo=UTC)),
    ("Asia/Shanghai", datetime(2026, 4, 27, tzinfo=UTC)),  # holidays, and a month that ends
    ("UTC", datetime(2026, 12, 28, tzinfo=UTC)),
)
"""Time zone and first day; most of them change their clocks."""

SHIFTS: tuple[tuple[str, ...], ...] = (
    ("08:00-12:00", "13:00-17:00"),
    ("06:00-14:00", "14:00-22:00", "22:00-06:00"),
    ("22:00-06:00",),
    ("01:30-02:30", "02:30-09:15"),
    ("00:00-24:00",),
)


@dataclass(frozen=True)
class Place:
    """Where and when: the plant's zone and the first moment of its week."""

    zone: str
    start_ns: int


def place_of(rng: Random) -> Place:
    """One of the weeks, from a random hour of its first day on."""
    zone, first = rng.choice(WEEKS)
    begins = first + timedelta(hours=rng.randrange(24))
    return Place(zone, int(begins.timestamp()) * SECOND_NS)


def documents(rng: Random, place: Place) -> tuple[Plant, ...]:
    """The document that holds first, and those that replace it in mid-week."""
    first = _plant(rng, place)
    changed = [first]
    for _ in range(rng.choice((0, 1, 1, 2))):
        changed.append(_changed(rng, changed[-1], place))
    return tuple(plant.model_copy(update={"version": n}) for n, plant in enumerate(changed, 1))


def _plant(rng: Random, place: Place) -> Plant:
    calendars = {name: _calendar(rng, place) for name in ("plant", "crew", "office")}
    given = {
        "name": "Weeks",
        "time_zone": place.zone,
        "assets": _assets(),
        "people": _people(rng),
        "skills": {"stop": "mechanics"},
        "calendars": calendars,
        "sla": _sla(rng),
        "routing": _routing(rng),
        "dedup": Dedup(mode=rng.choice(("attach_while_active",) * 5 + ("window_only",))),
        "closing": Closing(
            unsigned_after_days=rng.choice((None, None, 0.5, 1.0)),
            knowledge_within_h=rng.choice((8.0, 24.0)),
        ),
        "repeats": Repeats(due_d=rng.choice((1.0, 2.0)), remind_d=0.5, escalate_d=1.0, check_d=1.0),
        "alarms": _alarms(rng),
        "suppression": Suppressing(flood=Flood(more_than=4, fewer_than=2, within_min=10)),
        "maintenance_windows": _windows(rng),
    }
    return Plant.model_validate(given)


def _assets() -> tuple[Asset, ...]:
    lines = [
        Asset(id=name, name=name, asset_class="line", path=path, owner="chen") for name, path in LINES.items()
    ]
    machines = [
        Asset(
            id=machine,
            name=f"Press {machine}",
            name_zh="压机",
            asset_class="press",
            model="P40" if n % 3 else "P60",
            serial=f"SN-{n:03}",
            path=f"{LINES[('L1', 'L1', 'L2', 'L2', 'L3')[n % 5]]}/c{n}",
            criticality="A" if n == 0 else "B",
            owner="chen",
        )
        for n, machine in enumerate(MACHINES)
    ]
    return (*lines, *machines)


def _people(rng: Random) -> tuple[Person, ...]:
    crew = rng.choice((None, "crew"))
    return (
        Person(id="zhang", name="Zhang", role="technician", tags=("mechanics",), calendar=crew),
        Person(id="li", name="Li", role="technician", tags=("mechanics",), backup="wang"),
        Person(id="wang", name="Wang", role="technician", tags=("mechanics", "electrics"), max_load=3),
        Person(id="ma", name="Ma", role="technician", tags=("electrics",), calendar="office", lines=("L1",)),
        Person(id="chen", name="Chen", role="line leader", calendar=rng.choice((None, "office"))),
        Person(id="qin", name="Qin", role="quality"),
        Person(id="he", name="He", role="planner"),
    )


def _calendar(rng: Random, place: Place) -> Calendar:
    shifts = rng.choice(SHIFTS)
    days = WEEKDAYS if rng.random() < 0.6 else WEEKDAYS[:5]
    first = datetime.fromtimestamp(place.start_ns / SECOND_NS, UTC).date()
    special = {}
    if rng.random() < 0.4:
        special[first + timedelta(days=rng.randrange(5))] = rng.choice(((), "mon", ("10:00-02:30",)))
    zone = place.zone if rng.random() < 0.8 else rng.choice(("America/New_York", "Asia/Kolkata"))
    return Calendar(time_zone=zone, week=dict.fromkeys(days, shifts), days=special)


def _limit(rng: Random, minutes: tuple[float, ...]) -> Limit:
    steps = tuple(
        EscalationStep(
            to=rng.choice(("line_leader", "duty", "assignee", "requester", "backup", "quality")),
            at_min=rng.choice((-30.0, -7.5, 0.0, 0.0, 20.0, 90.0)),
            repeat=rng.choice((1, 1, 3)),
            every_min=rng.choice((15.0, 60.0)),
        )
        for _ in range(rng.randrange(3))
    )
    return Limit(
        minutes=rng.choice(minutes),
        clock=rng.choice(("wall", "working", "working")),
        calendar=rng.choice(("", "", "crew")),
        steps=steps,
    )


def _policy(rng: Random, name: str, when: Fitting) -> SlaPolicy:
    return SlaPolicy(
        name=name,
        when=when,
        response=_limit(rng, (5, 15, 120)),
        claim=_limit(rng, (5, 15, 60)),
        resolution=_limit(rng, (60, 240, 1440)),
        update=_limit(rng, (60, 120)),
        dwell=_limit(rng, (45, 120.5)),
        signoff=_limit(rng, (120, 1440)),
    )


def _sla(rng: Random) -> Sla:
    policies = (
        _policy(rng, "stops", Fitting(conditions=("stop",))),
        _policy(rng, "grave", Fitting(priorities=("high", "critical"), urgent=rng.choice((None, False)))),
    )
    return Sla(
        policies=policies[: rng.randrange(3)],
        usual=_policy(rng, "usual", Fitting()),
        calendar=rng.choice(("", "plant", "plant")),
        wall_conditions=rng.choice(((), ("stop", "line_stop"))),
    )


def _routing(rng: Random) -> Routing:
    if rng.random() < 0.4:
        return Routing()
    asked = When(priorities=rng.choice((("high", "critical"), ())))
    return Routing(
        rules=(RoutingRule(name="asked", when=asked, offer_to=2, offer_s=rng.choice((300, 3600))),)
    )


def _alarms(rng: Random) -> tuple[AlarmDefinition, ...]:
    all_of_them = (
        AlarmDefinition(code="slow", reason="E4", on_delay_s=rng.choice((30, 600))),
        AlarmDefinition(code="sticky", reason="E5", off_delay_s=rng.choice((60, 900))),
        AlarmDefinition(code="short", reason="E6", fleeting=Fleeting()),
        AlarmDefinition(code="often", reason="E7", count=Count(n=3, within_s=1800)),
        AlarmDefinition(code="grave", family=Family.TEMPERATURE, priority="high"),
    )
    return tuple(one for one in all_of_them if rng.random() < 0.6)


def _windows(rng: Random) -> tuple[MaintenanceWindow, ...]:
    if rng.random() < 0.5:
        return ()
    day = rng.choice(WEEKDAYS)
    times = rng.choice((("01:00-03:30",), ("02:15-02:45",), ("22:00-04:00",), ("09:00-11:00", "14:00-15:00")))
    matcher = rng.choice((Matcher(under=LINES["L2"]), Matcher(asset="M1"), Matcher(families=(Family.STOP,))))
    week = dict.fromkeys({day, "sun"}, times)
    return (MaintenanceWindow(name="greasing", matcher=matcher, week=week, owner="chen"),)


def _changed(rng: Random, plant: Plant, place: Place) -> Plant:
    """The next document: one or two of its topics are others."""
    topics = {
        "sla": lambda: _sla(rng),
        "calendars": lambda: {name: _calendar(rng, place) for name in plant.calendars},
        "alarms": lambda: _alarms(rng),
        "maintenance_windows": lambda: _windows(rng),
        "routing": lambda: _routing(rng),
        "dedup": lambda: plant.dedup.model_copy(update={"window_min": rng.choice((10, 15, 30))}),
        "people": lambda: tuple(one for one in plant.people if one.id != rng.choice(("zhang", "ma"))),
    }
    chosen = rng.sample(sorted(topics), rng.choice((1, 2)))
    return Plant.model_validate({**dict(plant), **{topic: topics[topic]() for topic in chosen}})
