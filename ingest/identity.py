"""Twice is once: whether a message was here before, by the identity its sender gave it.

Three kinds of identity, all of them bounded engine state: a sequence number of a producer and its boot
(`Sequence`: exact for ever), an opaque id (a window of hashes with the payload's checksum), and, for a
message that has neither, the packet id of a re-sent MQTT PUBLISH on the same connection.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from typing import Generic, TypeVar

import numpy as np

from andon.events import Json
from andon.ports import State
from ingest.sequence import RECENT, Hole, Sequence, Verdict

MAX_SEQUENCES = 50_000
MAX_IDS = 65_536
MAX_PACKETS = 8_192
NEVER_NS = 2**63
K = TypeVar("K")
V = TypeVar("V")
Told = tuple[Hole, bool]
"""A hole that has become a gap, or (true) one told before that has since been filled."""


class Generations(Generic[K, V]):
    """A map of at most `limit` entries that forgets those longest unused: when the young half is full, the old one goes.

    Unlike an ordered map it moves nothing on a hit in the young half, and it is the same after a snapshot.
    """

    __slots__ = ("_half", "old", "young")

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self.young: dict[K, V] = {}
        self.old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value, which is young again; None if there is none."""
        value = self.young.get(key)
        if value is None and self.old:
            value = self.old.pop(key, None)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value."""
        if len(self.young) >= self._half and key not in self.young:
            self.old, self.young = self.young, {}
        self.young[key] = value


Window = Generations[int, int]
"""64-bit hashes or packet ids -> CRC-32 of the payload."""


class Identity:
    """Everything that is remembered of the messages so far. No hole of a source is overdue before its `due_ns`."""

    def __init__(self) -> None:
        self._sequences: Generations[str, Sequence] = Generations(MAX_SEQUENCES)
        self._ids: dict[str, Window] = {}
        self._packets: dict[str, Window] = {}
        self._waiting: dict[str, dict[str, int]] = {}
        self.due_ns: dict[str, int] = {}

    def sequence(self, key: str) -> Sequence:
        """What is known of one producer and boot."""
        sequence = self._sequences.get(key)
        if sequence is None:
            sequence = Sequence()
            self._sequences.put(key, sequence)
        return sequence

    def wait(self, source: str, key: str, sequence: Sequence) -> None:
        """Look at the holes of that sequence again when their time is up."""
        due_ns = sequence.next_ns()
        waiting = self._waiting.setdefault(source, {})
        if due_ns is None:
            waiting.pop(key, None)
        else:
            waiting[key] = due_ns
            self.due_ns[source] = min(self.due_ns.get(source, due_ns), due_ns)

    def overdue(self, source: str, received_ns: int) -> Iterable[Told]:
        """The holes of that source that have become gaps because nothing filled them in time."""
        waiting = self._waiting.get(source, {})
        told: list[Told] = []
        for key in [key for key, due_ns in waiting.items() if due_ns <= received_ns]:
            sequence = self._sequences.get(key)
            if sequence is None:
                del waiting[key]
                continue
            told += sequence.news(received_ns)
            self.wait(source, key, sequence)
        self.due_ns[source] = min(waiting.values(), default=NEVER_NS)
        return told

    def opaque(self, source: str, identity: bytes, checksum: int) -> Verdict:
        """Judge and keep an opaque id: a message of the same id with another payload is a conflict."""
        window = self._ids.setdefault(source, Generations(MAX_IDS))
        key = int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest())
        known = window.get(key)
        if known is None:
            window.put(key, checksum)
            return Verdict.NEW
        return Verdict.DUPLICATE if known == checksum else Verdict.CONFLICT

    def packet(self, source: str, packet: tuple[int, int], checksum: int, *, resent: bool) -> Verdict:
        """Judge a message without identity: the same bytes re-sent (DUP) as the same packet of one connection."""
        window = self._packets.setdefault(source, Generations(MAX_PACKETS))
        connection, number = packet
        key = (connection << 16 | number) % 2**64
        if resent and window.get(key) == checksum:
            return Verdict.DUPLICATE
        window.put(key, checksum)
        return Verdict.NEW

    def snapshot(self) -> State:
        """All of it as arrays and JSON."""
        waiting = {source: dict(due_ns) for source, due_ns in self._waiting.items()}
        state: dict[str, Json] = {"waiting": waiting, **_sequences_to_state(self._sequences)}
        for name, windows in (("ids", self._ids), ("packets", self._packets)):
            state[name] = list(windows)
            for at, window in enumerate(windows.values()):
                for half, entries in (("old", window.old), ("young", window.young)):
                    state[f"{name}.{at}.{half}.keys"] = np.fromiter(entries, np.uint64, len(entries))
                    values = np.fromiter(entries.values(), np.uint32, len(entries))
                    state[f"{name}.{at}.{half}.checksums"] = values
        return state

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        self._sequences = _sequences_from_state(state)
        waiting: Json = state["waiting"]
        self._waiting = {source: dict(due_ns) for source, due_ns in waiting.items()}
        self.due_ns = {
            source: min(due_ns.values(), default=NEVER_NS) for source, due_ns in self._waiting.items()
        }
        for name, windows, limit in (("ids", self._ids, MAX_IDS), ("packets", self._packets, MAX_PACKETS)):
            windows.clear()
            for at, source in enumerate(state[name]):
                window = windows[source] = Generations(limit)
                for half, entries in (("old", window.old), ("young", window.young)):
                    keys = state[f"{name}.{at}.{half}.keys"].tolist()
                    entries.update(zip(keys, state[f"{name}.{at}.{half}.checksums"].tolist(), strict=True))


def _sequences_to_state(sequences: Generations[str, Sequence]) -> dict[str, Json]:
    kept = [*sequences.old.values(), *sequences.young.values()]
    numbers = [(s.floor, s.last_ns, s.latest_source_ns, len(s.bounds)) for s in kept]
    recent = np.array([s.recent for s in kept], np.int64).reshape(len(kept), RECENT, 2)
    return {
        "sequences.old": list(sequences.old),
        "sequences.young": list(sequences.young),
        "sequences.assets": [s.asset for s in kept],
        "sequences.numbers": np.array(numbers, np.int64).reshape(len(kept), 4),
        "sequences.bounds": np.array([bound for s in kept for bound in s.bounds], np.int64),
        "sequences.recent": recent,
        "sequences.holes": {str(at): [asdict(h) for h in s.holes] for at, s in enumerate(kept) if s.holes},
    }


def _sequences_from_state(state: State) -> Generations[str, Sequence]:
    sequences: Generations[str, Sequence] = Generations(MAX_SEQUENCES)
    bounds = state["sequences.bounds"].tolist()
    recent = state["sequences.recent"].tolist()
    keys = [*state["sequences.old"], *state["sequences.young"]]
    holes: Json = state["sequences.holes"]
    start = 0
    for at, (floor, last_ns, latest_ns, count) in enumerate(state["sequences.numbers"].tolist()):
        half = sequences.old if at < len(state["sequences.old"]) else sequences.young
        half[keys[at]] = Sequence(
            bounds[start : start + count],
            floor,
            last_ns,
            latest_ns,
            state["sequences.assets"][at],
            [(number, checksum) for number, checksum in recent[at]],
            [Hole(**hole) for hole in holes.get(str(at), ())],
        )
        start += count
    return sequences
