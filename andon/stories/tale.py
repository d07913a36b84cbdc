"""A story as it was told, to be read: each step in its words, what came on phones, and what was as expected, as Markdown."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from andon.events import Json
from andon.plant import Plant
from andon.stories.checks import Check
from andon.stories.teller import Tale, Told
from api.catalogue import Words
from api.web.wording import person_name

FIELDS = (
    *(
        "state",
        "asset",
        "line",
        "occurrence_count",
        "alarm_active",
        "reopen_count",
        "policy",
        "due_at",
        "late",
    ),
    *("number", "person", "part", "kind", "items_count", "problems", "arrived_at", "claim_misses", "held"),
    *(
        "model",
        "fault",
        "here",
        "others",
        "count",
        "of",
        "low",
        "high",
        "verdict",
        "cells",
        "total",
        "failures",
    ),
    *(
        "traced",
        "lots",
        "lot",
        "supplier",
        "suppliers",
        "grade",
        "brand",
        "contrast",
        "before",
        "period",
        "change",
    ),
    *("on_hand", "scope", "result"),
)
"""Names in the interface that have a word in tales, besides those in the audit."""
KINDS = (
    *("tickets", "problems", "ticket", "problem", "clock", "audit", "told", "not_told", "see", "opened"),
    *("refused", "done"),
)
"""What a check can be about."""
_PEOPLE = frozenset(
    {"person", "assignee", "backup", "requester", "signer", "handler", "leader", "owner", "checker", "by"}
)
_NAMED = {
    "verdict": ("story.verdict",),
    "state": ("state", "problem"),
    "sub_state": ("sub_state",),
    "priority": ("priority",),
}


def markdown(tale: Tale, words: Words) -> Iterator[str]:
    """The lines of the tale."""
    story, plant = tale.story, tale.story.plant
    yield f"# {_in(words, story.zh, story.en)}"
    yield ""
    yield words("story.plant", plant=plant.name, assets=len(plant.assets), people=len(plant.people))
    day = ""
    for told in tale.steps:
        if f"{told.step.at:%Y-%m-%d}" != day:
            day = f"{told.step.at:%Y-%m-%d}"
            yield ""
            yield f"## {day}"
        yield ""
        yield from _step(told, tale, words)
    yield ""
    yield _end(tale, words)


def _step(told: Told, tale: Tale, words: Words) -> Iterator[str]:
    step, plant = told.step, tale.story.plant
    who = f"{person_name(step.by, plant)}: " if step.by else ""
    yield f"**{step.at:%H:%M:%S}** {who}{_in(words, step.zh, step.en)}"
    yield ""
    for whose, text in told.phones:
        name = words("story.requester") if whose == "requester" else person_name(whose, plant)
        yield f"- 📱 {name}: {text}"
    for check in told.checks:
        yield f"- {'✓' if check.holds else '✗'} {_said(check, tale, words)}"


def _said(check: Check, tale: Tale, words: Words) -> str:
    """A check in words; where it does not hold, with what was seen instead."""
    kind, name = check.of
    plant = tale.story.plant
    known = kind in {"told", "not_told"} and name != "requester"
    subject = person_name(name, plant) if known else tale.numbers.get(name, name)
    if name == "requester":
        subject = words("story.requester")
    place = " · ".join(_field(part, words) for part in check.place)
    said = words(f"story.{kind}", subject=subject, place=place, wanted=_value(check, words, plant))
    return said if check.holds else f"{said} — {words('story.seen', seen=check.seen)}"


def _field(name: str, words: Words) -> str:
    for key in (f"story.field.{name}", f"changed.{name}", f"sla.clock_{name}"):
        if key in words:
            return words(key)
    return name


def _value(check: Check, words: Words, plant: Plant) -> str:
    return _word(check.wanted, check.place[-1] if check.place else "", words, plant)


def _word(value: Json, field: str, words: Words, plant: Plant) -> str:
    if isinstance(value, Mapping):
        return words("list.channels").join(
            f"{_field(name, words)} {_word(inner, name, words, plant)}" for name, inner in value.items()
        )
    if isinstance(value, list | tuple):
        return words("list.channels").join(_word(one, field, words, plant) for one in value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return words("story.yes" if value else "story.no")
    return _code(str(value), field, words, plant)


def _code(value: str, field: str, words: Words, plant: Plant) -> str:
    """What a code of that field stands for."""
    kind = plant.ticket_type(value) if field == "type" else None
    if kind is not None:
        return _in(words, kind.zh, kind.en)
    if field in _PEOPLE:
        return person_name(value, plant)
    named = (f"{family}.{value}" for family in _NAMED.get(field, ()))
    return next((words(key) for key in named if key in words), value)


def _end(tale: Tale, words: Words) -> str:
    held = sum(check.holds for told in tale.steps for check in told.checks)
    key = "story.whole" if tale.whole else "story.broken"
    return words(key, held=held, failed=len(tale.failures), steps=len(tale.steps), of=len(tale.story.step))


def _in(words: Words, zh: str, en: str) -> str:
    return zh if words.language == "zh" else en
