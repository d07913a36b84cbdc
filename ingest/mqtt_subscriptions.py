"""What a collector is subscribed to: filters that the broker may still know of, and what came by each of them.

A persistent session keeps the subscriptions of all its past, wanted or not: a filter that is only left out of the
configuration goes on for ever. So what was ever asked for stands in a file until it has been unsubscribed.
"""

import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from andon.events import Json
from andon.ports import Record

_log = logging.getLogger(__name__)
_TOPICS_MAX = 16_384
_SESSIONS_MAX = 16
_SHARE = "$share"


def filter_problem(text: str) -> str:
    """What is wrong with a topic filter, in words; empty if nothing is.

    >>> filter_problem("andon/v1/#"), filter_problem("andon/#/v1")
    ('', "'#' is only allowed as the last level: andon/#/v1")
    """
    levels = text.split("/")
    if not text or "\0" in text or len(text.encode("utf-8", "replace")) > 0xFFFF:
        return f"a topic filter has 1 to 65535 bytes and no NUL: {text[:40]!r}"
    if levels[0] == _SHARE:
        return f"give shared_group instead of a filter that begins with $share: {text}"
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        return f"'#' is only allowed as the last level: {text}"
    if any("+" in level and level != "+" for level in levels):
        return f"'+' stands for a whole level: {text}"
    return ""


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic falls under a filter; what begins with `$` only under one that names it (MQTT 5, 4.7.2).

    >>> matches("a/+/#", "a/b"), matches("a/+", "a/b/c"), matches("#", "$SYS/uptime")
    (True, False, False)
    """
    wanted, levels = pattern.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] != levels[0]:
        return False
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(
        want in {"+", level} for want, level in zip(wanted, levels, strict=True)
    )


def shared(group: str | None, topic: str) -> str:
    """The filter as the broker is asked for it: of a group of subscribers, or of our own."""
    return topic if group is None else f"{_SHARE}/{group}/{topic}"


class Arrivals:
    """How many messages came by each filter, and when the last one did: a filter that brings nothing is seen."""

    def __init__(self, filters: Sequence[str]) -> None:
        self._filters = tuple(filters)
        self._messages = dict.fromkeys(filters, 0)
        self._last_ns: dict[str, int | None] = dict.fromkeys(filters)
        self._known: dict[bytes, tuple[str, ...]] = {}
        self.last_received_ns: int | None = None

    def note(self, records: Sequence[Record]) -> None:
        """Count these records; a message that falls under two filters counts for both."""
        if not records:
            return
        self.last_received_ns = at_ns = records[-1].received_ns
        for topic, count in Counter([record.topic for record in records]).items():
            for name in self._known.get(topic) or self._look_up(topic):
                self._messages[name] += count
                self._last_ns[name] = at_ns

    def now_of(self, filters: Sequence[str]) -> None:
        """Go on with these filters; those that stay keep their counts."""
        self._messages = {name: self._messages.get(name, 0) for name in filters}
        self._last_ns = {name: self._last_ns.get(name) for name in filters}
        self._filters = tuple(filters)
        self._known.clear()

    def facts(self) -> Mapping[str, Json]:
        """By filter: `messages`, and `last_received_ns` (None: nothing has come by it)."""
        return {
            name: {"messages": self._messages[name], "last_received_ns": self._last_ns[name]}
            for name in self._filters
        }

    def _look_up(self, topic: bytes) -> tuple[str, ...]:
        text = topic.decode("utf-8", "replace")
        found = tuple(name for name in self._filters if matches(name, text))
        if len(self._known) >= _TOPICS_MAX:
            self._known.clear()
        self._known[topic] = found
        return found


class Kept:
    """A small JSON file of what was known of each broker's session, replaced as a whole.

    Damaged it counts as empty, and a disk that takes nothing leaves the old one: neither is worth the messages.
    """

    def __init__(self, path: Path, session: str) -> None:
        self._path = path
        self._session = session

    def read(self) -> Mapping[str, Json]:
        """What was kept for this session."""
        known = self._sessions().get(self._session)
        return known if isinstance(known, dict) else {}

    def write(self, facts: Mapping[str, Json]) -> None:
        """Keep this for the session, and what is known of the last few others."""
        others = {name: known for name, known in self._sessions().items() if name != self._session}
        kept = dict([*others.items(), (self._session, dict(facts))][-_SESSIONS_MAX:])
        partial = self._path.with_suffix(".partial")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8") as file:
                json.dump(kept, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
        except OSError as error:
            _log.warning("cannot be remembered", extra={"path": str(self._path), "why": str(error)})

    def _sessions(self) -> dict[str, Json]:
        try:
            kept: Json = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("cannot be read", extra={"path": str(self._path), "why": str(error)})
            return {}
        return kept if isinstance(kept, dict) else {}


class Subscriptions:
    """The filters that the broker may know of our session. What is asked for is written down before it is asked."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        known: Json = kept.read().get("filters", [])
        self._known = {str(name) for name in known} if isinstance(known, list) else set()

    def forget(self) -> None:
        """The broker has no session of ours: there is nothing to unsubscribe."""
        self._known = set()

    def surplus(self, wanted: Iterable[str]) -> list[str]:
        """What has to be unsubscribed, in a fixed order."""
        return sorted(self._known.difference(wanted))

    def ask(self, wanted: Iterable[str]) -> None:
        """These are about to be asked for: the broker may know them from now on."""
        self._set(self._known.union(wanted))

    def settled(self, wanted: Iterable[str]) -> None:
        """The broker knows these and no others."""
        self._set(set(wanted))

    def _set(self, known: set[str]) -> None:
        if known != self._known:
            self._known = known
            self._kept.write({"filters": sorted(known)})
