"""Whether what is heard of an alarm is told as work, held back for a while, or only recorded (ISA-18.2, 10; EEMUA 191).

A rule is asked when something is heard, and again when the time is up that it asked for; what stood long enough or came
often enough is told then, as if heard at its own time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Finding, Priority
from andon.rules.alarms import AlarmDefinition
from ticketing.alarms import Alarm, Span
from ticketing.ticket import FoldRule

CALM_NS = 10 * MINUTE_NS
"""So long after its end an alarm that hovers at its limit is told from one that is new (deadband)."""
LINE_STOP = "line_stop"
"""What is of this category or condition is never held back, as little as what is critical."""


@dataclass(frozen=True, slots=True)
class Hold:
    """It is recorded without a ticket, by that rule; asked again at `until_ns`, unless that is None."""

    rule: FoldRule
    until_ns: int | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)


_Rule = Callable[[AlarmDefinition, Sequence[Span], Span, int], Hold | None]


def never_held(finding: Finding, priority: Priority) -> bool:
    """Whether it is told at once, whatever its definition says: critical, or the stop of a line."""
    return priority == "critical" or LINE_STOP in {finding.condition, finding.text.get("category")}


def hold_of(
    definition: AlarmDefinition, alarm: Alarm, at_ns: int, now_ns: int, *, open_ticket: bool = False
) -> Hold | None:
    """What holds back the activation of `at_ns`, as far as is known at `now_ns`; None if it is to be told.

    How often an alarm has to come decides about opening alone: what has an open ticket joins it.
    """
    spans = alarm.spans()
    span = next((one for one in reversed(spans) if one.from_ns <= at_ns), Span(at_ns, None))
    rules: tuple[_Rule, ...] = (_on_delay, _fleeting) if open_ticket else (_on_delay, _fleeting, _count)
    return next((hold for rule in rules if (hold := rule(definition, spans, span, now_ns))), None)


def hovers(definition: AlarmDefinition, alarm: Alarm, finding: Finding, at_ns: int) -> Hold | None:
    """Whether an alarm that has just returned is raised again by less than its deadband: no transition.

    Which side of the limit is the bad one is told by the value itself, which lies beyond it. A limit of 0 has no band.
    """
    if not definition.deadband_percent or alarm.active or not alarm.words:
        return None
    since_ns = at_ns - alarm.words[-1].at_ns
    limited = [number for number in finding.numbers if number.limit]
    if not 0 <= since_ns < CALM_NS or not limited:
        return None
    beyond = max(abs(number.value - number.limit) / abs(number.limit) for number in limited if number.limit)
    if beyond * 100 >= definition.deadband_percent:
        return None
    numbers = {"beyond_percent": beyond * 100, "deadband_percent": definition.deadband_percent}
    return Hold(FoldRule.HELD_DEADBAND, None, numbers)


def end_of(definition: AlarmDefinition, alarm: Alarm, at_ns: int, now_ns: int) -> Hold | None:
    """What holds back the end heard at `at_ns`: it is one only if nothing was raised for as long as the off-delay."""
    delay_ns = _ns(definition.off_delay_s)
    numbers = {"delay_s": definition.off_delay_s}
    if any(not word.over and at_ns < word.at_ns <= at_ns + delay_ns for word in alarm.words):
        return Hold(FoldRule.HELD_OFF_DELAY, None, numbers)
    return Hold(FoldRule.HELD_OFF_DELAY, at_ns + delay_ns, numbers) if now_ns < at_ns + delay_ns else None


def is_fleeting(definition: AlarmDefinition, alarm: Alarm, at_ns: int) -> bool:
    """Whether the activation of that time is over and was too short."""
    span = next((one for one in reversed(alarm.spans()) if one.from_ns <= at_ns), None)
    short = definition.fleeting is not None and span is not None and span.to_ns is not None
    return bool(
        short and definition.fleeting and span and _stood_ns(span, 0) < _ns(definition.fleeting.active_s)
    )


def _on_delay(definition: AlarmDefinition, _spans: Sequence[Span], span: Span, now_ns: int) -> Hold | None:
    delay_ns = _ns(definition.on_delay_s)
    return _until_it_stood(span, delay_ns, now_ns, FoldRule.HELD_ON_DELAY, {"delay_s": definition.on_delay_s})


def _fleeting(definition: AlarmDefinition, spans: Sequence[Span], span: Span, now_ns: int) -> Hold | None:
    rule = definition.fleeting
    if rule is None:
        return None
    numbers = {"active_s": rule.active_s, "repeat_s": rule.repeat_s, "per_hour": float(rule.per_hour)}
    hold = _until_it_stood(span, _ns(rule.active_s), now_ns, FoldRule.HELD_FLEETING, numbers)
    if hold is None or span.to_ns is None:
        return hold
    repeat_ns = span.to_ns + _ns(rule.repeat_s)
    if any(span.to_ns < one.from_ns <= repeat_ns for one in spans) or any(
        one.to_ns is not None and one.to_ns < span.from_ns <= one.to_ns + _ns(rule.repeat_s) for one in spans
    ):
        return None
    if _many(spans, span, rule.per_hour, HOUR_NS):
        return None
    return Hold(FoldRule.HELD_FLEETING, repeat_ns if now_ns < repeat_ns else None, numbers)


def _count(definition: AlarmDefinition, spans: Sequence[Span], span: Span, now_ns: int) -> Hold | None:
    rule = definition.count
    if rule is None or _many(spans, span, rule.n, _ns(rule.within_s)):
        return None
    within_ns = _ns(rule.within_s)
    numbers = {"n": float(rule.n), "within_s": rule.within_s}
    hold = _until_it_stood(span, within_ns, now_ns, FoldRule.HELD_COUNT, numbers)
    if hold is None or span.to_ns is None or now_ns >= span.from_ns + within_ns:
        return hold
    return Hold(FoldRule.HELD_COUNT, span.from_ns + within_ns, numbers)


def _until_it_stood(
    span: Span, long_ns: int, now_ns: int, rule: FoldRule, numbers: Mapping[str, float]
) -> Hold | None:
    if _stood_ns(span, now_ns) >= long_ns:
        return None
    return Hold(rule, span.from_ns + long_ns if span.to_ns is None else None, numbers)


def _stood_ns(span: Span, now_ns: int) -> int:
    return (now_ns if span.to_ns is None else span.to_ns) - span.from_ns


def _many(spans: Sequence[Span], span: Span, n: int, within_ns: int) -> bool:
    """Whether the activation is one of so many that began within that time."""
    starts = [one.from_ns for one in spans]
    return any(
        first <= span.from_ns <= last and last - first <= within_ns
        for first, last in zip(starts, starts[n - 1 :], strict=False)
    )


def _ns(seconds: float) -> int:
    return round(seconds * SECOND_NS)
