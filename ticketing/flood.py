"""When the alarms of an area are a flood: more than 10 in 10 minutes, over at fewer than 5 (IEC 62682, 16; ISA-18.2).

One alarm that comes and goes is one alarm: how often it comes is another matter (chattering). So an area remembers when
each alarm was last raised, of no more alarms than the rule needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from andon.events import MINUTE_NS
from andon.rules.suppression import Flood


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm of an area: when it was last raised, and by which finding."""

    at_ns: int
    finding: str


@dataclass(frozen=True, slots=True)
class Area:
    """What is remembered of an area: its latest alarms by key, and the flood that goes on, if one does.

    `ticket` is the flood's, `since_ns` when its first alarm was raised, `over_ns` when it was over, None while it goes on.
    """

    raised: Mapping[str, Raised] = field(default_factory=dict)
    ticket: int | None = None
    since_ns: int | None = None
    over_ns: int | None = None

    @property
    def floods(self) -> bool:
        """Whether a flood goes on."""
        return self.since_ns is not None and self.over_ns is None


def hear(area: Area, key: str, at_ns: int, finding: str, rule: Flood) -> Area:
    """The area after an alarm; as many alarms are remembered as a flood begins with, the latest."""
    known = area.raised.get(key)
    if known is not None and known.at_ns >= at_ns:
        return area
    raised = {**area.raised, key: Raised(at_ns, finding)}
    latest = sorted(raised.items(), key=lambda one: (one[1].at_ns, one[0]))[-(rule.more_than + 1) :]
    return Area(dict(latest), area.ticket, area.since_ns, area.over_ns)


def begins(area: Area, rule: Flood) -> tuple[str, Raised] | None:
    """The alarm that was first, if the latest alarms are a flood that has not been told; else None.

    The eleventh alarm exactly ten minutes after the first begins none.
    """
    if area.floods or len(area.raised) <= rule.more_than:
        return None
    ordered = sorted(area.raised.items(), key=lambda one: (one[1].at_ns, one[0]))
    (_, first), (_, last) = ordered[0], ordered[-1]
    if last.at_ns - first.at_ns >= _within_ns(rule):
        return None
    return ordered[0] if area.over_ns is None or last.at_ns > area.over_ns else None


def rate(area: Area, now_ns: int, rule: Flood) -> int:
    """How many of the remembered alarms were raised in the last minutes of the rule."""
    return sum(now_ns - one.at_ns < _within_ns(rule) for one in area.raised.values())


def ends(area: Area, now_ns: int, rule: Flood) -> bool:
    """Whether the flood is over: fewer than five alarms, exactly five do not end it."""
    return area.floods and rate(area, now_ns, rule) < rule.fewer_than


def _within_ns(rule: Flood) -> int:
    return round(rule.within_min * MINUTE_NS)
