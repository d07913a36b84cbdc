"""Words to rows and back: the one place that knows how a ticket, an occurrence or a problem lies in its table."""

from collections.abc import Callable, Mapping
from functools import cache

import msgspec
from sqlalchemy import RowMapping

from andon.events import Action, Family, Finding, Json, Number
from ticketing.dedup import Key
from ticketing.repeats import Activation, Failure, Scoping
from ticketing.sql import Row, to_json
from ticketing.ticket import (
    Clock,
    Closure,
    Fold,
    FoldRule,
    Headline,
    Occurrence,
    Outcome,
    Photo,
    SubState,
    Suggestion,
    Ticket,
    TicketEvent,
    TicketState,
)
from ticketing.urgency import ORDER, headline_text

_HEADLINE = msgspec.json.Decoder(Headline)
_SUGGESTION = msgspec.json.Decoder(Suggestion)
_FOLD = msgspec.json.Decoder(dict[str, float])
_NUMBERS = msgspec.json.Decoder(tuple[Number, ...])
_TEXT = msgspec.json.Decoder(dict[str, str])
_CHANGES = msgspec.json.Decoder(dict[str, Json])
_STRINGS = msgspec.json.Decoder(tuple[str, ...])

_AS_THEY_ARE = (
    "id",
    "number",
    "type",
    "asset",
    "line",
    "key",
    "anchor_ns",
    "first_event_ns",
    "last_event_ns",
    "opened_ns",
    "trace_id",
    "search",
    "occurrence_count",
    "alarm_active",
    "requester",
    "assignee",
    "backup",
    "assigned_ns",
    "accepted_ns",
    "resolved_ns",
    "closed_ns",
    "handler",
    "signer",
    "summary",
    "cause",
    "same_kind",
    "closure_note",
    "relearn",
    "approver",
    "duplicate_of",
    "recurrence_of",
    "reopen_count",
    "claim_misses",
    "description",
    "fault_type",
    "urgent",
    "channel",
    "event_id",
    "reporter",
    "phone",
    "grade",
    "region",
    "hold",
    "priority_held",
    "arrived_ns",
    "signed_by",
    "scene_tag",
    "archived_ns",
    "parent",
    "version",
    "change",
    "audit_seq",
    "audit_hash",
)
"""Fields of a ticket that a column holds as they are."""


def ticket_row(ticket: Ticket, stored: Ticket | None = None) -> Row:
    """A ticket as a row of its table; of one that is `stored` only the columns in which it differs.

    What joins changes few, and so neither the others nor their indexes are written.
    """
    now, was = vars(ticket), vars(stored) if stored is not None else {}
    new = {name: value for name, value in now.items() if name not in was or was[name] != value}
    row: Row = {name: new.pop(name) for name in _AS_THEY_ARE if name in new}
    return row | {column: value for name in new for column, value in _COLUMNS[name](ticket).items()}


_COLUMNS: Mapping[str, Callable[[Ticket], Row]] = {
    "headline": lambda one: {
        "family": str(one.headline.family),
        "component": one.headline.component,
        "condition": one.headline.condition,
        "severity": one.headline.severity,
        "headline": to_json(one.headline),
    },
    "suggestion": lambda one: {
        "suggested": one.suggestion.person if one.suggestion else None,
        "suggestion": to_json(one.suggestion) if one.suggestion else None,
    },
    "priority": lambda one: {"priority": ORDER.index(one.priority)},
    "state": lambda one: {"state": str(one.state)},
    "sub_state": lambda one: {"sub_state": one.sub_state and str(one.sub_state)},
    "closure": lambda one: {"closure": one.closure and str(one.closure)},
    "outcome": lambda one: {"outcome": one.outcome and str(one.outcome)},
    "fields": lambda one: {"fields": to_json(one.fields)},
    "collaborators": lambda one: {"collaborators": to_json(one.collaborators)},
}
"""The columns of a ticket's other fields."""


def ticket_of(row: RowMapping) -> Ticket:
    """The ticket of a row of its table."""
    return Ticket(
        headline=_HEADLINE.decode(row["headline"]),
        priority=ORDER[row["priority"]],
        state=TicketState(row["state"]),
        sub_state=SubState(row["sub_state"]) if row["sub_state"] else None,
        closure=Closure(row["closure"]) if row["closure"] else None,
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        suggestion=_SUGGESTION.decode(row["suggestion"]) if row["suggestion"] else None,
        fields=_CHANGES.decode(row["fields"]),
        collaborators=_TEXT.decode(row["collaborators"]),
        **{name: row[name] for name in _AS_THEY_ARE},
    )


