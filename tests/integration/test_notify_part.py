"""The notifier at work: canaries, breakers and what a person is told of them; what the console and API show of it."""

import argparse
import json
from dataclasses import dataclass, field

import pytest

from andon.channels import check_channels, kinds, make_channels, notifier_of, subscription_of
from andon.commands import outbox as command
from andon.commands.check import verdicts
from andon.config import Config, ConfigError, Notify, check
from andon.database import reading
from andon.events import SECOND_NS
from andon.parts import notify as part
from andon.parts.notify import DOWN, NO_CANARY, UNDELIVERED, Courier
from andon.ports import Message, NotifyError
from andon.rules.suppression import Flood, Suppressing
from api.telling import say
from tests.scenario.story import PLANT, Story, time_of
from ticketing import deliveries
from ticketing.breaker import Breaker
from ticketing.fan_out import fan_out
from ticketing.outbox import Channel
from ticketing.store import metrics
from ticketing.subscriptions import Audience, Subscription
from ticketing.topics import TOPICS, types_of

NOW = time_of("10:00")


@dataclass
class Line:
    """A notifier that is up or down, and knows when it was called."""

    why: NotifyError | None = None
    got: list[Message] = field(default_factory=list)
    called_ns: int = 0
    kind = "line"

    def send(self, message: Message, now_ns: int) -> str:
        """Take it or not."""
        self.called_ns = now_ns
        if self.why is not None:
            raise self.why
        self.got.append(message)
        return "ok"


@dataclass
class Watch:
    """A clock that stands where it is put."""

    at_ns: int = NOW

    def __call__(self) -> int:
        """Now."""
        return self.at_ns


@dataclass
class Room:
    """A courier with its plant, and what it says to the engine."""

    story: Story
    line: Line
    courier: Courier
    watch: Watch
    told: list[dict[str, object]]

    def turns(self, clock: str) -> None:
        """One turn at that time, and what there is to say of it."""
        self.watch.at_ns = time_of(clock)
        fan_out(self.story.engine, [self.courier.channel.subscription], PLANT, self.watch())
        self.courier.turn()
        with reading(self.story.engine) as conn:
            waiting, errors = deliveries.waiting(conn), deliveries.last_errors(conn)
        name = self.courier.name
        self.courier.tell(self.watch(), waiting.get(name, {}), errors.get(name, ""))

    def notices(self) -> dict[str, bool]:
        """Which notices stand."""
        return {str(word["code"]): bool(word["active"]) for word in self.told}


@pytest.fixture
def room(tmp_path, monkeypatch) -> Room:
    told: list[dict[str, object]] = []
    monkeypatch.setattr(part, "tell", lambda to, word: told.append({"to": to, **word}))
    line, watch, story = Line(), Watch(), Story.begins(tmp_path)
    channel = Channel(Subscription("erp"), line, Breaker(after=2, probe_s=30))
    return Room(story, line, Courier(story.engine, channel, watch), watch, told)


def test_a_canary_goes_out_each_minute_is_marked_and_is_no_ticket(room):
    for clock in ("10:00", "10:00:30", "10:01", "10:01:59"):
        room.turns(clock)
    assert [message.key for message in room.line.got] == [
        f"canary/{time_of(at) // (60 * SECOND_NS)}/erp/" for at in ("10:00", "10:01")
    ]
    assert all(message.content["canary"] for message in room.line.got)
    with reading(room.story.engine) as conn:
        assert sum(metrics(conn).by_state.values()) == 0
        assert deliveries.recent(conn, deliveries.Which(), 10) == []
    assert room.courier.report(time_of("10:01:59"), {})["canary_age_s"] == 59


def test_a_canary_that_fails_is_told_until_one_arrives(room):
    room.turns("10:00")
    room.line.why = NotifyError("away", permanent=False)
    room.turns("10:01")
    assert room.notices()[NO_CANARY]
    assert room.courier.report(time_of("10:03"), {})["canary_age_s"] == 180
    room.line.why = None
    room.turns("10:02")
    assert not room.notices()[NO_CANARY]
    assert {word["to"] for word in room.told} == {"engine"}


