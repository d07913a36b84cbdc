"""The pipeline in one line: what is worst just now with its cure, and what else a person should look at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from andon.config import PARTS
from andon.events import Json
from api.catalogue import Words
from api.channels import ChannelState
from api.flow import SourceState
from api.visit import Visit
from api.web.formats import quantity, whole
from api.web.wording import letter_cure

BEHIND_S, BEHIND_RECORDS = 60.0, 1000
"""So long may the oldest record of a batch have waited, and so many may wait, before the engine is called behind."""
DISK_LOW = 0.2
"""Part of the disk that is free when a person is told; as `low_percent` of `andon.toml` where nothing is said there."""

TROUBLES = (
    *("down", "differs", "disk", "configuration", "quarantined", "disconnected", "unbalanced", "behind"),
    *("circuit", "undelivered", "given_up", "gap", "letters", "stale"),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the verdict is made of, as far as the visitor sees it."""

    status: Mapping[str, Json]
    sources: Sequence[SourceState]
    channels: Sequence[ChannelState]
    given_up: int
    open_gaps: int
    letters: Mapping[str, int]
    stale: int
    degraded: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong: what, what mends it, the section that shows it, and how bad it is."""

    what: str
    cure: str
    section: str
    look: Literal["critical", "high"]


def troubles(facts: Facts, words: Words) -> list[Trouble]:
    """Everything that is wrong, the worst first; empty where all is well."""
    found = [*_processes(facts, words), *_sources(facts, words), *_work(facts, words), *_left(facts, words)]
    if not any(one.look == "critical" for one in found):
        found += [Trouble(reason, "", "processes", "critical") for reason in facts.degraded]
    return sorted(found, key=lambda one: one.look)  # "critical" before "high", else as it was found


def _processes(facts: Facts, words: Words) -> Iterator[Trouble]:
    """Processes that do not run, an engine that differs, a disk that fills, a configuration that was refused."""
    for name, part in facts.status.get("parts", {}).items():
        if name in PARTS and not part.get("running"):
            yield _said(words, "down", "processes", "critical", name=name)
    engine = _engine(facts.status)
    if engine.get("differs"):
        yield _said(words, "differs", "processes", "critical", n=whole(engine["differs"][0]))
    if (free := free_share(engine)) is not None and free < DISK_LOW:
        yield _said(
            words, "disk", "storage", "critical" if free < DISK_LOW / 4 else "high", n=f"{100 * free:.0f}"
        )
    if facts.status.get("configuration_refused"):
        yield _said(words, "configuration", "processes", "high")


def _sources(facts: Facts, words: Words) -> Iterator[Trouble]:
    held = {name for name, part in facts.status.get("parts", {}).items() if part.get("quarantined")}
    for one in facts.sources:
        code = "quarantined" if one.name in held else one.condition
        if code in {"quarantined", "down", "disconnected"}:
            yield _said(words, code, "sources", "critical", name=one.name)
        if one.off_by:
            yield _said(words, "unbalanced", "sources", "critical", name=one.name, n=whole(one.off_by))


def _work(facts: Facts, words: Words) -> Iterator[Trouble]:
    """An engine that is behind, channels that cannot deliver, steps that were given up."""
    engine = _engine(facts.status)
    if engine.get("lag_s", 0.0) > BEHIND_S:
        yield _said(
            words, "behind", "processes", "critical", n=whole(sum(engine.get("untaken", {}).values()))
        )
    for one in facts.channels:
        if one.circuit == "open":
            yield _said(words, "circuit", "channels", "critical", name=one.name)
        elif one.dead:
            yield _said(words, "undelivered", "channels", "high", name=one.name, n=whole(one.dead))
    if facts.given_up:
        yield _said(words, "given_up", "timers", "high", n=whole(facts.given_up))


def _left(facts: Facts, words: Words) -> Iterator[Trouble]:
    """What is missing, what could not be used, and what says nothing."""
    if facts.open_gaps:
        yield _said(words, "gap", "gaps", "high", n=facts.open_gaps)
    if facts.letters:
        commonest = max(facts.letters, key=lambda reason: facts.letters[reason])
        what = words("verdict.letters", n=sum(facts.letters.values()))
        yield Trouble(what, letter_cure(commonest, words), "letters", "high")
    if facts.stale:
        yield _said(words, "stale", "freshness", "high", n=whole(facts.stale))


def _said(
    words: Words, code: str, section: str, look: Literal["critical", "high"], **arguments: str | int
) -> Trouble:
    what = words(f"verdict.{code}", **arguments)
    return Trouble(what, words(f"verdict.{code}_cure", **arguments), section, look)


def _engine(status: Mapping[str, Json]) -> Mapping[str, Json]:
    said: Mapping[str, Json] = status.get("parts", {}).get("engine", {}).get("status", {})
    return said


def free_share(engine: Mapping[str, Json]) -> float | None:
    """Which part of the disk is free by what the engine said; None where it said nothing.

    >>> free_share({"disk_free_bytes": 25, "disk_bytes": 100})
    0.25
    """
    if not engine.get("disk_bytes"):
        return None
    return float(engine["disk_free_bytes"] / engine["disk_bytes"])


def work_of(status: Mapping[str, Json], visit: Visit) -> list[tuple[str, list[tuple[str, str]]]]:
    """The engine's turns and what lies on the disk, as (section, rows of name and value); empty before it said anything."""
    said, words = _engine(status), visit.words
    if "turns" not in said:
        return []
    turn_s = said["turn_s"] / said["turns"] if said["turns"] else None
    behind = sum(said["untaken"].values())
    engine = [
        (words("work.turn"), quantity(None if turn_s is None else 1000 * turn_s, "ms")),
        (words("work.lag"), quantity(said["lag_s"], "s")),
        (words("work.untaken"), whole(behind)),
    ]
    journals = [
        (words("work.journal", name=name), _bytes(n)) for name, n in sorted(said["journal_bytes"].items())
    ]
    stores = [
        (words(f"work.{what}"), _bytes(said[f"{what}_bytes"])) for what in ("series", "store", "photos")
    ]
    free = f"{_bytes(said['disk_free_bytes'])} ({100 * (free_share(said) or 0):.0f} %)"
    return [("engine", engine), ("storage", [(words("work.free"), free), *journals, *stores])]


def _bytes(count: float) -> str:
    r"""A size in decimal units, as disks are sold.

    >>> _bytes(1_500), _bytes(2_340_000_000)
    ('1.5\xa0kB', '2.34\xa0GB')
    """
    for sign in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return quantity(count, sign)
        count /= 1000
    return quantity(count, "TB")
