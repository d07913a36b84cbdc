"""What a message says to people, in whole sentences of the catalogue: a title, then what is wrong, where, who, and a link."""

from collections.abc import Mapping, Sequence
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from andon.events import Json
from andon.plant import Plant
from andon.ports import Message, Said
from api.catalogue import Language, Words, words_of
from api.web.formats import PlantTime
from api.web.wording import condition_name, person_name, verdict
from ticketing.ticket import Headline
from ticketing.topics import DIGEST, OF_KIND

SHOWN = 20
"""Tickets that a digest names with their trouble; the rest by number."""


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
        what=condition_name(content["condition"], words),
    )
    time = PlantTime(_zone(plant.time_zone), now_ns, words)
    lines = [
        words(f"told.{_deed(message.kind)}", code=content.get("code", "")),
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
    return Said(words.language, title, tuple(lines))


def _problem(words: Words, content: Mapping[str, Json], time: PlantTime) -> Sequence[str]:
    """The task that it is about, until when, and the action of it; nothing if it is about a ticket alone."""
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
            what=condition_name(said["condition"], words),
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


TOLD = tuple(_deed(kind) for kind in OF_KIND if "." in kind)
"""The kinds of messages that have words of their own."""
