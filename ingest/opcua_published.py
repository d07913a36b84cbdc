"""What a server publishes becomes records at once and in order: values, states, alarms, events, and every loss.

Nothing here waits: asyncua calls it between two messages, and a callback that waits starves the connection.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from asyncua import ua

from andon.clock import Now
from andon.events import GapCause, nanoseconds
from ingest import opcua_packml
from ingest.opcua_backfill import MARGIN_NS, MOST_BACK_NS, Backfill, Hole
from ingest.opcua_conditions import Conditions
from ingest.opcua_events import (
    QUEUE_OVERFLOW,
    REFRESH_END,
    REFRESH_REQUIRED,
    REFRESH_START,
    Asked,
    Events,
    Said,
    kind_of,
    said_of,
)
from ingest.opcua_intake import Intake
from ingest.opcua_items import STATE, STOP, Board, Layers, Standing, Watched
from ingest.opcua_words import BAD, Value, status_name, value_of, value_record
from ingest.packml import innermost, state_of

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lasting:
    """What outlives a connection: where data goes, how items and alarms stand, and what is still to be filled."""

    intake: Intake
    board: Board
    conditions: Conditions
    backfill: Backfill
    now: Now
    states: dict[str, str | int] = field(default_factory=dict)

    def since(self, heard_ns: int) -> dict[Watched, int]:
        """From when on each item is missing if the server spoke last at `heard_ns`: since its own last value."""
        before_ns, earliest_ns = heard_ns - MARGIN_NS, heard_ns - MOST_BACK_NS
        return {
            watched: max(watched.last_ns or before_ns, earliest_ns) for watched in self.board.items.values()
        }

    def lost(self, from_ns: int, to_ns: int) -> None:
        """What came between these times found no room: read it from history."""
        since_ns = dict.fromkeys(self.board.items.values(), from_ns - MARGIN_NS)
        self.backfill.note(Hole(from_ns, to_ns, GapCause.OVERFLOW, since_ns))

    def missed(self, watched: Watched, to_ns: int, cause: str, *, from_ns: int | None = None) -> None:
        """An item's values since its last one are missing: say it, and fill it if its history can be read."""
        since_ns = watched.last_ns if from_ns is None else from_ns
        item = watched.item
        begin_ns = min(since_ns, to_ns)
        self.intake.gap(begin_ns, to_ns, cause, asset=item.asset, point=watched.point)
        self.backfill.note(
            Hole(begin_ns, to_ns, cause, {watched: since_ns}, asset=item.asset, point=watched.point)
        )


