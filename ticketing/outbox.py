"""What leaves the house: rows written with the change they tell of, delivered afterwards, in order, at least once.

Each message has a key that stays the same however often it is tried, so that a receiver can refuse the second.
Messages about one ticket on one channel never overtake each other.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Engine, RowMapping, and_, bindparam, exists, select, update

from andon.database import reading, writing
from andon.events import SECOND_NS
from andon.ports import Message, Notifier, NotifyError
from ticketing.tables import outbox

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when to try again. A claimed row is free again after `lease_s`: its deliverer died."""

    first_s: float = 1.0
    longest_s: float = 3600.0
    tries: int = 20
    lease_s: float = 120.0

    def wait_ns(self, attempts: int) -> int:
        """The wait after that many failed tries: doubling, up to the longest."""
        return int(min(self.first_s * 2.0 ** (attempts - 1), self.longest_s) * SECOND_NS)


DEFAULT_RETRY = Retry()


def deliver(
    engine: Engine,
    notifiers: Mapping[str, Notifier],
    now_ns: int,
    limit: int = 100,
    retry: Retry = DEFAULT_RETRY,
) -> Mapping[str, int]:
    """Send up to `limit` messages that are due; gives counts of sent, retried, dead and held.

    Rows of a channel without a notifier wait. Sending happens outside any transaction: a deliverer that dies
    between sending and noting it sends again after its lease, under the same key.
    """
    counts: Counter[str] = Counter()
    stuck: set[tuple[int, str]] = set()
    for row in _claim(engine, sorted(notifiers), now_ns, limit, retry):
        lane = (row["ticket"], row["channel"])
        if lane in stuck:
            _note(engine, row, state="pending", next_ns=now_ns, attempts=row["attempts"])
            counts["held"] += 1
            continue
        outcome = _send(engine, row, notifiers[row["channel"]], now_ns, retry)
        counts[outcome] += 1
        if outcome == "retried":
            stuck.add(lane)
    return counts


def _claim(
    engine: Engine, channels: Sequence[str], now_ns: int, limit: int, retry: Retry
) -> Sequence[RowMapping]:
    """Due rows in order, leased to this deliverer; none that an earlier unsent one of its ticket and channel precedes."""
    due = {"channels": channels, "now_ns": now_ns, "limit": limit}
    with reading(engine) as conn:  # mostly there is nothing to do, and no lock to take for it
        if conn.execute(_DUE, {**due, "limit": 1}).first() is None:
            return ()
    with writing(engine) as conn:
        rows = conn.execute(_DUE, due).mappings().all()
        until = now_ns + int(retry.lease_s * SECOND_NS)
        if rows:
            conn.execute(_LEASE, [{"_id": row["id"], "next_ns": until} for row in rows])
    return rows


def _send(engine: Engine, row: RowMapping, notifier: Notifier, now_ns: int, retry: Retry) -> str:
    attempts = row["attempts"] + 1
    try:
        notifier.send(_message(row))
    except NotifyError as error:
        text, permanent = str(error), error.permanent
    except Exception as error:
        # a notifier is a stranger's code at the edge: whatever it raises, the others must still be told
        log.exception("a notifier raised what it should not; mend it", extra={"channel": row["channel"]})
        text, permanent = f"{type(error).__name__}: {error}", False
    else:
        _note(engine, row, state="sent", attempts=attempts, sent_ns=now_ns)
        return "sent"
    if permanent or attempts >= retry.tries:
        _note(engine, row, state="dead", attempts=attempts, last_error=text)
        return "dead"
    next_ns = now_ns + retry.wait_ns(attempts)
    _note(engine, row, state="pending", attempts=attempts, next_ns=next_ns, last_error=text)
    return "retried"


def _note(engine: Engine, row: RowMapping, **values: str | int) -> None:
    with writing(engine) as conn:
        conn.execute(update(outbox).where(outbox.c.id == row["id"]).values(values))


def _message(row: RowMapping) -> Message:
    return Message(
        key=row["key"],
        ticket=row["number"],
        kind=row["kind"],
        trace_id=row["trace_id"],
        at_ns=row["at_ns"],
        content={"recipient": row["recipient"], **msgspec.json.decode(row["content"], type=dict)},
    )


_earlier = outbox.alias("earlier")
_waits = exists().where(
    and_(
        _earlier.c.ticket == outbox.c.ticket,
        _earlier.c.channel == outbox.c.channel,
        _earlier.c.state == "pending",
        _earlier.c.id < outbox.c.id,
        _earlier.c.next_ns > bindparam("now_ns"),
    )
)
_DUE = (
    select(outbox)
    .where(
        outbox.c.state == "pending",
        outbox.c.next_ns <= bindparam("now_ns"),
        outbox.c.channel.in_(bindparam("channels", expanding=True)),
        ~_waits,
    )
    .order_by(outbox.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_LEASE = update(outbox).where(outbox.c.id == bindparam("_id"))