def test_a_channel_that_is_down_is_told_and_taken_back(room):
    room.line.why = NotifyError("away", permanent=False)
    room.story.at("10:00").stops("M7", "E1").stops("M8", "E1")
    room.turns("10:00:01")
    assert room.notices()[DOWN]
    word = next(word for word in room.told if word["code"] == DOWN and word["active"])
    assert (word["subject"], word["detail"], word["severity"]) == ("erp", "away", 900)
    assert room.courier.report(room.watch(), {})["circuit"] == "open"
    room.line.why = None
    for clock in ("10:01", "10:01:10", "10:02", "10:02:10"):
        room.turns(clock)
    assert not room.notices()[DOWN]
    assert {message.ticket for message in room.line.got} == {"", "A-1", "A-2"}


def test_messages_that_were_given_up_are_told_until_they_are_sent_again(room):
    room.line.why = NotifyError("no such receiver", permanent=True)
    room.story.at("10:00").stops("M7", "E1")
    room.turns("10:00:01")
    assert (room.notices()[UNDELIVERED], room.notices()[DOWN]) == (True, False)
    room.line.why = None
    deliveries.redrive(room.story.engine, deliveries.Which(channel="erp"), room.watch())
    room.turns("10:00:05")
    assert not room.notices()[UNDELIVERED]


def notify(**more: object) -> Notify:
    return check(Notify, {"name": "x", "kind": "console", **more}, "andon.toml")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "webhok"}, "did you mean 'webhook'"),
        ({"topics": ["andon.ticket.assign.v1"]}, "did you mean 'andon.ticket.assigned.v1'"),
        ({"topics": ["orders.*"]}, "andon outbox topics"),
        ({"recipients": ["zang"], "people": {"zhang": "z"}}, "did you mean 'zhang'"),
        ({"hours": {"week": {}}}, "never works"),
        ({"language": "de"}, "language"),
        ({"kind": "webhook", "url": "https://erp.example/x", "secret": {"env": "NOT_SET"}}, "NOT_SET"),
        (
            {"kind": "webhook", "url": "https://erp.example/x", "secret": "whsec_x"},
            "does not stand in this file",
        ),
        ({"kind": "webhook", "secret": {"env": "X"}}, "url"),
        ({"kind": "smtp", "host": "h", "sender": "a@b", "pasword": 1}, "did you mean 'password'"),
        ({"kind": "mqtt", "host": "h", "topic": "spBv1.0/x"}, "Andon does not"),
    ],
)
def test_what_is_wrong_with_a_channel_is_said_with_what_to_do(settings, said):
    with pytest.raises(ConfigError, match=r"notify x|andon.toml") as refused:
        check_channels([notify(**settings)])
    assert said in str(refused.value)


@pytest.mark.parametrize("names", [["a", "a"], ["bus"]])
def test_two_channels_cannot_have_one_name_nor_any_that_of_the_bus(names):
    with pytest.raises(ConfigError, match="call a channel something else"):
        check(Config, {"notify": [{"name": name, "kind": "console"} for name in names]}, "andon.toml")


def test_check_says_of_each_channel_whether_it_works_and_has_a_canary(tmp_path):
    path = tmp_path / "andon.toml"
    path.write_text(
        '[[notify]]\nname = "erp"\nkind = "webhook"\nurl = "https://erp.example/"\nsecret = { env = "NOT_SET" }\n'
        '[[notify]]\nname = "mail"\nkind = "smtp"\nhost = "mail.example"\nsender = "a@b.example"\n'
        '[[notify]]\nname = "desk"\nkind = "console"\ncanary = true\n[notify.people]\nzhang = "zhang"\n'
    )
    found = {one.name: one for one in verdicts(path, tmp_path, lambda: NOW) if one.name.startswith("notify")}
    assert {name: one.state for name, one in found.items()} == {
        "notify erp": "wrong",
        "notify mail": "warning",
        "notify desk": "warning",
    }
    assert "NOT_SET" in found["notify erp"].text
    assert "no canary" in found["notify mail"].text
    assert "canary = false" in found["notify desk"].cure


def test_by_default_canaries_go_to_systems_alone_and_people_are_not_told_each_thing_by_itself():
    for kind in kinds():
        audience = __import__(f"ticketing.notify.{kind}", fromlist=["x"]).Notifier.audience
        rules = subscription_of(notify(kind=kind))
        systems = audience in {Audience.SYSTEMS, Audience.PARTNER}
        assert (rules.canary, rules.group_wait_s, rules.digest_over) == (
            (True, 0, None) if systems else (False, 30, 10)
        )


