"""Twice is once: whether a message was here before, by the identity its sender gave it.

Three kinds of identity, all of them bounded engine state: a sequence number of a producer and its boot
(`Sequence`: exact for ever), an opaque id (a window of hashes with the payload's checksum), and, for a
message that has neither, the packet id of a re-sent MQTT PUBLISH on the same connection.

What is remembered is bounded: `MAX_SEQUENCES` producers and boots (under 1 KB each unless they lose much), and per
source `MAX_IDS` ids and `MAX_PACKETS` packets. Beyond that the half that was longest unused is forgotten at once;
that is counted, and its holes are told as gaps before.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Generic, TypeVar

import numpy as np

from andon.events import Json
from andon.ports import State
from ingest.remarks import Remarks
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
    `forget` is told what goes.
    """

    __slots__ = ("_forget", "_half", "old", "young")

    def __init__(self, limit: int, forget: Callable[[dict[K, V]], None] | None = None) -> None:
        self._half = limit // 2
        self._forget = forget
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

    def peek(self, key: K) -> V | None:
        """The value as it is; None if there is none."""
        value = self.young.get(key)
        return self.old.get(key) if value is None else value

    def put(self, key: K, value: V) -> None:
        """Keep a value."""
        if len(self.young) >= self._half and key not in self.young:
            gone, self.old, self.young = self.old, self.young, {}
            if gone and self._forget is not None:
                self._forget(gone)
        self.young[key] = value


Window = Generations[int, int]
"""64-bit hashes or packet ids -> CRC-32 of the payload."""


class Identity:
    """Everything that is remembered of the messages so far. No hole of a source is overdue before its `due_ns`.

    `forgotten` counts the producers that had to be forgotten; whoever tells it sets it back.
    """

    def __init__(self) -> None:
        self._sequences: Generations[str, Sequence] = Generations(MAX_SEQUENCES, self._forget)
        self._lost: dict[str, list[Hole]] = {}
        self.forgotten = 0
        self.remarks = Remarks()
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
        told: list[Told] = [(hole, False) for hole in self._lost.pop(source, ())]
        for key in [key for key, due_ns in waiting.items() if due_ns <= received_ns]:
            sequence = self._sequences.peek(key)
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

    def _forget(self, gone: dict[str, Sequence]) -> None:
        """What of these was still being waited for is lost: the next record of its source says so."""
        self.forgotten += len(gone)
        for source, waiting in self._waiting.items():
            keys = [key for key in waiting if key in gone]
            holes = [hole for key in keys for hole in gone[key].holes if hole.missing and not hole.told]
            for key in keys:
                del waiting[key]
            if holes:
                self._lost.setdefault(source, []).extend(holes)
                self.due_ns[source] = 0

    def snapshot(self) -> State:
        """All of it as arrays and JSON."""
        waiting = {source: dict(due_ns) for source, due_ns in self._waiting.items()}
        state: dict[str, Json] = {
            "waiting": waiting,
            "lost": {source: [asdict(hole) for hole in holes] for source, holes in self._lost.items()},
            "forgotten": self.forgotten,
            "remarks": self.remarks.snapshot(),
            **_sequences_to_state(self._sequences),
        }
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
        _restore_sequences(self._sequences, state)
        lost: Json = state.get("lost", {})
        self._lost = {source: [Hole(**hole) for hole in holes] for source, holes in lost.items()}
        self.forgotten = int(state.get("forgotten", 0))
        remarks: Json = state.get("remarks", ())
        self.remarks.restore(remarks)
        waiting: Json = state["waiting"]
        self._waiting = {source: dict(due_ns) for source, due_ns in waiting.items()}
        self.due_ns = {
            source: min(due_ns.values(), default=NEVER_NS) for source, due_ns in self._waiting.items()
        } | dict.fromkeys(self._lost, 0)
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
    return {
        "sequences.old": list(sequences.old),
        "sequences.young": list(sequences.young),
        "sequences.assets": [s.asset for s in kept],
        "sequences.numbers": np.array(numbers, np.int64).reshape(len(kept), 4),
        "sequences.bounds": np.array([bound for s in kept for bound in s.bounds], np.int64),
        "sequences.recent": np.frombuffer(b"".join([s.numbers.tobytes() for s in kept]), np.int64),
        "sequences.checksums": np.frombuffer(b"".join([s.checksums.tobytes() for s in kept]), np.uint32),
        "sequences.holes": {str(at): [asdict(h) for h in s.holes] for at, s in enumerate(kept) if s.holes},
    }


def _restore_sequences(sequences: Generations[str, Sequence], state: State) -> None:
    sequences.old, sequences.young = {}, {}
    bounds = state["sequences.bounds"].tolist()
    recent, checksums = state["sequences.recent"], state["sequences.checksums"]
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
            array("q", recent[at * RECENT : (at + 1) * RECENT].tobytes()),
            array("I", checksums[at * RECENT : (at + 1) * RECENT].tobytes()),
            [Hole(**hole) for hole in holes.get(str(at), ())],
        )
        start += count