def occurrence_row(
    finding: Finding, *, key: Key, ticket: int | None, at_ns: int, clock: Clock, fold: Fold, recorded_ns: int
) -> Row:
    """A finding as it was folded."""
    return {
        "finding": finding.id,
        "ticket": ticket,
        "key": key.hash,
        "asset": finding.asset,
        "component": finding.component,
        "family": str(finding.family),
        "condition": finding.condition,
        "action": str(finding.action),
        "severity": finding.severity,
        "confidence": finding.confidence,
        "at_ns": at_ns,
        "event_ns": finding.at_ns,
        "onset_ns": finding.onset_ns,
        "received_ns": finding.origin.received_ns,
        "recorded_ns": recorded_ns,
        "clock": str(clock),
        "rule": str(fold.rule),
        "fold": to_json(fold.numbers),
        "numbers": to_json(finding.numbers),
        "text": to_json(finding.text),
        "detector": finding.detector,
        "detector_version": finding.version,
        "parameters_hash": finding.parameters_hash,
        "trace_id": finding.origin.trace_id,
        "has_evidence": bool(finding.evidence),
        "set_version": finding.set_version,
    }


def occurrence_of(row: RowMapping) -> Occurrence:
    """The occurrence of a row of its table."""
    values = dict(row)
    rule = FoldRule(values.pop("rule"))
    values |= {
        "family": _family(values["family"]),
        "action": Action(values["action"]),
        "clock": Clock(values["clock"]),
        "fold": Fold(rule, _FOLD.decode(values["fold"])),
        "numbers": _NUMBERS.decode(values["numbers"]),
        "text": _TEXT.decode(values["text"]),
    }
    return Occurrence(**values)


def headline_of_row(row: RowMapping) -> Headline:
    """An occurrence's row as a headline."""
    return Headline(
        family=_family(row["family"]),
        component=row["component"],
        condition=row["condition"],
        severity=row["severity"],
        confidence=row["confidence"],
        at_ns=row["at_ns"],
        finding=row["finding"],
        numbers=_NUMBERS.decode(row["numbers"]),
        text=headline_text(_family(row["family"]), _TEXT.decode(row["text"])),
    )


def event_of(row: RowMapping) -> TicketEvent:
    """The line of the audit of a row of its table."""
    values = dict(row)
    values |= {
        "from_state": TicketState(row["from_state"]) if row["from_state"] else None,
        "to_state": TicketState(row["to_state"]),
        "changes": _CHANGES.decode(row["changes"]),
        "numbers": _FOLD.decode(row["numbers"]),
        "evidence": _STRINGS.decode(row["evidence"]),
    }
    return TicketEvent(**values)


def activation_row(activation: Activation) -> Row:
    """An activation as a row of its table."""
    return {
        "finding": activation.finding,
        "key": activation.key,
        "source": activation.source,
        "asset": activation.asset,
        "family": str(activation.family),
        "ticket": activation.ticket,
        "at_ns": activation.at_ns,
        "last_ns": activation.last_ns,
        "clear_ns": activation.clear_ns,
        "ended_by_repair": False,
        "failure": activation.failure,
        "failure_ns": activation.failure_ns,
    }


def activation_of(row: RowMapping) -> Activation:
    """The activation of a row of its table."""
    values = {**row, "family": _family(row["family"])}
    del values["ended_by_repair"]
    return Activation(**values)


def failure_of_row(row: RowMapping, scoping: Scoping) -> Failure:
    """The failure of a row of its table, joined with its ticket's repair."""
    scope = scoping.of(row["asset"], fault=row["fault"], component=row["component"])
    return Failure(
        row["finding"], row["key"], row["ticket"], row["start_ns"], row["resolved_ns"], scope, row["serial"]
    )


def photo_of(row: RowMapping) -> Photo:
    """The photo of a row of its table."""
    return Photo(**row)


@cache
def _family(name: str) -> Family:
    return Family(name)
