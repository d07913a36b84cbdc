"""What a message says to people, in whole sentences of the catalogue: a title, then what is wrong, where, who, and a link."""

from collections.abc import Mapping, Sequence
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from andon.events import Family, Json, nanoseconds
from andon.plant import Plant
from andon.ports import Message, Said
from andon.positions import Position
from api.catalogue import Language, Words, words_of
from api.web.formats import PlantTime
from api.web.money import money
from api.web.wording import condition_name, message_in, person_name, verdict
from ticketing.nodes import KINDS
from ticketing.ticket import Headline
from ticketing.topics import DIGEST, OF_KIND, TO_PARTNERS

SHOWN = 20
"""Tickets that a digest names with their trouble; the rest by number."""
SAID = 40
"""Characters of a reporter's words that stand in a title."""


def say(
    message: Message, languages: Sequence[str], plant: Plant, now_ns: int, link: str = ""
) -> Sequence[Said]:
    """The message in each of these languages."""
    return [_in(words_of(cast("Language", one)), message, plant, now_ns, link) for one in languages]


def _in(words: Words, message: Message, plant: Plant, now_ns: int, link: str) -> Said:
    if message.kind == DIGEST:
        return _digest(words, message, link)
    content = message.content
    where = _machine(words, content)
    title = words(
        "told.title",
        priority=words(f"priority.{content['priority']}"),
        ticket=message.ticket,
        machine=where,
        what=_what(words, content),
    )
    time = PlantTime(_zone(plant.time_zone), now_ns, words)
    lines = [
        _news(words, message, plant, time),
        words("told.node", state=words(f"state.{content['state']}"), time=time.at(message.at_ns)),
        verdict(_headline(content), words, time).striptags(),
        words("told.where", machine=where, line=content["line"]),
    ]
    if content["assignee"]:
        person, backup = (person_name(content[who], plant) for who in ("assignee", "backup"))
        lines.append(words("told.who", person=person, backup=backup))
    if content.get("reason"):
        lines.append(words("told.reason", reason=content["reason"]))
    lines += _problem(words, content, time)
    if link:
        lines.append(f"{link}/tickets/{message.ticket.partition('-')[2]}")
    return Said(words.language, title, tuple(lines), _facts(words, message, plant))


def _facts(words: Words, message: Message, plant: Plant) -> tuple[tuple[str, str], ...]:
    """Where it is and who goes there, for a card; of messages that tell of no node of the work there are none."""
    if message.kind not in KINDS:
        return ()
    content = message.content
    asset = plant.asset(content["asset"])
    person = next((one for one in plant.people if one.id == content["assignee"]), None)
    there, here = (one.position if one else None for one in (asset, person))
    far_m = there.distance_m(here) if there and here else None
    named = (
        ("machine", _machine(words, content)),
        ("line", " / ".join(level for level in (content["site"], content["area"], content["line"]) if level)),
        ("place", _place(there)),
        ("person", person_name(content["assignee"], plant) if content["assignee"] else ""),
        ("far", f"{far_m:,.0f} m" if far_m is not None else ""),
    )
    return tuple((words(f"told.card_{name}"), value) for name, value in named if value)


def _place(position: Position | None) -> str:
    if position is None:
        return ""
    if position.x_m is not None:
        return f"x {position.x_m:g} m, y {position.y_m:g} m"
    return f"{position.lat:.5f}, {position.lon:.5f}"


def _news(words: Words, message: Message, plant: Plant, time: PlantTime) -> str:
    """What happened, in one sentence that stands alone: on a phone it may be all that is seen."""
    content = message.content
    key = _deed(message.kind)
    clock = content.get("clock")
    if key == "escalated" and clock:
        key = "limit_over" if content["taken_s"] >= content["limit_s"] else "limit_near"
    return words(
        f"told.{key}",
        code=content.get("code", ""),
        person=person_name(content["assignee"], plant),
        backup=person_name(content["backup"], plant),
        clock=words(f"sla.clock_{clock}") if clock else "",
        due=time.short(nanoseconds(content["due"])) if content.get("due") else "",
        owed=words(f"owed.{content['reason']}") if key.startswith("obligation") else "",
        amount=money(content["cents"], content["currency"]) if "cents" in content else "",
        level=_level(words, content, plant),
        part=_part(words, content),
        n=f"{content['on_hand']:g} {content['unit']}" if "on_hand" in content else "",
    )


def _part(words: Words, content: Mapping[str, Json]) -> str:
    """The part that a message is about, by the name that the reader knows."""
    own = content.get("part_name_zh") if words.language == "zh" else ""
    return f"{own or content['part_name']} ({content['part']})" if "part_name" in content else ""


def _level(words: Words, content: Mapping[str, Json], plant: Plant) -> str:
    """The level of approval that it is about, as the plant calls it."""
    level = plant.approvals.level(content.get("level", ""))
    return str(getattr(level, words.language)) if level is not None else str(content.get("level", ""))


def _what(words: Words, content: Mapping[str, Json]) -> str:
    """What is wrong: what a machine says has a name, what a person says is best said in their own words."""
    said = message_in(content["text"], words) if content["family"] == Family.REPORT else ""
    if not said:
        return condition_name(content["condition"], words)
    return said if len(said) <= SAID else f"{said[: SAID - 1]}…"


def _problem(words: Words, content: Mapping[str, Json], time: PlantTime) -> Sequence[str]:
    """The task that it is about, until when, and the action of it; nothing if it is about a ticket alone."""
    if "task" in content:
        task = words("told.of_task", task=content["task"], about=content["about"])
        return (task, words("told.of_problem", problem=content["task"], at=time.at(content["due_ns"])))
    if "problem_state" not in content:
        return ()
    number = content["problem"]
    said = [words("told.of_problem", problem=number, at=time.at(content["due_ns"]))]
    if content["action"]:
        said.append(words("told.of_action", problem=number, action=content["action"]))
    return said


def _digest(words: Words, message: Message, link: str) -> Said:
    events = message.content["events"]
    last = {event["subject"]: event["data"] for event in events}
    title = words("told.digest", n=len(events), tickets=len(last))
    lines = [
        words(
            "told.title",
            priority=words(f"priority.{said['priority']}"),
            ticket=number,
            machine=_machine(words, said),
            what=_what(words, said),
        )
        for number, said in [*last.items()][:SHOWN]
    ]
    if len(last) > SHOWN:
        lines.append(words("told.more", tickets=", ".join([*last][SHOWN:])))
    return Said(words.language, title, tuple([*lines, f"{link}/tickets"] if link else lines))


def _headline(content: Mapping[str, Json]) -> Headline:
    known = {name: content[name] for name in ("family", "component", "condition", "numbers", "text")}
    return msgspec.convert(
        {**known, "severity": 1, "confidence": 1.0, "at_ns": 0, "finding": ""}, Headline, strict=False
    )


def _machine(words: Words, content: Mapping[str, Json]) -> str:
    own = content["asset_name_zh"] if words.language == "zh" else ""
    return str(own or content["asset_name"] or content["asset"])


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _deed(kind: str) -> str:
    return kind.removeprefix("ticket.").replace(".", "_")


TOLD = tuple(_deed(kind) for kind in OF_KIND if "." in kind and kind not in TO_PARTNERS)
"""The kinds of messages that have words of their own."""
