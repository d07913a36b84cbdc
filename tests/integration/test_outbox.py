"""What leaves the house: at least once, in order, and never silently given up."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO

import msgspec
import pytest
from PIL import Image
from sqlalchemy import func, select

from andon.channels import make_channels
from andon.config import Notify
from andon.database import reading
from andon.events import SECOND_NS
from andon.ports import Message, NotifyError, Said
from andon.rules.suppression import Flood, Suppressing
from api.telling import say
from tests.scenario.story import PLANT, Story, time_of
from tests.stores import Stores
from ticketing import deliveries
from ticketing.book import BUS
from ticketing.breaker import Breaker, Circuit
from ticketing.cloud_events import cloud_event
from ticketing.deliveries import Which
from ticketing.fan_out import fan_out
from ticketing.message_tables import outbox
from ticketing.notify.log import Notifier, Parameters
from ticketing.outbox import Channel, Retry, deliver
from ticketing.subscriptions import Audience, Subscription
from ticketing.topics import OF_KIND, types_of

NOW = time_of("10:00") + SECOND_NS
NO_FLOODS = Suppressing(flood=Flood(on=False))
"""Here many tickets at once are to speak for themselves."""
BUSY = NotifyError("busy", permanent=False)


@dataclass
class Phone:
    """A notifier that fails as often as it is told to, and remembers what it got."""

    fails: list[Exception] = field(default_factory=list)
    got: list[Message] = field(default_factory=list)
    kind = "phone"

    def send(self, message: Message, now_ns: int) -> str:  # noqa: ARG002 - it has no clock
        """Fail or take it."""
        if self.fails:
            raise self.fails.pop(0)
        self.got.append(message)
        return "taken"


@dataclass
class Town:
    """A plant of the stories with channels out of it."""

    story: Story
    channels: dict[str, Channel]

    def sends(self, now_ns: int, name: str = "erp", **more: object) -> dict[str, int]:
        """Fan out, then deliver on one channel."""
        fan_out(self.story.engine, [one.subscription for one in self.channels.values()], PLANT, now_ns)
        return dict(deliver(self.story.engine, self.channels[name], now_ns, **more))

    def states(self) -> dict[str, int]:
        """How many messages of the channels are in which state."""
        with reading(self.story.engine) as conn:
            chosen = select(outbox.c.state, func.count()).where(outbox.c.channel != BUS)
            return dict(conn.execute(chosen.group_by(outbox.c.state)).all())


def town(stores: Stores, *fails: Exception, **rules: object) -> tuple[Town, Phone]:
    phone = Phone([*fails])
    channel = Channel(Subscription(**{"name": "erp", **rules}), phone, Breaker(after=99))
    return Town(Story.begins(stores.folder, stores.open()), {"erp": channel}), phone


def later(seconds: float) -> int:
    return NOW + int(seconds * SECOND_NS)


def test_an_opened_ticket_is_told_once_and_names_the_suggested_person(stores):
    plant, phone = town(stores)
    plant.story.at("10:00").stops("M7", "E1").stops("M7", "E1")
    assert plant.sends(NOW) == {"sent": 1}
    assert plant.sends(later(1000)) == {}
    (message,) = phone.got
    assert (message.key, message.ticket, message.kind) == ("A-1/opened/1/erp/", "A-1", "ticket.opened")
    assert message.trace_id == plant.story.ticket(1).trace_id
    assert message.content["people"] == [plant.story.ticket(1).suggestion.person]
    assert message.content["condition"] == "stop"
    assert (message.content["site"], message.content["area"]) == ("north", "forming")


def test_what_fails_is_tried_again_with_growing_waits_under_the_same_key(stores):
    plant, phone = town(stores, *[BUSY] * 3)
    plant.story.at("10:00").stops("M7", "E1")
    now_ns, key = NOW, "A-1/opened/1/erp/"
    assert plant.sends(now_ns) == {"retried": 1}
    for attempts in (1, 2, 3):
        wait_ns = Retry().wait_ns(attempts, key)
        assert 0 < wait_ns <= 2 ** (attempts - 1) * SECOND_NS
        assert plant.sends(now_ns + wait_ns - 1) == {}
        now_ns += wait_ns
        assert plant.sends(now_ns) == ({"sent": 1} if attempts == 3 else {"retried": 1})
    assert phone.got[0].key == key


def test_waits_of_many_messages_are_spread_over_the_whole_of_their_limit():
    waits = [Retry().wait_ns(6, f"A-{n}/opened/1/erp/") / (32 * SECOND_NS) for n in range(200)]
    assert min(waits) < 0.05
    assert 0.95 < max(waits) <= 1
    assert 0.4 < sum(waits) / 200 < 0.6


def test_a_permanent_refusal_or_too_many_tries_is_dead_with_its_reason_and_can_be_sent_again(stores):
    gone = NotifyError("no such number", permanent=True)
    plant, phone = town(stores, gone, BUSY, BUSY)
    plant.story.at("10:00").stops("M7", "E1").stops("M8", "E1")
    twice = Retry(tries=2)
    assert plant.sends(NOW, retry=twice) == {"dead": 1, "retried": 1}
    assert plant.sends(later(1), retry=twice) == {"dead": 1}
    engine = plant.story.engine
    with reading(engine) as conn:
        dead = deliveries.recent(conn, Which("dead"), 10)
        assert deliveries.waiting(conn)["erp"]["dead"] == 2
        calls = [call.answer for call in deliveries.one(conn, dead[0].id)[2]]
    assert [one.last_error for one in dead] == ["busy", "no such number"]
    assert calls == ["busy", "busy"]
    assert plant.sends(later(9999), retry=twice) == {}
    assert deliveries.redrive(engine, Which(ids=(dead[1].id,)), later(9999)) == 1
    assert plant.sends(later(9999)) == {"sent": 1}
    assert phone.got[0].key == dead[1].key
    assert deliveries.redrive(engine, Which(channel="nobody"), later(9999)) == 0


def test_every_call_is_on_record_with_what_was_answered(stores):
    plant, _ = town(stores, BUSY)
    plant.story.at("10:00").stops("M7", "E1")
    plant.sends(NOW)
    plant.sends(later(2))
    with reading(plant.story.engine) as conn:
        (sent,) = deliveries.recent(conn, Which("sent"), 10)
        _, content, calls = deliveries.one(conn, sent.id)
    assert content["number"] == "A-1"
    assert [(call.at_ns, call.outcome, call.answer) for call in calls] == [
        (NOW, "retried", "busy"),
        (later(2), "sent", "taken"),
    ]
    assert deliveries.prune(plant.story.engine, later(1)) == 2  # the first call, and what left the bus
    assert deliveries.prune(plant.story.engine, later(1)) == 0


def test_messages_about_one_ticket_never_overtake_each_other_and_others_do_not_wait(stores):
    plant, phone = town(stores, BUSY)
    plant.story.at("10:00").stops("M7", "E1", severity=300)
    plant.story.at("10:00:01").stops("M7", "E1", severity=900).stops("M8", "E1")
    assert plant.sends(later(1)) == {"retried": 1, "held": 1, "sent": 1}
    wait_ns = Retry().wait_ns(1, "A-1/opened/1/erp/")
    assert plant.sends(later(1) + wait_ns - 1) == {}
    assert plant.sends(later(1) + wait_ns) == {"sent": 2}
    kinds = [message.kind for message in phone.got if message.ticket == "A-1"]
    assert kinds == ["ticket.opened", "ticket.escalated"]


def test_a_notifier_that_raises_what_it_should_not_is_tried_again_and_logged(stores, caplog):
    plant, _ = town(stores, ZeroDivisionError("odd"))
    plant.story.at("10:00").stops("M7", "E1")
    assert plant.sends(NOW) == {"retried": 1}
    assert "mend it" in caplog.text
    assert plant.sends(later(1)) == {"sent": 1}


def test_a_deliverer_that_dies_in_mid_send_is_followed_by_one_that_sends_again_under_the_same_key(stores):
    plant, second = town(stores)
    plant.story.at("10:00").stops("M7", "E1")

    class Dies(Phone):
        def send(self, message: Message, now_ns: int) -> str:
            super().send(message, now_ns)
            raise KeyboardInterrupt

    first, plant.channels["erp"].notifier = Dies(), (second)
    dying = replace(plant.channels["erp"], notifier=first)
    fan_out(plant.story.engine, [dying.subscription], PLANT, NOW)
    with pytest.raises(KeyboardInterrupt):
        deliver(plant.story.engine, dying, NOW)
    assert plant.sends(later(119)) == {}
    assert plant.sends(later(120)) == {"sent": 1}
    assert first.got[0].key == second.got[0].key


def test_a_message_that_no_channel_wants_leaves_the_bus_and_a_new_channel_hears_what_comes_after(stores):
    plant, phone = town(stores)
    plant.story.at("10:00").stops("M7", "E1")
    assert fan_out(plant.story.engine, [], PLANT, NOW) == 1
    plant.story.at("10:20").stops("M8", "E1")
    assert plant.sends(time_of("10:21")) == {"sent": 1}
    assert [message.ticket for message in phone.got] == ["A-2"]


def test_a_story_without_channels_tells_nobody(stores):
    plant, _ = town(stores)
    plant.story.tickets = type(plant.story.tickets)(plant.story.engine, channels=())
    plant.story.at("10:00").stops("M7", "E1")
    assert plant.sends(NOW) == {}
    assert plant.states() == {}


def test_every_step_is_on_the_bus_with_whom_it_names_and_each_keeps_to_its_schema(stores):
    plant, phone = town(stores)
    plant.story.at("10:00").stops("M7", "E1")
    plant.story.at("10:30").repairs(1).signs(1)
    plant.sends(time_of("11:00"))
    suggested = plant.story.ticket(1).suggestion.person
    assert [(message.kind, message.content["people"]) for message in phone.got] == [
        ("ticket.opened", [suggested]),
        ("ticket.assign", ["zhang", "chen"]),
        ("ticket.accept", ["chen"]),
        ("ticket.resolve", ["chen"]),
        ("ticket.sign", ["zhang"]),
    ]
    for message in phone.got:
        event = cloud_event(message)
        assert event["type"] == OF_KIND[message.kind].name
        msgspec.convert(event["data"], OF_KIND[message.kind].data)  # raises what does not fit
        assert {"specversion", "id", "source", "type"} <= event.keys()
        assert (event["subject"], event["source"]) == ("A-1", "urn:andon:Story")
    assert len({cloud_event(message)["traceparent"].split("-")[1] for message in phone.got}) == 1


def test_a_second_failure_in_72_hours_is_told_with_its_numbers_and_keeps_to_its_schema(stores):
    plant, phone = town(stores, types=types_of("andon.problem.*"))
    story = plant.story
    story.at("10:00").stops("M7", "E1")
    story.at("10:30").repairs(1).signs(1)
    story.at("Tue 10:00").stops("M7", "E1")
    plant.sends(time_of("Tue 10:01"))
    (message,) = phone.got
    msgspec.convert(cloud_event(message)["data"], OF_KIND["problem.opened"].data)
    assert message.content["problem"] == "RCA-1"


@pytest.mark.parametrize(
    ("rules", "heard"),
    [
        ({"sites": frozenset({"north"})}, 2),
        ({"sites": frozenset({"south"})}, 0),
        ({"areas": frozenset({"forming"}), "conditions": frozenset({"stop"})}, 2),
        ({"conditions": frozenset({"zone_d"})}, 0),
        ({"priorities": frozenset({"high"})}, 1),
        ({"types": types_of("andon.ticket.assigned.v1")}, 0),
    ],
)
def test_a_subscription_hears_what_it_asked_for_and_nothing_else(stores, rules, heard):
    plant, phone = town(stores, **rules)
    plant.story.at("10:00").stops("M7", "E1", severity=300).stops("M8", "E1", severity=800)
    plant.sends(NOW)
    assert len(phone.got) == heard


def test_persons_are_told_one_by_one_at_their_own_address_and_nobody_without_one(stores):
    people = {"zhang": "zhang@plant.example", "chen": "chen@plant.example", "boss": "boss@plant.example"}
    plant, phone = town(stores, audience=Audience.PERSON, people=people, recipients=("boss",))
    plant.story.at("10:00").stops("M7", "E1").repairs(1)
    plant.sends(time_of("10:01"))
    told = [(message.kind, *message.addresses) for message in phone.got if message.kind == "ticket.assign"]
    assert sorted(told) == [("ticket.assign", people[who]) for who in ("boss", "chen", "zhang")]
    assert len({message.key for message in phone.got}) == len(phone.got)


def test_what_happens_to_a_ticket_inside_the_wait_is_one_message_that_stays_the_same_when_it_is_tried_again(
    stores,
):
    plant, phone = town(stores, BUSY, group_wait_s=30.0)
    plant.story.at("10:00").stops("M7", "E1", severity=300)
    assert plant.sends(NOW) == {}
    plant.story.at("10:00:10").repairs(1)
    assert plant.sends(time_of("10:00:15")) == {}
    assert plant.sends(later(30)) == {"retried": 4}
    plant.story.at("10:00:32").signs(1)
    assert plant.sends(later(31)) == {"sent": 4}
    assert plant.sends(later(90)) == {"sent": 1}
    first, second = phone.got
    assert (first.kind, first.key) == ("digest", "A-1/opened/1/erp/")
    assert [event["type"].split(".")[2] for event in first.content["events"]] == [
        *("opened", "assigned", "accepted", "resolved"),
    ]
    assert second.kind == "ticket.sign"
    msgspec.convert(cloud_event(first)["data"], OF_KIND["digest"].data)


def test_a_flood_is_one_digest_that_names_the_tickets_and_a_critical_one_goes_beside_it(stores):
    plant, phone = town(stores, digest_over=5)
    plant.story.plant = PLANT.model_copy(
        update={"suppression": NO_FLOODS, "priorities": {"safety": "critical"}}
    )
    for n in range(1, 13):
        plant.story.at("10:00").stops(f"M{n}", "E1", severity=300)
    plant.story.at("10:00").stops("M13", "E1", text={"category": "safety"})
    assert plant.sends(NOW)["sent"] == 13
    digest = next(message for message in phone.got if message.kind == "digest")
    assert digest.content["tickets"] == [f"A-{n}" for n in range(1, len(digest.content["tickets"]) + 1)]
    assert len(digest.content["tickets"]) >= 12


def test_a_breaker_leaves_a_dead_channel_alone_and_probes_it_with_one_message(stores):
    plant, phone = town(stores, *[BUSY] * 4)
    plant.channels["erp"].breaker = breaker = Breaker(after=3, probe_s=30)
    for n in range(1, 7):
        plant.story.at("10:00").stops(f"M{n}", "E1")
    assert plant.sends(NOW) == {"retried": 3, "held": 3}
    assert breaker.at(NOW) is Circuit.OPEN
    assert plant.sends(later(29)) == {}
    assert plant.sends(later(30)) == {"retried": 1}
    assert plant.sends(later(89)) == {}
    assert plant.sends(later(90)) == {"sent": 1}
    assert breaker.at(later(90)) is Circuit.CLOSED
    assert plant.sends(later(90)) == {"sent": 5}
    assert {message.ticket for message in phone.got} == {f"A-{n}" for n in range(1, 7)}


def test_a_receiver_that_asks_for_a_pause_gets_it_and_the_breaker_stays_closed(stores):
    slow = NotifyError("too fast", permanent=False, wait_s=60)
    plant, _ = town(stores, slow)
    plant.channels["erp"].breaker = breaker = Breaker(after=1)
    plant.story.at("10:00").stops("M7", "E1").stops("M8", "E1")
    assert plant.sends(NOW) == {"retried": 1, "held": 1}
    assert breaker.at(NOW) is Circuit.CLOSED
    assert plant.sends(later(59)) == {}
    assert plant.sends(later(60)) == {"sent": 2}


def test_a_resolution_shows_its_photos_and_says_when_and_in_which_state(stores):
    line, _ = town(stores)
    given = {"kind": "console", "language": "both", "people": {"chen": "c"}, "digest_over": 0}
    desks = [
        Notify.model_validate({"name": "at_once", "group_wait_s": 0, **given}),
        Notify.model_validate({"name": "later", "group_wait_s": 60, **given}),
    ]

    def speak(message: Message, to: Subscription) -> Sequence[Said]:
        return say(message, to.languages, PLANT, NOW)

    phone, pager = Phone(), Phone()
    made = make_channels(stores.folder, desks, speak)
    line.channels["at_once"] = replace(made["at_once"], notifier=phone)
    line.channels["later"] = replace(made["later"], notifier=pager)
    line.story.at("10:00").stops("M7", "E1").repairs(1)
    line.sends(later(0), "at_once")
    line.sends(later(120), "later")
    first, *_, resolved = phone.got
    assert (list(first.pictures), resolved.kind) == ([], "ticket.resolve")
    (picture,) = resolved.pictures
    (digest,) = pager.got
    assert list(digest.pictures) == [picture]
    with Image.open(BytesIO(picture)) as image:
        assert image.format == "JPEG"
    assert [said.lines[1] for said in resolved.said] == [
        "已解决 · 2026-03-02 10:00:00 +00:00",
        "Resolved · 2026-03-02 10:00:00 +00:00",
    ]


def test_the_log_holds_a_cloud_event_for_every_message(stores):
    plant, _ = town(stores)
    plant.story.at("10:00").stops("M7", "E1", text={"message": "液压泄漏"}).stops("M8", "E1")
    path = stores.folder / "out" / "notifications.jsonl"
    plant.channels["erp"].notifier = Notifier(Parameters(path=path))
    assert plant.sends(NOW) == {"sent": 2}
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [(line["subject"], line["type"]) for line in lines] == [
        ("A-1", "andon.ticket.opened.v1"),
        ("A-2", "andon.ticket.opened.v1"),
    ]
    assert lines[0]["data"]["text"] == {"message": "液压泄漏"}


def test_a_disk_that_refuses_the_log_means_try_again(tmp_path):
    (tmp_path / "file").write_text("")
    notifier = Notifier(Parameters(path=tmp_path / "file" / "log.jsonl"))
    with pytest.raises(NotifyError) as refused:
        notifier.send(Message("k", "A-1", "ticket.opened", "t", 0, {}), 0)
    assert not refused.value.permanent


def test_the_plant_of_the_stories_has_someone_to_tell():
    assert PLANT.people
