"""From the bus to the channels: each message of ticketing becomes one for every channel and recipient that wants it.

In one transaction with taking it off the bus, so that nobody hears it twice and nobody misses it. A channel that is
new hears what is said from then on.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, bindparam, insert, select, update

from andon.database import reading, writing
from andon.events import Json
from andon.plant import Asset, Plant
from ticketing.book import BUS
from ticketing.message_tables import outbox
from ticketing.sql import Row, to_json
from ticketing.subscriptions import CRITICAL, Subscription
from ticketing.topics import OF_KIND


def fan_out(
    engine: Engine, subscriptions: Sequence[Subscription], plant: Plant, now_ns: int, limit: int = 500
) -> int:
    """Take up to `limit` messages off the bus; gives how many."""
    with reading(engine) as conn:  # mostly there is nothing to do, and no lock to take for it
        if conn.execute(_ON_BUS, {"limit": 1}).first() is None:
            return 0
    with writing(engine) as conn:
        taken = conn.execute(_ON_BUS, {"limit": limit}).mappings().all()
        rows = [row for one in taken for row in _rows(one, subscriptions, plant, now_ns)]
        if rows:
            conn.execute(insert(outbox), rows)
        if taken:
            conn.execute(_TAKEN, [{"_id": one["id"], "sent_ns": now_ns} for one in taken])
        forget(conn, taken)
    return len(taken)


def forget(conn: Connection, messages: Sequence[RowMapping]) -> None:
    """Take the code off those that hold one and have gone on or are given up: nobody is to read it in the store later."""
    for one in messages:
        if OF_KIND[one["kind"]].secret:
            content = msgspec.json.decode(one["content"], type=dict) | {"code": ""}
            conn.execute(update(outbox).where(outbox.c.id == one["id"]).values(content=to_json(content)))


def _rows(
    message: RowMapping, subscriptions: Sequence[Subscription], plant: Plant, now_ns: int
) -> Iterator[Row]:
    content = msgspec.json.decode(message["content"], type=dict)
    content |= _place(plant, plant.asset(content["asset"]))
    critical = content["priority"] == CRITICAL or OF_KIND[message["kind"]].secret
    for one in subscriptions:
        if not one.wants(message["kind"], content):
            continue
        for recipient in one.told(content["people"]):
            yield {
                **{name: value for name, value in message.items() if name != "id"},
                "key": f"{message['key'].removesuffix(BUS)}{one.name}/{_named(recipient)}",
                "channel": one.name,
                "recipient": recipient,
                "content": to_json(content),
                "next_ns": one.from_ns(now_ns, critical=critical),
                "critical": critical,
            }


def _named(recipient: str) -> str:
    """How a key names a recipient: keys stand in logs and at other systems, telephone numbers and addresses must not."""
    return "requester" if ":" in recipient else recipient


def _place(plant: Plant, asset: Asset | None) -> Mapping[str, Json]:
    """What the plant document says of the machine, as of now: names, and its ISA-95 site and area."""
    levels = [*(asset.path.split("/") if asset else ()), "", "", ""]
    return {
        "plant": plant.name,
        "site": levels[1],
        "area": levels[2],
        "asset_name": asset.name if asset else "",
        "asset_name_zh": asset.name_zh if asset else "",
    }


_ON_BUS = (
    select(outbox)
    .where(outbox.c.channel == BUS, outbox.c.state == "pending")
    .order_by(outbox.c.id)
    .limit(bindparam("limit"))
)
_TAKEN = update(outbox).where(outbox.c.id == bindparam("_id")).values(state="sent", attempts=1)