def test_every_kind_of_channel_is_its_files_name_and_explains_each_of_its_settings():
    assert kinds() == [
        *("console", "dingtalk", "feishu", "http_sms", "log", "mqtt"),
        *("partner", "smtp", "webhook", "wechat", "wecom"),
    ]
    for kind in kinds():
        module = __import__(f"ticketing.notify.{kind}", fromlist=["x"])
        assert module.Notifier.kind == kind
        assert [name for name, one in module.Parameters.model_fields.items() if not one.description] == []


def test_there_is_always_a_log_and_a_channel_of_its_name_takes_its_place(tmp_path):
    assert list(make_channels(tmp_path, [notify(name="desk")], lambda *_: ())) == ["log", "desk"]
    own = notify(name="log", kind="log", path=str(tmp_path / "own.jsonl"))
    channels = make_channels(tmp_path, [own], lambda *_: ())
    assert channels["log"].notifier._path == tmp_path / "own.jsonl"
    assert notifier_of(notify()).send(Message("k", "A-1", "ticket.opened", "t", 0, {}), 0)


def test_every_kind_of_message_is_said_in_whole_sentences_in_both_languages(tmp_path):
    story = Story.begins(tmp_path)
    line = Line()
    rules = Subscription(
        "chat", audience=Audience.GROUP, languages=("zh", "en"), link="https://andon.example"
    )
    channel = Channel(
        rules, line, Breaker(), lambda m, to: say(m, to.languages, PLANT, time_of("12:00"), to.link)
    )
    story.at("10:00").stops("M7", "E1")
    story.at("10:30").repairs(1).signs(1)
    story.at("Tue 10:00").stops("M7", "E1").stops("M8", "E2")
    fan_out(story.engine, [rules], PLANT, time_of("Tue 10:01"))
    courier = Courier(story.engine, channel, lambda: time_of("Tue 10:01"))
    assert courier.turn()
    assert len(line.got) >= 8
    for message in line.got:
        zh, en = message.said
        assert (zh.language, en.language) == ("zh", "en")
        assert "压机7" in zh.title or "压机8" in zh.title
        assert "Press" in en.title
        assert en.lines[-1].startswith("https://andon.example/tickets/")
        assert not any(
            "{" in text or "<b>" in text for one in message.said for text in (one.title, *one.lines)
        )
    assigned = next(message for message in line.got if message.kind == "ticket.assign")
    assert "With Zhang Wei, backup Chen Jie" in assigned.said[1].lines


def test_a_digest_names_its_tickets_in_words(tmp_path):
    story = Story.begins(tmp_path)
    story.plant = PLANT.model_copy(update={"suppression": Suppressing(flood=Flood(on=False))})
    line = Line()
    rules = Subscription("chat", audience=Audience.GROUP, digest_over=2, types=types_of("andon.ticket.*"))
    channel = Channel(rules, line, Breaker(), lambda m, to: say(m, to.languages, PLANT, NOW))
    for n in range(1, 21):
        story.at("10:00").stops(f"M{n}", "E1", severity=300)
    fan_out(story.engine, [rules], PLANT, NOW)
    Courier(story.engine, channel, lambda: NOW).turn()
    (message,) = line.got
    (said,) = message.said
    assert said.title == "20 messages about 20 tickets"
    assert [text.split()[1] for text in said.lines] == [f"A-{n}" for n in range(1, 21)]


def test_the_command_lists_shows_and_sends_again(tmp_path, capsys, monkeypatch):
    story = Story.begins(tmp_path)
    line = Line(NotifyError("no such receiver", permanent=True))
    channel = Channel(Subscription("erp"), line, Breaker())
    story.at("10:00").stops("M7", "E1")
    fan_out(story.engine, [channel.subscription], PLANT, NOW)
    Courier(story.engine, channel, lambda: NOW).turn()
    monkeypatch.setattr(command, "store_of", lambda _: story.engine)

    def run(*words: str) -> dict[str, object]:
        parser = argparse.ArgumentParser()
        command.arguments(parser)
        command.run(parser.parse_args([*words, "--json", "-"]))
        return json.loads(capsys.readouterr().out)

    listed = run("list", "--state", "dead")
    (dead,) = listed["messages"]
    assert (dead["channel"], dead["last_error"]) == ("erp", "no such receiver")
    assert run("show", "--id", str(dead["id"]))["calls"][0]["answer"] == "no such receiver"
    assert run("redrive", "--channel", "erp") == {"redriven": 1}
    assert run("list", "--state", "dead")["messages"] == []
    assert [one["type"] for one in run("topics")["topics"]] == [one.name for one in TOPICS]
