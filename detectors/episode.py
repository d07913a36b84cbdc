"""One condition from its first word to its last, under ids that are the same on every run and never repeat."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from andon.events import Action, Family, Finding, Json, Number, Origin


@dataclass(slots=True)
class Episode:
    """A condition that stands, or does not (`id` empty). `words` counts what was said about it."""

    id: str = ""
    onset_ns: int = 0
    words: int = 0
    condition: str = ""
    severity: int = 0

    @property
    def stands(self) -> bool:
        """Whether it was raised and not yet cleared."""
        return bool(self.id)


@dataclass(frozen=True, slots=True)
class Word:
    """What a detector has to say about a condition at one moment."""

    at_ns: int
    condition: str
    severity: int
    origin: Origin
    confidence: float = 1.0
    numbers: tuple[Number, ...] = ()
    evidence: Mapping[str, Json] = field(default_factory=dict)
    text: Mapping[str, str] = field(default_factory=dict)


def parameters_hash(parameters: BaseModel) -> str:
    """Sixteen hex digits that name a set of parameters."""
    return hashlib.sha256(parameters.model_dump_json().encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks: one detector about one component of one asset.

    `subject` tells apart what shares a component: the measuring point, or nothing.
    """

    kind: str
    version: str
    parameters_hash: str
    asset: str
    family: Family
    component: str
    subject: str = ""

    def raises(self, episode: Episode, onset_ns: int, word: Word) -> Finding:
        """The condition began at `onset_ns`."""
        episode.id = self._episode_id(onset_ns)
        episode.onset_ns, episode.words = onset_ns, 0
        return self._finding(episode, Action.RAISE, word)

    def updates(self, episode: Episode, word: Word) -> Finding:
        """The condition stands and something about it really changed."""
        return self._finding(episode, Action.UPDATE, word)

    def clears(self, episode: Episode, word: Word) -> Finding:
        """The condition is over."""
        finding = self._finding(episode, Action.CLEAR, word)
        episode.id = ""
        return finding

    def _episode_id(self, onset_ns: int) -> str:
        identity = [self.kind, self.asset, self.component, self.family, self.subject, onset_ns]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]

    def _finding(self, episode: Episode, action: Action, word: Word) -> Finding:
        episode.words += 1
        episode.condition, episode.severity = word.condition, word.severity
        return Finding(
            id=f"{episode.id}-{episode.words}-{action}",
            asset=self.asset,
            component=self.component,
            family=self.family,
            condition=word.condition,
            action=action,
            at_ns=word.at_ns,
            onset_ns=episode.onset_ns,
            severity=word.severity,
            confidence=word.confidence,
            numbers=word.numbers,
            evidence=word.evidence,
            detector=self.kind,
            version=self.version,
            parameters_hash=self.parameters_hash,
            origin=word.origin,
            text=word.text,
        )