class Published:
    """The messages of one subscription. `heard_s` and `heard_ns` are when the server last spoke."""

    def __init__(self, lasting: Lasting, events: Events | None) -> None:
        self._lasting = lasting
        self._events = events
        self._number = 0
        self._outer: dict[int, tuple[Watched, Value]] = {}
        self.namespaces: Sequence[str] = ()
        self.asked: dict[int, Asked] = {}
        self.ended = ""
        self.refresh_due = False
        self.heard_s = time.monotonic()
        self.heard_ns = lasting.now()

    def take(self, result: ua.PublishResult) -> None:
        """Take a publish response: everything in it becomes a record, or a gap if it cannot be read."""
        parts = result.NotificationMessage.NotificationData or ()
        ended = [part for part in parts if isinstance(part, ua.StatusChangeNotification)]
        if ended:
            self.ended = status_name(int(ended[0].Status.value))
            return
        if parts:
            self._check_number(int(result.NotificationMessage.SequenceNumber))
        self.heard_s, self.heard_ns = time.monotonic(), self._lasting.now()
        for part in parts:
            try:
                self._take(part)
            except Exception:  # asyncua would log it and go on: what cannot be read must be said
                board = self._lasting.board
                if not board.unreadable:
                    log.exception("a notification cannot be read; more of them are only counted")
                board.unreadable += 1
                self._lasting.intake.gap(self.heard_ns, self.heard_ns, GapCause.UNREADABLE)

    def _check_number(self, number: int) -> None:
        """Notification messages are numbered from 1 without holes, 2**32 - 1 is followed by 1 (OPC 10000-4, 7.21)."""
        expected = self._number % 0xFFFF_FFFF + 1
        if self._number and number != expected:
            from_ns, to_ns = self.heard_ns, self._lasting.now()
            self._lasting.intake.gap(from_ns, to_ns, GapCause.NOTIFICATION_LOST)
            hole = Hole(from_ns, to_ns, GapCause.NOTIFICATION_LOST, self._lasting.since(from_ns))
            self._lasting.backfill.note(hole)
        self._number = number

    def _take(self, part: object) -> None:
        if isinstance(part, ua.DataChangeNotification):
            for told in part.MonitoredItems:
                watched = self._lasting.board.watched(int(told.ClientHandle))
                if watched is not None:
                    self._take_value(watched, told.Value)
            for watched, value in self._outer.values():
                self._say_state(watched, value)
            self._outer.clear()
        elif isinstance(part, ua.EventNotificationList):
            for told in part.Events:
                self._take_event(self.asked[int(told.ClientHandle)].told(told.EventFields))

    # values

    def _take_value(self, watched: Watched, told: ua.DataValue) -> None:
        value = value_of(told)
        at_ns = nanoseconds(value.source_time) if value.source_time else self.heard_ns
        if value.overflowed:
            watched.overflows += 1
            self._lasting.missed(
                watched, at_ns, GapCause.SERVER_QUEUE_OVERFLOW, from_ns=watched.last_ns or at_ns
            )
        if watched.item.channel == STOP:
            self._take_alarms(watched, told, value, at_ns)
            return
        watched.said(value, at_ns, self.heard_s)
        if watched.layers is not None:
            self._take_layer(watched, watched.layers, value)
            return
        self._keep(watched, value)

    def _keep(self, watched: Watched, value: Value) -> None:
        item = watched.item
        self._lasting.intake.message(
            value_record(item.asset, item.channel, watched.node, value, self.heard_ns)
        )
        word = value.value
        if item.channel == STATE and isinstance(word, str | int) and _is_state(word):
            self._lasting.states[item.asset] = word

    def _take_layer(self, watched: Watched, layers: Layers, value: Value) -> None:
        """One of nested state machines: its word counts only where all outside it say to look further in."""
        word = value.value
        layers.words[watched.layer] = word if isinstance(word, str | int) else None
        found = innermost(layers.words)
        if value.status >= BAD or (found is not None and found[0] == watched.layer):
            self._outer.pop(id(layers), None)
            self._keep(watched, value)
        elif found is None or found[0] > watched.layer:
            self._outer[id(layers)] = (watched, value)  # its inner word may stand in the same message

    def _say_state(self, watched: Watched, value: Value) -> None:
        found = innermost(watched.layers.words) if watched.layers is not None else None
        if found is not None:
            self._keep(watched, replace(value, value=found[1]))

    def _take_alarms(self, watched: Watched, told: ua.DataValue, value: Value, at_ns: int) -> None:
        """A PackML alarm structure, or a list of them: what it no longer names has ended."""
        status = int(told.StatusCode.value) if told.StatusCode is not None else 0
        watched.said(replace(value, status=status), at_ns, self.heard_s)
        if status >= BAD:
            return
        try:
            raw = told.Value.Value if told.Value is not None else None
            alarms = opcua_packml.alarms_of(raw, self.namespaces)
        except ValueError as error:
            watched.is_(Standing.BAD, str(error))
            return
        state = self._lasting.states.get(watched.item.asset)
        said = opcua_packml.said_of(alarms, watched, value.source_time, state)
        self.say(self._lasting.conditions.only(opcua_packml.scope_of(watched), said))

    # events

    def _take_event(self, fields: Mapping[str, object]) -> None:
        kind, conditions = kind_of(fields), self._lasting.conditions
        if kind == REFRESH_START:
            conditions.refresh_begins()
        elif kind == REFRESH_END:
            conditions.refresh_ends()
        elif kind == REFRESH_REQUIRED:
            self.refresh_due = True
        elif kind == QUEUE_OVERFLOW:
            self.refresh_due = True
            self._lasting.intake.gap(self.heard_ns, self.heard_ns, GapCause.EVENT_QUEUE_OVERFLOW)
        elif self._events is not None:
            said = said_of(fields, self._events, self.namespaces)
            if said is None:
                self._lasting.board.foreign_events += 1
            else:
                conditions.hear(said)
                self.say([said])

    def say(self, said: Sequence[Said]) -> None:
        """Journal what was said of stops."""
        for one in said:
            self._lasting.intake.message(one.record(self.heard_ns))


def _is_state(word: str | int) -> bool:
    try:
        state_of(word)
    except ValueError:
        return False
    return True
