"""Which alarms stand: an alarm that ended while nobody listened is missed by the refresh, and cleared.

A ConditionRefresh tells all conditions that are of interest again (OPC 10000-9, 5.5.7). One that was active and is
not told has ended. What stands is remembered in a file, so that this holds over a restart of the collector too.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from andon.events import Json
from andon.ports import Record
from ingest.opcua_events import Said

SETTLE_S = 1.0
"""After the end of a refresh: a server with several notifiers tells it once for each of them."""
LISTED = "list:"
"""Begins the name of an alarm that stands in a list of alarms: a refresh does not tell it."""
_EVENT = b"/_event"


class Conditions:
    """The alarms that were last said to be active, as the network loop knows them."""

    def __init__(self, standing: Mapping[str, Mapping[str, Json]]) -> None:
        self._standing = dict(standing)
        self._told: set[str] | None = None
        self._due_s: float | None = None

    def hear(self, said: Said) -> None:
        """Take note of what an alarm says."""
        if said.condition is None:
            return
        if self._told is not None:
            self._told.add(said.condition)
        if said.active:
            self._standing[said.condition] = said.body
        else:
            self._standing.pop(said.condition, None)

    def refresh_begins(self) -> None:
        """From here on the server tells all that is of interest."""
        if self._told is None:
            self._told = set()
        self._due_s = None

    def refresh_ends(self) -> None:
        """It has told all, unless another notifier begins."""
        if self._told is not None:
            self._due_s = time.monotonic() + SETTLE_S

    def connection_lost(self) -> None:
        """A refresh that was cut short says nothing."""
        self._told = self._due_s = None

    def ended_unheard(self) -> list[Said]:
        """The alarms that a finished refresh did not tell: each as the event that was missed."""
        if self._told is None or self._due_s is None or time.monotonic() < self._due_s:
            return []
        told, self._told, self._due_s = self._told, None, None
        return self._clear([key for key in self._standing if key not in told and not key.startswith(LISTED)])

    def only(self, scope: str, said: Sequence[Said]) -> list[Said]:
        """A list that is always whole (PackML's alarms): what it says, and the end of what it no longer names."""
        for one in said:
            self.hear(one)
        named = {one.condition for one in said}
        gone = [key for key in self._standing if key.startswith(scope) and key not in named]
        return [*said, *self._clear(gone)]

    def _clear(self, keys: Sequence[str]) -> list[Said]:
        return [_ended(key, self._standing.pop(key)) for key in keys]


def _ended(condition: str, body: Mapping[str, Json]) -> Said:
    """The event that ends an alarm, in our words: nobody knows when it ended, so it has no time of its own."""
    event_id = hashlib.blake2b(f"{body['event_id']}\x00ended".encode(), digest_size=16).hexdigest()
    ended = {**body, "event_id": event_id, "time": None, "inferred": True}
    return Said(ended | {"reason": {**body["reason"], "trigger": False}}, condition)


class Memory:
    """The file of the alarms that stand: never less than what the journal holds, whenever the power goes.

    An alarm is written here before the journal has it, and struck out after the journal has its end.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "conditions.json"
        try:
            self.standing: dict[str, dict[str, Json]] = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            self.standing = {}

    def before(self, batch: Sequence[Record]) -> None:
        """Keep the alarms that these records raise."""
        raised = {body["condition"]: body for body in _alarms(batch) if body["reason"]["trigger"]}
        if raised:
            self.standing |= raised
            self._save()

    def after(self, batch: Sequence[Record]) -> None:
        """Strike out the alarms whose last word in these records is their end."""
        last = {body["condition"]: bool(body["reason"]["trigger"]) for body in _alarms(batch)}
        ended = [key for key, active in last.items() if not active and key in self.standing]
        for key in ended:
            del self.standing[key]
        if ended:
            self._save()

    def _save(self) -> None:
        unfinished = self._path.with_suffix(".partial")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(json.dumps(self.standing).encode())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)


def _alarms(batch: Sequence[Record]) -> list[dict[str, Json]]:
    bodies = [json.loads(record.body) for record in batch if record.topic.endswith(_EVENT)]
    return [body for body in bodies if body.get("condition")]
