"""How urgent, and which word stands at the head of a ticket: both may rise with what is heard, never fall."""

import math
from collections.abc import Mapping
from typing import get_args

from andon.events import Family, Finding, Priority
from andon.own_findings import OWN_ASSET
from andon.plant import Asset
from ticketing.ticket import Headline

ORDER: tuple[Priority, ...] = get_args(Priority)
"""From low to critical."""

_SEVERITIES: tuple[tuple[int, Priority], ...] = ((667, "high"), (334, "medium"))
"""Lower edges of OPC UA severities (OPC 10000-5, 6.4.2 and the mapping of OPC A&E to low, medium, high)."""

CRITICAL = 900
"""From here on a finding about Andon's own line is critical."""

_SAYS = {
    "stop": 2,
    "unusual_course": 0,
    "zone_c": 1,
    "zone_d": 1,
    "band_energy_rise": 2,
    "neighbour_rise": 2,
    "operating_change": 1,
    "bearing_unknown": 2,
}
"""How much a condition says about the cause; one that names the element says most."""
_NAMES_THE_CAUSE = 3


def priority_of(finding: Finding, asset: Asset | None, priorities: Mapping[str, Priority]) -> Priority:
    """What the plant says for the condition, the stop's category or the family; else by severity.

    A person's report says it itself. High on an asset of criticality A is critical, and so is 900 where Andon speaks of itself.
    """
    if finding.family is Family.REPORT:
        return next(word for word in ORDER if word == finding.text["priority"])
    for name in (finding.condition, finding.text.get("category", ""), str(finding.family)):
        if name in priorities:
            return priorities[name]
    lowest: Priority = "low"
    if finding.asset == OWN_ASSET and finding.severity >= CRITICAL:
        return "critical"
    by_severity = next((word for edge, word in _SEVERITIES if finding.severity >= edge), lowest)
    if by_severity == "high" and asset is not None and asset.criticality == "A":
        return "critical"
    return by_severity


def higher(one: Priority, other: Priority) -> Priority:
    """The graver of two priorities.

    >>> higher("medium", "low")
    'medium'
    """
    return max(one, other, key=ORDER.index)


def headline_of(finding: Finding, at_ns: int) -> Headline:
    """The finding as a headline: numbers that are no numbers are left out."""
    return Headline(
        family=finding.family,
        component=finding.component,
        condition=finding.condition,
        severity=finding.severity,
        confidence=finding.confidence,
        at_ns=at_ns,
        finding=finding.id,
        numbers=tuple(n for n in finding.numbers if math.isfinite(n.value)),
        text=headline_text(finding.family, finding.text),
    )


def headline_text(family: Family, text: Mapping[str, str]) -> Mapping[str, str]:
    """What a headline says of it; of a person's report the first words, and never a telephone number."""
    if family is not Family.REPORT:
        return dict(text)
    return {name: text[name] for name in ("message", "message_zh") if name in text}


def graver(one: Headline, other: Headline) -> Headline:
    """The headline that says more: a cause over the stop it led to, an element over a zone, then severity, then time.

    Of what machines say the latest, of what people say the first: who calls to ask has less to tell. It does not matter
    in which order they are compared.
    """
    return max(one, other, key=_rank)


def _rank(headline: Headline) -> tuple[bool, bool, int, int, int, str]:
    stop, reported = headline.family is Family.STOP, headline.family is Family.REPORT
    says = _SAYS.get(headline.condition, _NAMES_THE_CAUSE)
    latest_ns = -headline.at_ns if reported else headline.at_ns
    return not reported, not stop, says, headline.severity, latest_ns, headline.finding
