"""WeChat end to end (rules 5, 8, 11): signed and sealed messages in, questions and tickets back, files, template messages out."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from andon.database import reading
from andon.events import MINUTE_NS, SECOND_NS
from andon.ports import Message, NotifyError, Said
from simulators import wechat as fake
from simulators.wechat import Platform, event, media, text
from tests.films import film
from tests.hostile_photos import image
from tests.shop_floor import BASE, ShopFloor, console
from ticketing import reports
from ticketing.notify.wechat import Notifier, Parameters
from ticketing.requests import attachments, talks
from ticketing.requests.fetching import fetch
from ticketing.requests.talking import Said as TalkSaid
from ticketing.requests.talks import Incoming
from ticketing.requests.wechat_api import Server
from ticketing.requests.wechat_wire import Account, key_of

sealed = pytest.mark.parametrize("platform", ["sealed"], indirect=True)
"""What has nothing to do with how a body travels is tried in one of the two ways."""
LI, WANG = "oLi-0001", "oWang-0002"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
HERE = {"allow_private": ["127.0.0.1"], "timeout_s": 20}


class Follower:
    """A phone: sends messages through the platform to the console, and shows what is answered."""

    def __init__(self, floor: ShopFloor, platform: Platform, client: httpx.AsyncClient) -> None:
        self.floor, self.platform, self.client = floor, platform, client
        self.number = 0

    async def post(self, said: dict[str, str], **forged: str) -> httpx.Response:
        asked, body = self.platform.callback(said)
        return await self.client.post("/wechat/factory", params=asked | forged, content=body)

    async def says(self, words: str, who: str = LI) -> str:
        self.number += 1
        return await self.sends(text(who, words, number=self.number, at_s=self.platform.now_s()))

    async def shows(self, kind: str, media_id: str, who: str = LI) -> str:
        self.number += 1
        return await self.sends(media(who, kind, media_id, number=self.number, at_s=self.platform.now_s()))

    async def sends(self, said: dict[str, str]) -> str:
        answer = await self.post(said)
        assert answer.status_code == 200, answer.text
        return self.platform.answer(answer.content)


@pytest.fixture(params=["plain", "sealed"])
def platform(request: pytest.FixtureRequest, floor: ShopFloor) -> Platform:
    return Platform(
        app_id="wx1234567890",
        secret="s3cret",
        token="andon-token",
        now_s=lambda: floor.clock() // SECOND_NS,
        aes_key=AES_KEY if request.param == "sealed" else "",
        followers={LI, WANG},
        templates={"T-1": ("thing1", "character_string2", "thing3", "thing4")},
    )


@pytest.fixture
async def phone(floor: ShopFloor, platform: Platform):
    account = Account(
        "factory", platform.app_id, platform.token, key_of(platform.aes_key) if platform.aes_key else None
    )
    context = replace(floor.context, wechat={"factory": account})
    transport = httpx.ASGITransport(console(context), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield Follower(floor, platform, client)


@pytest.fixture
def servers(platform: Platform) -> Iterator[str]:
    with fake.served(platform) as address:
        yield address


def reached(address: str, folder: Path, **more: object) -> Parameters:
    """The account as andon.toml has it."""
    given: dict[str, object] = {"app_id": "wx1234567890", "api": address, **HERE, **more}
    for name, value in (("secret", "s3cret"), ("token", "andon-token")):
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)
        given[name] = {"file": str(folder / name)}
    return Parameters.model_validate(given)


def tickets_of(floor: ShopFloor) -> list[int | None]:
    with reading(floor.database) as conn:
        return [one.ticket for one in reports.newest(conn)]


async def test_the_platform_makes_sure_of_the_address(phone: Follower) -> None:
    asked = phone.platform.echo()
    answer = await phone.client.get("/wechat/factory", params=asked)
    assert (answer.status_code, answer.text) == (200, asked["echostr"])
    assert (await phone.client.get("/wechat/factory", params=asked | {"nonce": "x"})).status_code == 403
    assert (await phone.client.get("/wechat/other", params=asked)).status_code == 404


async def test_a_message_without_a_name_of_the_event_is_asked_for_it_and_becomes_a_ticket(
    phone: Follower,
) -> None:
    assert "序列号" in await phone.says("液压泵漏油，地上一滩")
    assert "联系电话" in await phone.says("SN-77421")  # the type asks for a telephone, too
    assert "A-1" in await phone.says("13800138000")
    assert tickets_of(phone.floor) == [1]
    with reading(phone.floor.database) as conn:
        (told,) = reports.told(conn, 1)
    assert told.text["description"] == "液压泵漏油，地上一滩"
    assert (told.text["serial"], told.text["phone"]) == ("SN-77421", "13800138000")
    assert told.text["reporter"] == f"wechat:{LI}"
    assert "A-1" in await phone.says("现在更严重了")  # said within the window: about the same event
    assert tickets_of(phone.floor) == [1, 1]


@sealed
async def test_a_talk_in_english_is_answered_in_english(phone: Follower) -> None:
    assert "serial number" in await phone.says("the pump leaks", WANG)
    assert "ticket A-1" in await phone.says("+49 151 23456789", WANG)


async def test_a_message_that_comes_again_is_heard_once_and_answered_the_same(phone: Follower) -> None:
    said = text(LI, "主轴 L1-SPN-01 异响，电话 13800138000", number=7, at_s=phone.platform.now_s())
    answers = [await phone.sends(said) for _ in range(3)]
    assert len(set(answers)) == 1
    assert "A-1" in answers[0]
    assert tickets_of(phone.floor) == [1]
    with reading(phone.floor.database) as conn:
        assert len(talks.messages(conn)) == 1


@sealed
async def test_what_is_said_survives_a_restart_of_the_console(phone: Follower) -> None:
    await phone.says("数控系统黑屏")
    context = phone.floor.context
    with reading(context.database) as conn:
        (waiting,) = talks.talks(conn)
    assert (waiting.draft.description, waiting.peer) == ("数控系统黑屏", f"wechat:{LI}")
    assert "A-1" in await phone.says("13800138000")
    with reading(context.database) as conn:
        assert talks.talks(conn) == []


async def test_a_callback_that_nobody_signed_is_refused_and_leaves_nothing(phone: Follower) -> None:
    said = text(LI, "13800138000 坏了", number=1, at_s=phone.platform.now_s())
    forged = (
        {"signature": "0" * 40},
        {"nonce": "other"},
        {"timestamp": str(phone.platform.now_s() - 7200)},
    )
    assert {(await phone.post(said, **one)).status_code for one in forged} == {403}
    asked, body = phone.platform.callback(said)
    old = await phone.client.post("/wechat/factory", params=asked, content=body)
    assert old.status_code == 200
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><xml><MsgType>&a;</MsgType></xml>'
    for hostile in (bomb, b"<xml>", b"", b"x" * 60_000, b"<xml><Encrypt>AAAA</Encrypt></xml>"):
        answer = await phone.client.post("/wechat/factory", params=asked, content=hostile)
        assert answer.status_code == 403, hostile[:40]
    phone.floor.clock.now_ns += 20 * MINUTE_NS
    replayed = await phone.client.post("/wechat/factory", params=asked, content=body)
    assert replayed.status_code == 403
    assert tickets_of(phone.floor) == [1]


async def test_an_account_in_secure_mode_takes_nothing_that_is_not_sealed_by_it(phone: Follower) -> None:
    if not phone.platform.aes_key:
        phone.platform.aes_key = AES_KEY[::-1]  # another's seal: a plain account cannot read it
    else:
        asked, body = phone.platform.callback(event(LI, "subscribe", at_s=phone.platform.now_s()))
        assert (
            await phone.client.post(
                "/wechat/factory", params=asked | {"msg_signature": "0" * 40}, content=body
            )
        ).status_code == 403
        phone.platform.aes_key = ""
    assert (await phone.post(text(LI, "x", number=1, at_s=phone.platform.now_s()))).status_code == 403
    assert tickets_of(phone.floor) == []


@sealed
async def test_photos_and_videos_are_fetched_and_stand_on_the_ticket(
    phone: Follower, servers: str, tmp_path: Path
) -> None:
    platform, floor = phone.platform, phone.floor
    platform.media |= {
        "m-photo": image("PNG"),
        "m-film": film(),
        "m-voice": b"#!AMR\n" + bytes(40),
        "m-bad": b"MZ",
    }
    platform.videos |= {"m-film"}
    assert "序列号" in await phone.shows("image", "m-photo")
    await phone.says("阀芯卡滞，电话 13800138000")
    for kind, one in (("video", "m-film"), ("voice", "m-voice"), ("image", "m-bad"), ("image", "m-gone")):
        assert "A-1" in await phone.shows(kind, one)
    server = Server(reached(servers, tmp_path))

    def download(source: str) -> bytes:
        return server.media(source.partition("/")[2], floor.clock(), 10**8)

    def look() -> int:
        given = floor.tickets, floor.context.photos, floor.plant
        return fetch(*given, channel="wechat", download=download, now_ns=floor.clock())

    assert [await asyncio.to_thread(look) for _ in range(2)] == [5, 0]
    with reading(floor.database) as conn:
        found = {one.mime for one in attachments.of_ticket(conn, 1)}
    assert found == {"image/jpeg", "video/mp4", "audio/amr"}


@sealed
async def test_a_scanned_code_names_the_machine(phone: Follower) -> None:
    at_s = phone.platform.now_s()
    assert "描述" in await phone.sends(event(LI, "subscribe", "qrscene_L1-SPN-01", at_s=at_s))
    await phone.says("异响")
    assert "A-1" in await phone.says("13800138000")
    with reading(phone.floor.database) as conn:
        assert reports.told(conn, 1)[0].asset == "L1-SPN-01"
    assert "欢迎" in await phone.sends(event(WANG, "subscribe", at_s=at_s))
    assert await phone.sends(event(WANG, "unsubscribe", at_s=at_s)) == ""


def test_nobody_floods_the_desk(floor: ShopFloor) -> None:
    def says(n: int) -> talks.Answer:
        came = Incoming(str(n), TalkSaid("wechat", f"wechat:{LI}", f"消息 {n}"), "text", floor.clock())
        return talks.hear(floor.tickets, came, floor.plant, most=3)

    answers = [says(n) for n in (1, 2, 3, 4, 3)]
    assert [one.outcome for one in answers] == ["ask_id", "ask_id", "ask_id", "refused", "ask_id"]
    assert [one.again for one in answers] == [False, False, False, False, True]


def news(key: str, who: str) -> Message:
    said = Said(
        "zh",
        "[高] A-1 车削主轴 1：异响，请尽快处理，谢谢配合",
        ("已接单。", "状态：处理中", "…", "https://a.cn/tickets/1"),
    )
    return Message(key, "A-1", "ticket.accept", "t", 0, {"asset_name": "x"}, (said,), (who,))


@sealed
def test_followers_are_told_by_template_and_a_token_that_ended_is_asked_for_anew(
    platform: Platform, servers: str, tmp_path: Path
) -> None:
    notifier = Notifier(reached(servers, tmp_path, template="T-1"))
    now = platform.now_s() * SECOND_NS
    assert notifier.send(news("A-1/accept/3/wx/requester", LI), now) == "msgid 1"
    assert platform.sent[0]["url"] == "https://a.cn/tickets/1"
    assert platform.sent[0]["data"]["thing1"]["value"].endswith("…")
    platform.expire()
    assert notifier.send(news("A-1/resolve/4/wx/requester", LI), now) == "msgid 2"
    assert platform.tokens_made == 2
    for wrong, permanent in (({"template": "T-9"}, True), ({"fields": {"thing1": "{title}"}}, True)):
        with pytest.raises(NotifyError) as refused:
            Notifier(reached(servers, tmp_path, **{"template": "T-1", **wrong})).send(news("k", LI), now)
        assert refused.value.permanent is permanent
    with pytest.raises(NotifyError, match="43004"):
        notifier.send(news("k", "oNobody-" + secrets.token_hex(2)), now)
    platform.secret = "another"
    platform.expire()
    with pytest.raises(NotifyError, match="40125"):
        notifier.send(news("k", LI), now)
    assert len(platform.sent) == 2
