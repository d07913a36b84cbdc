"""Who hears what, and when: the rules of one `[[notify]]`, decided on values.

Systems hear each event at once; groups and people hear what happened to one ticket within `group_wait_s` in one
message, outside their `hours` only what is critical, and a digest when more than `digest_over` a minute would come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from andon.calendars import Calendar
from andon.config import ConfigError, Notify, check, unknown
from andon.events import SECOND_NS, Json, Priority
from ticketing.topics import OF_KIND, UnknownTopic, types_of

T = TypeVar("T", bool, int, float)
CRITICAL: Priority = "critical"
PHONE = "tel:"
"""So begins a recipient who is nobody of the plant: the requester, by the number on the ticket."""


class Audience(StrEnum):
    """Whom a kind of channel reaches: programs, a chat that many read, or one person per message.

    A partner keeps the state of tickets too: what it is told it is told by `ticketing.partners`, and hears no event.
    """

    SYSTEMS = "systems"
    PARTNER = "partner"
    GROUP = "group"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One channel's rules; a default one hears everything, at once."""

    name: str
    audience: Audience = Audience.SYSTEMS
    types: frozenset[str] = types_of("andon.*")
    sites: frozenset[str] = frozenset()
    areas: frozenset[str] = frozenset()
    priorities: frozenset[str] = frozenset()
    conditions: frozenset[str] = frozenset()
    languages: tuple[str, ...] = ("en",)
    people: Mapping[str, str] = field(default_factory=dict)
    recipients: tuple[str, ...] = ()
    group_wait_s: float = 0.0
    digest_over: int | None = None
    hours: Calendar | None = None
    canary: bool = True
    link: str = ""
    scheme: str = ""
    """How requesters are named whom this channel reaches without listing them: `mailto:`, `wechat:`."""

    def wants(self, kind: str, content: Mapping[str, Json]) -> bool:
        """Whether an event is for this channel; an empty filter lets everything through."""
        asked = (
            (self.sites, content["site"]),
            (self.areas, content["area"]),
            (self.priorities, content["priority"]),
            (self.conditions, content["condition"]),
        )
        hears = self.audience is not Audience.PARTNER and OF_KIND[kind].name in self.types
        return hears and all(not only or is_ in only for only, is_ in asked)

    def told(self, named: Sequence[str]) -> Sequence[str]:
        """A recipient for each message: persons one by one, everybody else together ("")."""
        if self.audience is not Audience.PERSON:
            return ("",)
        phones = [who for who in named if who.startswith(PHONE)]
        known = (who for who in named if who in self.people or self._is_ours(who))
        return tuple(dict.fromkeys(phones or [*known, *self.recipients]))

    def _is_ours(self, who: str) -> bool:
        return bool(self.scheme) and who.startswith(self.scheme)

    def addresses(self, recipient: str, named: Sequence[str]) -> tuple[str, ...]:
        """Where a message goes on this channel; for a group, whom it calls by name."""
        if recipient.startswith(PHONE):
            return (recipient.removeprefix(PHONE),)
        if self._is_ours(recipient):
            return (recipient.removeprefix(self.scheme),)
        who = (recipient,) if recipient else (*named, *self.recipients)
        return tuple(dict.fromkeys(self.people[one] for one in who if one in self.people))

    def from_ns(self, at_ns: int, *, critical: bool) -> int:
        """From when on the message may leave: after `group_wait_s`, inside the hours; critical at once."""
        if critical:
            return at_ns
        ready_ns = at_ns + int(self.group_wait_s * SECOND_NS)
        if self.hours is None or self.hours.works_at(ready_ns):
            return ready_ns
        return next(start_ns for start_ns, _ in self.hours.spans(ready_ns))


def subscription(settings: Notify, audience: Audience, scheme: str = "") -> Subscription:
    """The rules of a `[[notify]]`; ConfigError says what to change."""
    here = f"notify {settings.name}"
    try:
        chosen = [types_of(topic) for topic in settings.topics or ("andon.*",)]
    except UnknownTopic as error:
        raise ConfigError(f"{here}: {error}") from error
    for who in settings.recipients:
        if who not in settings.people:
            raise ConfigError(f"{here}: recipients: {unknown(who, settings.people)} under people")
    reaches_people = audience in {Audience.GROUP, Audience.PERSON}
    return Subscription(
        name=settings.name,
        audience=audience,
        types=frozenset().union(*chosen),
        sites=frozenset(settings.sites),
        areas=frozenset(settings.areas),
        priorities=frozenset(settings.priorities),
        conditions=frozenset(settings.conditions),
        languages=("zh", "en") if settings.language == "both" else (settings.language,),
        people=settings.people,
        recipients=settings.recipients,
        group_wait_s=_or(settings.group_wait_s, 30.0 if reaches_people else 0.0),
        digest_over=_or(settings.digest_over, 10 if reaches_people else 0) or None,
        hours=check(Calendar, settings.hours, f"{here}: hours") if settings.hours else None,
        canary=_or(settings.canary, not reaches_people),
        link=settings.link.rstrip("/"),
        scheme=scheme,
    )


def _or(given: T | None, default: T) -> T:
    return default if given is None else given
