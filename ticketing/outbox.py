"""What leaves the house: rows written with the change they tell of, delivered afterwards, in order, at least once.

Each message has a key that stays the same however often it is tried, so that a receiver can refuse the second.
Messages about one ticket to one receiver never overtake each other. Every call is on record, with its answer.
"""

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, bindparam, func, insert, select, update

from andon.database import reading, writing
from andon.events import SECOND_NS
from andon.ports import Message, Notifier, NotifyError, Said
from ticketing.breaker import Breaker, Circuit
from ticketing.cloud_events import cloud_event
from ticketing.fan_out import forget
from ticketing.message_tables import delivery, outbox
from ticketing.parcels import MINUTE_NS, Waiting, parcels
from ticketing.subscriptions import Audience, Subscription
from ticketing.topics import DIGEST

log = logging.getLogger(__name__)
Say = Callable[[Message, Subscription], Sequence[Said]]
"""What a message says to people on that channel."""
WINDOW = 2000
"""Messages of a channel that are looked at together: so many at most are in one digest's reach."""
ANSWER = 500


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when to try again. What was taken to be sent is free again after `lease_s`: its deliverer died."""

    first_s: float = 1.0
    longest_s: float = 3600.0
    tries: int = 20
    lease_s: float = 120.0

    def wait_ns(self, attempts: int, key: str) -> int:
        """The wait after that many failed tries: somewhere up to a limit that doubles, the same for the same key.

        Full jitter, so that many that failed together do not come back together (Brooker, "Exponential Backoff And
        Jitter", 2015).

        >>> [round(Retry().wait_ns(n, "A-1/opened/1/erp/") / 1e9, 2) for n in (1, 2, 3, 20)]
        [0.8, 0.31, 3.15, 1913.66]
        """
        drawn = hashlib.sha256(f"{key}#{attempts}".encode()).digest()
        share = (int.from_bytes(drawn[:6], "big") + 1) / 2.0**48
        return int(min(self.first_s * 2.0 ** (attempts - 1), self.longest_s) * share * SECOND_NS)


DEFAULT_RETRY = Retry()


Show = Callable[[Sequence[str]], Sequence[bytes]]
"""The photos of these names (SHA-256), as small JPEGs."""


Plan = Callable[[Message], Sequence[bytes]]
"""The floor plan with the machine that a message is about, for those that tell where something happens."""


def _draw_nothing(_message: Message) -> Sequence[bytes]:
    return ()


def _show_nothing(_names: Sequence[str]) -> Sequence[bytes]:
    return ()


Taken = Callable[[Connection, Sequence[RowMapping], str], None]
"""What follows in the store from messages being taken, with what was answered."""


def _nothing_follows(_conn: Connection, _rows: Sequence[RowMapping], _answer: str) -> None:
    pass


def _say_nothing(_message: Message, _subscription: Subscription) -> Sequence[Said]:
    return ()


@dataclass(slots=True)
class Channel:
    """One way out: its rules, what sends, the words for people, its breaker. `silent_until_ns`: the receiver asked."""

    subscription: Subscription
    notifier: Notifier
    breaker: Breaker
    say: Say = _say_nothing
    show: Show = _show_nothing
    plan: Plan = _draw_nothing
    taken: Taken = _nothing_follows
    silent_until_ns: int = 0


def deliver(
    engine: Engine, channel: Channel, now_ns: int, limit: int = 100, retry: Retry = DEFAULT_RETRY
) -> Mapping[str, int]:
    """Send up to `limit` parcels of this channel that are due; gives counts of sent, retried, dead and held messages.

    Sending happens outside any transaction: a deliverer that dies between sending and noting it sends again after
    its lease, under the same key. Nothing is taken while the breaker is open, one parcel while it is half open.
    """
    circuit = channel.breaker.at(now_ns)
    if circuit is Circuit.OPEN or now_ns < channel.silent_until_ns:
        return {}
    counts: Counter[str] = Counter()
    stuck: set[tuple[int, str]] = set()
    one = circuit is Circuit.HALF_OPEN
    for rows in _claim(engine, channel.subscription, now_ns, 1 if one else limit, retry):
        lanes = {(row["ticket"], row["recipient"]) for row in rows}
        refused = channel.breaker.at(now_ns) is Circuit.OPEN or now_ns < channel.silent_until_ns
        if refused or lanes & stuck:
            _note(engine, rows, None, next_ns=now_ns)
            counts["held"] += len(rows)
            stuck |= lanes
            continue
        outcome = _send(engine, rows, channel, now_ns, retry)
        counts[outcome] += len(rows)
        if outcome == "retried":
            stuck |= lanes
    return counts


def message_of(rows: Sequence[RowMapping], channel: Channel) -> Message:
    """The message that these rows are together: one as it is, several as a digest under the key of the first."""
    subscription = channel.subscription
    several = [_message(row, subscription) for row in rows]
    first = several[0]
    if len(several) > 1:
        content = {
            "plant": first.content["plant"],
            "tickets": list(dict.fromkeys(one.ticket for one in several)),
            "events": [cloud_event(one) for one in several],
        }
        addresses = tuple(dict.fromkeys(where for one in several for where in one.addresses))
        first = replace(first, kind=DIGEST, content=content, addresses=addresses)
    if subscription.audience in {Audience.SYSTEMS, Audience.PARTNER}:
        return first
    photos = [name for one in several for name in one.content.get("photos", ())]
    pictures = (*channel.plan(first), *channel.show(photos))
    return replace(first, said=channel.say(first, subscription), pictures=pictures)


def _message(row: RowMapping, subscription: Subscription) -> Message:
    content = msgspec.json.decode(row["content"], type=dict)
    return Message(
        key=row["key"],
        ticket=row["number"],
        kind=row["kind"],
        trace_id=row["trace_id"],
        at_ns=row["at_ns"],
        content=content,
        addresses=subscription.addresses(row["recipient"], content["people"]),
    )


def _claim(
    engine: Engine, subscription: Subscription, now_ns: int, limit: int, retry: Retry
) -> list[list[RowMapping]]:
    """The parcels that leave now, in order, leased to this deliverer."""
    here = {"channel": subscription.name, "limit": WINDOW, "now_ns": now_ns}
    with reading(engine) as conn:  # mostly there is nothing to do, and no lock to take for it
        if conn.execute(_ANY_DUE, here).first() is None:
            return []
    with writing(engine) as conn:
        rows = {row["id"]: row for row in conn.execute(_PENDING, here).mappings()}
        recent = conn.execute(_RECENT, {**here, "since_ns": now_ns - MINUTE_NS}).all()
        leaving = parcels(
            [_waiting(row) for row in rows.values()],
            now_ns,
            group=subscription.group_wait_s > 0,
            digest_over=subscription.digest_over,
            sent_ns=[row.sent_ns for row in recent],
            digest_ns=max((row.sent_ns for row in recent if row.tickets > 1), default=None),
        )[:limit]
        until_ns = now_ns + int(retry.lease_s * SECOND_NS)
        leased = [
            {"_id": one, "next_ns": until_ns, "parcel": parcel[0]} for parcel in leaving for one in parcel
        ]
        if leased:
            conn.execute(_LEASE, leased)
    return [[rows[one] for one in parcel] for parcel in leaving]


def _waiting(row: RowMapping) -> Waiting:
    return Waiting(
        row["id"], (row["ticket"], row["recipient"]), row["next_ns"], bool(row["critical"]), row["parcel"]
    )


def _send(engine: Engine, rows: Sequence[RowMapping], channel: Channel, now_ns: int, retry: Retry) -> str:
    """Send one parcel, note what became of it and what was answered; gives the outcome."""
    attempts, began_s = rows[0]["attempts"] + 1, time.monotonic()
    error = _try(rows, channel, now_ns)
    call = {
        "message": rows[0]["id"],
        "channel": channel.subscription.name,
        "at_ns": now_ns,
        "took_ms": int((time.monotonic() - began_s) * 1000),
        "answer": str(error)[:ANSWER],
    }
    if isinstance(error, str):
        channel.breaker.worked()
        told = {"state": "sent", "attempts": attempts, "sent_ns": now_ns}
        _note(engine, rows, call | {"outcome": "sent"}, lambda conn: channel.taken(conn, rows, error), **told)
        return "sent"
    if (
        error.permanent or error.wait_s is not None
    ):  # it is there and answers: the message is at fault, or the pace
        channel.breaker.worked()
    else:
        channel.breaker.failed(now_ns)
    if error.permanent or attempts >= retry.tries:
        told = {"state": "dead", "attempts": attempts, "last_error": str(error)}
        _note(engine, rows, call | {"outcome": "dead"}, **told)
        return "dead"
    wait_ns = retry.wait_ns(attempts, rows[0]["key"])
    if error.wait_s is not None:
        channel.silent_until_ns = now_ns + int(error.wait_s * SECOND_NS)
        wait_ns = max(wait_ns, int(error.wait_s * SECOND_NS))
    told = {"attempts": attempts, "next_ns": now_ns + wait_ns, "last_error": str(error)}
    _note(engine, rows, call | {"outcome": "retried"}, **told)
    return "retried"


def _try(rows: Sequence[RowMapping], channel: Channel, now_ns: int) -> str | NotifyError:
    """What was answered, or why it failed."""
    try:
        return channel.notifier.send(message_of(rows, channel), now_ns)
    except NotifyError as error:
        return error
    except Exception as error:
        # a notifier is a stranger's code at the edge: whatever it raises, the others must still be told
        log.exception(
            "a notifier raised what it should not; mend it", extra={"channel": channel.subscription.name}
        )
        return NotifyError(f"{type(error).__name__}: {error}", permanent=False)


def _note(
    engine: Engine,
    rows: Sequence[RowMapping],
    call: Mapping[str, int | str] | None,
    then: Callable[[Connection], None] = lambda _: None,
    **values: str | int,
) -> None:
    with writing(engine) as conn:
        ids = [row["id"] for row in rows]
        conn.execute(update(outbox).where(outbox.c.id.in_(ids)).values(values))
        if values.get("state") in {"sent", "dead"}:
            forget(conn, rows)
        if call is not None:
            conn.execute(insert(delivery).values(call))
        then(conn)


_OF_CHANNEL = (outbox.c.channel == bindparam("channel"), outbox.c.state == "pending")
_ANY_DUE = select(outbox.c.id).where(*_OF_CHANNEL, (outbox.c.next_ns <= bindparam("now_ns"))).limit(1)
_PENDING = (
    select(outbox)
    .where(*_OF_CHANNEL)
    .order_by(outbox.c.critical.desc(), outbox.c.id)
    .limit(bindparam("limit"))
)
_RECENT = (
    select(outbox.c.parcel, outbox.c.sent_ns, func.count(outbox.c.ticket.distinct()).label("tickets"))
    .where(
        outbox.c.channel == bindparam("channel"),
        outbox.c.state == "sent",
        outbox.c.sent_ns > bindparam("since_ns"),
    )
    .group_by(outbox.c.parcel, outbox.c.sent_ns)
)
_LEASE = update(outbox).where(outbox.c.id == bindparam("_id"))
