"""What happened to a ticket, in words: what was folded and why, who did what, who is responsible."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from andon.events import Json
from api.catalogue import Words
from api.visit import Visit
from api.web.formats import MISSING
from api.web.parameters import kind_name
from api.web.wording import (
    condition_name,
    finding_arguments,
    fold_sentence,
    message_in,
    person_name,
    rule_name,
)
from ticketing import store
from ticketing.causes import causes_of
from ticketing.closing import scene_tags_of
from ticketing.ticket import Fold, FoldRule, Occurrence, Photo, Ticket, TicketEvent

Fact = tuple[str, str]
_PEOPLE = frozenset({"assignee", "backup", "requester", "handler", "signer", "approver"})
_CODED = frozenset({"priority", "sub_state", "closure", "outcome", "hold", "signed_by"})
_FOLD_RULES = frozenset(str(rule) for rule in FoldRule)
_REPEATED = frozenset({"joined", "escalated", "reminded"})
"""Actions of rules that come again and again."""
_ROUTED = "routing/"
"""What a reason begins with that routing gave for the person it suggested."""
_TAKEN = {"claimed": "activity.claimed", "offer accepted": "activity.offer_accepted"}
"""Reasons that taking a ticket gives by itself."""
_MISSED = re.compile(r"not accepted within (\d+) min")
_NUMBERS_SHOWN = ("velocity_rms", "frequency_hz", "rise", "silent_s")


@dataclass(frozen=True, slots=True)
class Folded:
    """One event on the ticket."""

    at_ns: int
    action: str
    what: str
    numbers: str
    rule: str
    set_version: int
    finding: str


def folded(one: Occurrence, visit: Visit) -> Folded:
    """An occurrence with the sentence of the rule that put it there."""
    said = finding_arguments(one.numbers, {}, visit.time)
    shown = [said[name] for name in _NUMBERS_SHOWN if name in said]
    return Folded(
        at_ns=one.at_ns,
        action=one.action,
        what=message_in(one.text, visit.words) or condition_name(one.condition, visit.words),
        numbers=shown[0] if shown else "",
        rule=fold_sentence(one.fold, visit.words, visit.time),
        set_version=one.set_version,
        finding=one.finding,
    )


@dataclass(frozen=True, slots=True)
class Deed:
    """One line of the activity."""

    at_ns: int
    who: str
    did: str
    moved: str
    reason: str
    changes: list[str]


def activity(events: Sequence[TicketEvent], visit: Visit) -> list[Deed]:
    """The audit, newest first; runs of what only added to the count, or was said again, are one line each."""
    deeds: list[Deed] = []
    for run_of, run in groupby(reversed(events), key=_run_of):
        told = [deed(event, visit) for event in run]
        if run_of and len(told) > 1:
            action, n = run_of[0], len(told)
            if action == "joined":
                said = replace(told[0], did=visit.words("activity.joined_many", n=n), reason="")
            else:
                said = replace(told[0], did=visit.words("activity.again", did=told[0].did, n=n))
            told = [said]
        deeds += told
    return deeds


def _run_of(event: TicketEvent) -> tuple[str, str] | None:
    """What neighbours of the same kind are told together; None tells an event by itself."""
    if event.changes or event.action not in _REPEATED:
        return None
    return event.action, "" if event.action == "joined" else event.reason


def deed(event: TicketEvent, visit: Visit) -> Deed:
    """A line of the audit in words; what changed in the state is named by the state reached."""
    words = visit.words
    key = f"activity.{event.action}"
    moved = words(f"state.{event.to_state}") if event.from_state is not event.to_state else ""
    changes = [
        words("activity.change", field=field, before=before, after=after)
        for name, pair in event.changes.items()
        if f"changed.{name}" in words
        for field, before, after in _changed(name, pair[0], pair[1], visit)
    ]
    return Deed(
        at_ns=event.at_ns,
        who=actor_name(event.actor, visit),
        did=words(key) if key in words else event.action,
        moved=moved,
        reason=_reason(event, visit),
        changes=changes,
    )


def _changed(name: str, before: Json, after: Json, visit: Visit) -> Iterator[tuple[str, str, str]]:
    """Each thing that changed in a field with its name, before and after; of a table each entry that did."""
    words = visit.words
    if not isinstance(before or {}, Mapping) or not isinstance(after or {}, Mapping):
        yield words(f"changed.{name}"), _value(name, before, visit), _value(name, after, visit)
        return
    was, is_ = before or {}, after or {}
    for key in sorted({*was, *is_}):
        if was.get(key) != is_.get(key):
            field = _entry(name, key, visit)
            yield field, _value(name, was.get(key), visit), _value(name, is_.get(key), visit)


def _entry(name: str, key: str, visit: Visit) -> str:
    """What an entry of a table is called: a person by name, a field of a type by its label."""
    if name == "collaborators":
        return person_name(key, visit.plant)
    fields = (field for kind in visit.plant.ticket_types for field in kind.fields if field.name == key)
    found = next(fields, None)
    if found is None:
        return key
    return found.zh if visit.words.language == "zh" else found.en


def _reason(event: TicketEvent, visit: Visit) -> str:
    """A person's own words; what a rule gave as its reason is told by the rule's sentence."""
    if event.reason in _FOLD_RULES:
        return fold_sentence(Fold(FoldRule(event.reason), event.numbers), visit.words, visit.time)
    if event.action in _BY_RULES:
        return _BY_RULES[event.action](event.reason, visit.words)
    if event.reason.startswith(_ROUTED):
        return visit.words(f"routing.rule_{event.reason.removeprefix(_ROUTED)}")
    return _of_taking(event.reason, visit.words)


def _not_carried_out(reason: str, words: Words) -> str:
    """The step that was decided on, and why it had become impossible."""
    step, _, code = reason.partition(": ")
    why = words(f"error.{code}") if f"error.{code}" in words else words("error.invalid_request")
    return f"{words(f'step.{step}')}: {why}"


_BY_RULES: Mapping[str, Callable[[str, Words], str]] = {
    "escalated": lambda reason, words: words(f"sla.clock_{reason}"),
    "reminded": lambda reason, words: words(f"sla.clock_{reason}"),
    "drifting": lambda reason, words: words("list.and").join(words(f"drift.why_{o}") for o in reason.split()),
    "routed": lambda reason, words: words(f"routing.why_{reason}"),
    "not_carried_out": _not_carried_out,
}
"""How the reason of what a rule did reads."""


def _of_taking(reason: str, words: Words) -> str:
    """What is given as a reason when a ticket is taken, or is not; a person's own words as they are."""
    missed = _MISSED.fullmatch(reason)
    if missed is not None:
        return words("activity.not_accepted", minutes=missed[1])
    return words(_TAKEN[reason]) if reason in _TAKEN else reason


