"""What leaves the house: at least once, in order, and never silently given up."""

import json
from dataclasses import dataclass, field

import pytest
from sqlalchemy import func, select

from andon.database import reading
from andon.events import SECOND_NS
from andon.ports import Message, NotifyError
from tests.scenario.story import PLANT, Story, time_of
from ticketing.notify.log import Notifier, Parameters
from ticketing.outbox import Retry, deliver
from ticketing.tables import outbox

NOW = time_of("10:00") + SECOND_NS


@dataclass
class Phone:
    """A notifier that fails as often as it is told to, and remembers what it got."""

    fails: list[Exception] = field(default_factory=list)
    got: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        """Fail or take it."""
        if self.fails:
            raise self.fails.pop(0)
        self.got.append(message)


@pytest.fixture
def plant(tmp_path) -> Story:
    return Story.begins(tmp_path)


def states(plant: Story) -> dict[str, int]:
    with reading(plant.engine) as conn:
        return dict(conn.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state)).all())


def later(seconds: float) -> int:
    return NOW + int(seconds * SECOND_NS)


def test_an_opened_ticket_is_told_once_to_the_suggested_person(plant):
    plant.at("10:00").stops("M7", "E1").stops("M7", "E1")
    phone = Phone()
    assert deliver(plant.engine, {"log": phone}, NOW) == {"sent": 1}
    assert deliver(plant.engine, {"log": phone}, later(1000)) == {}
    (message,) = phone.got
    assert message.key == f"A-1/ticket.opened/1/log/{plant.ticket(1).suggestion.person}"
    assert (message.ticket, message.kind) == ("A-1", "ticket.opened")
    assert message.trace_id == plant.ticket(1).trace_id
    assert message.content["condition"] == "stop"
    assert message.content["numbers"][0]["name"] == "severity"


def test_what_fails_is_tried_again_with_doubling_waits_under_the_same_key(plant):
    plant.at("10:00").stops("M7", "E1")
    phone = Phone([NotifyError("busy", permanent=False)] * 3)
    for wait_s in (0, 1, 1 + 2, 1 + 2 + 4):
        assert deliver(plant.engine, {"log": phone}, later(wait_s) - 1) == {}
        counts = deliver(plant.engine, {"log": phone}, later(wait_s))
    assert counts == {"sent": 1}
    assert states(plant) == {"sent": 1}


def test_a_permanent_refusal_or_too_many_tries_is_dead_and_kept_with_its_reason(plant):
    plant.at("10:00").stops("M7", "E1").stops("M8", "E1")
    phone = Phone(
        [NotifyError("no such number", permanent=True), *[NotifyError("busy", permanent=False)] * 2]
    )
    once = Retry(tries=2)
    assert deliver(plant.engine, {"log": phone}, NOW, retry=once) == {"dead": 1, "retried": 1}
    assert deliver(plant.engine, {"log": phone}, later(1), retry=once) == {"dead": 1}
    with reading(plant.engine) as conn:
        reasons = conn.execute(select(outbox.c.last_error).order_by(outbox.c.id)).scalars().all()
    assert reasons == ["no such number", "busy"]
    assert deliver(plant.engine, {"log": phone}, later(9999), retry=once) == {}


def test_messages_about_one_ticket_never_overtake_each_other_and_others_do_not_wait(plant):
    plant.at("10:00").stops("M7", "E1", severity=300)
    plant.at("10:00:01").stops("M7", "E1", severity=900).stops("M8", "E1")
    phone = Phone([NotifyError("busy", permanent=False)])
    assert deliver(plant.engine, {"log": phone}, later(1)) == {"retried": 1, "held": 1, "sent": 1}
    assert deliver(plant.engine, {"log": phone}, later(1.5)) == {}
    assert deliver(plant.engine, {"log": phone}, later(2)) == {"sent": 2}
    kinds = [message.kind for message in phone.got if message.ticket == "A-1"]
    assert kinds == ["ticket.opened", "ticket.escalated"]


def test_a_notifier_that_raises_what_it_should_not_is_tried_again_and_logged(plant, caplog):
    plant.at("10:00").stops("M7", "E1")
    phone = Phone([ZeroDivisionError("odd")])
    assert deliver(plant.engine, {"log": phone}, NOW) == {"retried": 1}
    assert "mend it" in caplog.text
    assert deliver(plant.engine, {"log": phone}, later(1)) == {"sent": 1}


def test_a_deliverer_that_dies_in_mid_send_is_followed_by_one_that_sends_again_under_the_same_key(plant):
    plant.at("10:00").stops("M7", "E1")

    class Dies(Phone):
        def send(self, message: Message) -> None:
            super().send(message)
            raise KeyboardInterrupt

    first, second = Dies(), Phone()
    with pytest.raises(KeyboardInterrupt):
        deliver(plant.engine, {"log": first}, NOW)
    assert deliver(plant.engine, {"log": second}, later(119)) == {}
    assert deliver(plant.engine, {"log": second}, later(120)) == {"sent": 1}
    assert first.got[0].key == second.got[0].key


def test_a_channel_without_a_notifier_waits(plant):
    plant.at("10:00").stops("M7", "E1")
    assert deliver(plant.engine, {}, NOW) == {}
    assert deliver(plant.engine, {"wecom": Phone()}, NOW) == {}
    assert states(plant) == {"pending": 1}


def test_a_story_without_channels_tells_nobody(plant):
    plant.tickets = type(plant.tickets)(plant.engine, channels=())
    plant.at("10:00").stops("M7", "E1")
    assert states(plant) == {}


def test_every_hand_a_ticket_goes_through_is_told(plant):
    plant.at("10:00").stops("M7", "E1")
    plant.at("10:30").repairs(1).signs(1)
    phone = Phone()
    deliver(plant.engine, {"log": phone}, time_of("11:00"))
    told = [(message.kind, message.content["recipient"]) for message in phone.got]
    suggested = plant.ticket(1).suggestion.person
    assert told == [
        ("ticket.opened", suggested),
        ("ticket.assign", "zhang"),
        ("ticket.assign", "chen"),
        ("ticket.accept", "chen"),
        ("ticket.resolve", "chen"),
        ("ticket.sign", "zhang"),
    ]


def test_the_log_holds_a_line_for_every_message(plant, tmp_path):
    plant.at("10:00").stops("M7", "E1", text={"message": "液压泄漏"}).stops("M8", "E1")
    path = tmp_path / "out" / "notifications.jsonl"
    assert deliver(plant.engine, {"log": Notifier(Parameters(path=path))}, NOW) == {"sent": 2}
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["ticket"] for line in lines] == ["A-1", "A-2"]
    assert lines[0]["content"]["text"] == {"message": "液压泄漏"}


def test_a_disk_that_refuses_the_log_means_try_again(tmp_path):
    (tmp_path / "file").write_text("")
    notifier = Notifier(Parameters(path=tmp_path / "file" / "log.jsonl"))
    with pytest.raises(NotifyError) as refused:
        notifier.send(Message("k", "A-1", "ticket.opened", "t", 0, {}))
    assert not refused.value.permanent


def test_the_plant_of_the_stories_has_someone_to_tell():
    assert PLANT.people
