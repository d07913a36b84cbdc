"""The counts of tickets that /metrics gives are those of the list; tests/integration/test_plans.py has their plans."""

import httpx

from andon.database import reading
from tests.shop_floor import ShopFloor
from ticketing import tallies
from ticketing.ticket import TicketState


async def test_what_stands_is_counted_by_state_and_priority(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    floor.hears(floor.finding("L1-PRS-01", "zone_d"))
    with reading(floor.database) as conn:
        standing = tallies.unclosed(conn)
        assert tallies.opened(conn) == sum(standing.values()) == 2
        assert len(standing) == 4 * 4  # none is left out, so that a rate has a beginning
    items = (await client.get("/api/v1/tickets")).json()["items"]
    for item in items:
        assert standing[TicketState.PENDING_DISPATCH, item["priority"]] >= 1
    lines = (await client.get("/metrics")).text.splitlines()
    assert "andon_tickets_opened_total 2" in lines
    assert (
        sum(int(line.rpartition(" ")[2]) for line in lines if line.startswith("andon_tickets_unclosed{")) == 2
    )
