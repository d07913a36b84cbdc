"""What the API, the pipeline page and the metrics show of channels, and dead messages sent again from there."""

import httpx

from andon.plant import Plant
from andon.ports import Message, NotifyError
from tests.shop_floor import NOW_NS, ShopFloor
from ticketing.breaker import Breaker
from ticketing.fan_out import fan_out
from ticketing.outbox import Channel, deliver
from ticketing.subscriptions import Audience, Subscription
from ticketing.topics import TOPICS

HTML = {"Accept": "text/html"}


class Receiver:
    """Refuses everything for good."""

    def send(self, message: Message, now_ns: int) -> str:
        """Never."""
        raise NotifyError(f"<b>no</b> receiver at {now_ns} for {message.key}", permanent=True)


class Desk:
    """Takes everything."""

    def send(self, message: Message, now_ns: int) -> str:
        """Always."""
        return f"{message.key} at {now_ns}"


def a_refused_message(floor: ShopFloor) -> Plant:
    """One ticket, refused by the ERP and told to the people of the plant at their desks."""
    floor.hears(floor.finding("L1-SPN-01", "zone_d", ago_s=60))
    plant = floor.context.plant()
    people = {one.id: one.id for one in plant.people} | {"dispatch": "dispatch"}
    everybody = tuple(people)
    erp = Subscription("erp")
    desk = Subscription("desk", audience=Audience.PERSON, people=people, recipients=everybody)
    assert fan_out(floor.context.database, [erp, desk], plant, NOW_NS) == 1
    deliver(floor.context.database, Channel(erp, Receiver(), Breaker()), NOW_NS)
    deliver(floor.context.database, Channel(desk, Desk(), Breaker()), NOW_NS)
    return plant


async def test_the_catalogue_is_given_with_a_schema_for_each_topic(client: httpx.AsyncClient) -> None:
    items = (await client.get("/api/v1/topics")).json()["items"]
    assert [item["type"] for item in items] == [one.name for one in TOPICS]
    schema = (await client.get("/api/v1/topics/andon.ticket.assigned.v1")).json()
    assert "actor" in schema["$defs"]["ByPerson"]["properties"]
    assert (await client.get("/api/v1/topics/andon.ticket.assign.v1")).status_code == 404


async def test_what_was_given_up_is_shown_with_its_calls_and_sent_again(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    a_refused_message(floor)
    (dead,) = (await client.get("/api/v1/outbox?state=dead")).json()["items"]
    assert (dead["channel"], dead["ticket"]) == ("erp", "A-1")
    whole = (await client.get(f"/api/v1/outbox/{dead['id']}")).json()
    assert whole["content"]["condition"] == "zone_d"
    assert [call["outcome"] for call in whole["calls"]] == ["dead"]
    states = {one["name"]: one for one in (await client.get("/api/v1/channels")).json()["items"]}
    assert (states["erp"]["dead"], states["erp"]["circuit"]) == (1, "unknown")
    page = (await client.get("/pipeline", headers=HTML)).text
    assert "&lt;b&gt;no&lt;/b&gt; receiver" in page
    assert 'name="channel" value="erp"' in page
    assert 'andon_channel_dead{channel="erp"} 1' in (await client.get("/metrics")).text
    again = await client.post("/api/v1/outbox/redrive", json={"channel": "erp"})
    assert again.json() == {"redriven": 1}
    (pending,) = (await client.get("/api/v1/outbox?state=pending")).json()["items"]
    assert pending["key"] == dead["key"]
    assert (await client.get("/api/v1/outbox/999")).status_code == 404
    assert (await client.get("/api/v1/outbox?state=lost")).status_code == 422


async def test_the_button_of_the_page_sends_again(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    a_refused_message(floor)
    answer = await client.post("/pipeline/outbox/redrive", data={"channel": "erp"}, headers=HTML)
    assert answer.status_code == 303
    assert 'name="channel" value="erp"' not in (await client.get("/pipeline", headers=HTML)).text


async def test_a_person_reads_what_the_console_was_told_for_them_alone(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    plant = a_refused_message(floor)
    running = {"running": True, "status": {"channels": {"desk": {"kind": "console", "circuit": "closed"}}}}
    floor.status = {"parts": {**floor.status["parts"], "notify": running}}
    for person in plant.people[:2]:
        own = {"X-Andon-Person": person.id}
        items = (await client.get("/api/v1/messages", headers=own)).json()["items"]
        assert [(item["recipient"], item["ticket"]) for item in items] == [(person.id, "A-1")]
    states = {one["name"]: one for one in (await client.get("/api/v1/channels")).json()["items"]}
    assert states["desk"]["circuit"] == "closed"