def actor_name(actor: str, visit: Visit) -> str:
    """Who did it: a person by name, a detector or rule by what it is."""
    kind, _, name = actor.partition("/")
    if kind == "detector":
        name, _, version = name.partition("@")
        return visit.words("actor.detector", name=kind_name(name, visit.words), version=version)
    if kind == "rule":
        return visit.words("actor.rule", name=rule_name(name, visit.plant, visit.words))
    if kind == "plan":
        plan = next((one for one in visit.plant.plans if one.code == name), None)
        return visit.words("actor.plan", name=getattr(plan, visit.words.language, name))
    return person_name(actor, visit.plant)


def _value(name: str, value: Json, visit: Visit) -> str:
    if value is None or value == "":
        return MISSING
    if name in _TOLD:
        return _TOLD[name](str(value), visit)
    if name.endswith("_ns") and isinstance(value, int):
        return visit.time.at(value)
    if isinstance(value, bool):
        return visit.words("field.yes" if value else "field.no")
    return visit.words(f"{name}.{value}") if name in _CODED else str(value)


def cause_label(code: str, visit: Visit) -> str:
    """A root cause with its code; a code that is gone stays readable."""
    cause = causes_of(visit.plant).get(code)
    return f"{code} {cause.zh if visit.words.language == 'zh' else cause.en}" if cause else code


