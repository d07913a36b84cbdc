"""The frozen baseline in words: which version it is, from when to when and of how many blocks it was learned.

A person's declaration of a repair or of another way of running is the only reason to learn one anew; the version
counts these declarations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from andon.events import Declaration, Declared, Finding, Json
from detectors.episode import Episode, Speaker, Word

RELEARNED = frozenset({Declared.REPAIR, Declared.OPERATING_CHANGE})
"""What a person declares that makes baselines be learned anew."""


@dataclass(slots=True)
class Versions:
    """How often the baseline of a component was learned, and since when readings belong to the latest one."""

    count: dict[str, int] = field(default_factory=dict)
    since_ns: dict[str, int] = field(default_factory=dict)

    def of(self, component: str) -> int:
        """The version in force, from 1.

        >>> versions = Versions(); versions.declare("bearing_de", 5); versions.of("bearing_de"), versions.of("motor")
        (2, 1)
        """
        return self.count.get(component, 1)

    def declare(self, component: str, at_ns: int) -> None:
        """What was learned of the component until then holds no more."""
        self.count[component] = self.of(component) + 1
        self.since_ns[component] = max(at_ns, self.since_ns.get(component, at_ns))

    def holds_at(self, component: str, at_ns: int) -> bool:
        """Whether a reading of that time belongs to the version in force, not to what was before the declaration."""
        return at_ns >= self.since_ns.get(component, at_ns)


def source_of(version: int) -> str:
    """Where a limit that is relative to the baseline comes from.

    >>> source_of(2)
    'frozen baseline v2'
    """
    return f"frozen baseline v{version}"


def shape(
    version: int, from_ns: int, to_ns: int, blocks: int, state: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """The baseline as evidence; `blocks` counts blocks or rows, `state` is the operating state it was learned in."""
    shown = {"version": version, "from_ns": from_ns, "to_ns": to_ns, "blocks": blocks}
    return {**shown, "operating_state": dict(state)} if state else shown


def cleared(speaker: Speaker, episode: Episode, why: Declaration) -> list[Finding]:
    """The last word about a condition that stood when a person declared the baseline void; nothing if none stood."""
    if not episode.stands:
        return []
    text = {
        "point": speaker.subject.partition("/")[0],
        "declared": why.what.value,
        "by": why.by,
        "note": why.note,
    }
    at_ns = max(why.at_ns, episode.onset_ns)
    word = Word(at_ns, episode.condition, episode.severity, why.origin, text=text)
    return [speaker.clears(episode, word)]