def scene_label(code: str, visit: Visit) -> str:
    """A scene tag in the visitor's language; a code that is gone stays readable."""
    tag = scene_tags_of(visit.plant).get(code)
    return code if tag is None else tag.zh if visit.words.language == "zh" else tag.en


_TOLD: Mapping[str, Callable[[str, Visit], str]] = {
    **dict.fromkeys(_PEOPLE, lambda who, visit: person_name(who, visit.plant)),
    "condition": lambda name, visit: condition_name(name, visit.words),
    "cause": cause_label,
    "scene_tag": scene_label,
    "collaborators": lambda role, visit: visit.words(f"raci.{role}"),
}
"""Fields whose values are told by something of their own."""


def chain(detail: store.TicketDetail, visit: Visit) -> list[Fact]:
    """The chain of responsibility (rule 41)."""
    ticket, resp = detail.ticket, detail.responsibility
    if resp is None:
        return []
    last = visit.words(
        "chain.last_words",
        who=actor_name(resp.last_actor, visit),
        did=visit.words(f"activity.{resp.last_action}"),
    )
    return [
        ("creator", actor_name(resp.creator, visit)),
        ("assigner", actor_name(resp.assigner, visit) if resp.assigner else MISSING),
        ("handler", person_name(ticket.assignee, visit.plant)),
        ("backup", person_name(ticket.backup, visit.plant)),
        ("requester", person_name(ticket.requester, visit.plant)),
        ("last", last),
        ("last_at", visit.time.at(resp.last_at_ns)),
    ]


def solution(ticket: Ticket, visit: Visit) -> list[Fact]:
    """What solved it and how it was closed, as far as that is known."""
    words = visit.words
    facts = [
        ("summary", ticket.summary),
        ("cause", cause_label(ticket.cause, visit) if ticket.cause else ""),
        (
            "same_kind",
            "" if ticket.same_kind is None else words("field.yes" if ticket.same_kind else "field.no"),
        ),
        ("handler", person_name(ticket.handler, visit.plant) if ticket.handler else ""),
        ("signer", person_name(ticket.signer, visit.plant) if ticket.signer else ""),
        ("signed_by", words(f"signed_by.{ticket.signed_by}") if ticket.signed_by else ""),
        ("scene_tag", scene_label(ticket.scene_tag, visit) if ticket.scene_tag else ""),
        ("closure", words(f"closure.{ticket.closure}") if ticket.closure else ""),
        ("note", ticket.closure_note),
        ("outcome", words(f"outcome.{ticket.outcome}") if ticket.outcome else ""),
        (
            "relearn",
            "" if ticket.relearn is None else words("field.yes" if ticket.relearn else "field.no"),
        ),
    ]
    return [fact for fact in facts if fact[1]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo as it is shown."""

    sha256: str
    width: int
    height: int
    who: str
    at_ns: int


def picture(photo: Photo, visit: Visit) -> Picture:
    """A photo with who took it."""
    return Picture(photo.sha256, photo.width, photo.height, person_name(photo.by, visit.plant), photo.at_ns)


@dataclass(frozen=True, slots=True)
class Link:
    """Something that belongs to the ticket and lies elsewhere."""

    href: str
    number: str
    why: str


def related(detail: store.TicketDetail, visit: Visit) -> list[Link]:
    """The root-cause tasks and other tickets that belong to this one."""
    words = visit.words
    links = [
        Link(f"/problems/{problem.id}", problem.number, words(f"related.{problem.kind}"))
        for problem in detail.problems
    ]
    links += [
        Link(f"/tickets/{one.ticket}", one.number, words(f"related.{one.kind}")) for one in detail.links
    ]
    return links
