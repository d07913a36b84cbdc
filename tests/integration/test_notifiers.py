"""Each notifier against a real server on this machine that checks what it gets, answers wrong, slowly or not at all."""

import base64
import hashlib
import hmac
import ipaddress
import json
import threading
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from andon.config import ConfigError
from andon.events import SECOND_NS
from andon.plant import Plant
from andon.ports import Message, NotifyError, Said
from api.telling import say
from tests.certificates import Authority
from tests.receivers import Reply, Request, Server, http, nobody
from ticketing.notify import dingtalk, feishu, http_sms, webhook, wecom
from ticketing.requests.floor_plan import drawn

NOW = 1_772_445_600 * SECOND_NS
HERE = {"allow_private": ["127.0.0.1"], "timeout_s": 20}
MESSAGE = Message(
    key="A-7/opened/1/erp/",
    ticket="A-7",
    kind="ticket.opened",
    trace_id="floor:1041",
    at_ns=NOW,
    content={"number": "A-7", "priority": "high", "plant": "Wuxi", "asset": "M7", "line": "L1"},
    said=(
        Said("zh", "[高] A-7 压机7：轴承外圈", ("新建了工单。", "请@all 看 <at user_id='all'>")),
        Said("en", "[High] A-7 Press 7: outer race", ("A ticket was opened.",)),
    ),
    addresses=("13812345678",),
)
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OLD_KEY = bytes(range(32, 64))


@pytest.fixture
def secret(tmp_path: Path):
    """Puts a secret into a file of its own and gives how the configuration names it."""

    def put(name: str, text: str) -> dict[str, str]:
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return {"file": str(path)}

    return put


def error(notifier, message: Message = MESSAGE, now_ns: int = NOW) -> NotifyError:
    with pytest.raises(NotifyError) as raised:
        notifier.send(message, now_ns)
    return raised.value


def hook(server: Server, put, /, **more: object) -> webhook.Notifier:
    given = {"url": f"{server.url}/in?x=1", "secret": put("hook", SECRET), **HERE, **more}
    return webhook.Notifier(webhook.Parameters.model_validate(given))


def signed(request: Request, key: bytes) -> str:
    """What the receiver computes for itself."""
    head = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
    return "v1," + base64.b64encode(hmac.new(key, head + request.body, hashlib.sha256).digest()).decode()


def always(status: int = 200, body: bytes = b"ok", *headers: tuple[str, str]):
    return lambda _: Reply(status, body, headers)


def test_a_webhook_is_a_signed_cloud_event_and_the_same_again_when_it_is_sent_again(secret):
    def judge(request: Request) -> Reply:
        good = request.headers["webhook-signature"] == signed(request, KEY)
        return Reply(204 if good else 401, b"")

    with http(judge) as server:
        notifier = hook(server, secret)
        assert notifier.send(MESSAGE, NOW).startswith("204")
        notifier.send(MESSAGE, NOW + 7 * SECOND_NS)
    first, second = server.got
    assert (first.method, first.path) == ("POST", "/in?x=1")
    assert first.headers["host"] == f"127.0.0.1:{server.port}"
    assert first.headers["content-type"].startswith("application/cloudevents+json")
    assert first.headers["webhook-timestamp"] == "1772445600"
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == MESSAGE.key
    assert first.body == second.body
    event = json.loads(first.body)
    assert (event["id"], event["type"], event["subject"]) == (MESSAGE.key, "andon.ticket.opened.v1", "A-7")
    assert (event["time"], event["source"]) == ("2026-03-02T10:00:00.000Z", "urn:andon:Wuxi")
    assert event["traceparent"] == first.headers["traceparent"]
    assert event["andontrace"] == "floor:1041"


def test_while_a_secret_is_changed_both_hold(secret):
    old = secret("old", "whsec_" + base64.b64encode(OLD_KEY).decode())
    with http(always()) as server:
        hook(server, secret, old_secret=old).send(MESSAGE, NOW)
    given = server.got[0].headers["webhook-signature"].split(" ")
    assert given == [signed(server.got[0], KEY), signed(server.got[0], OLD_KEY)]


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (500, False),
        (502, False),
        (400, True),
        (422, True),
        (401, False),
        (404, False),
        (410, False),
        (301, False),
    ],
)
def test_only_2xx_is_success_and_only_what_the_message_is_to_blame_for_is_permanent(
    secret, status, permanent
):
    elsewhere = ("Location", "http://127.0.0.1:1/")
    with http(always(status, b"why not", elsewhere)) as server:
        refused = error(hook(server, secret))
    assert (refused.permanent, refused.wait_s) == (permanent, None)
    assert str(refused) == f"{status} why not"
    assert len(server.got) == 1  # a redirect is not followed


def test_a_server_that_asks_for_time_gets_it(secret):
    with http(always(429, b"slow", ("Retry-After", "17"))) as server:
        assert error(hook(server, secret)).wait_s == 17


def test_a_server_that_does_not_answer_is_given_up_in_time(secret):
    never = threading.Event()
    with http(lambda _: Reply(hold=never)) as server:
        refused = error(hook(server, secret, timeout_s=0.3))
    assert (str(refused), refused.permanent) == ("no answer within 0.3 s", False)


def test_a_server_that_drips_is_given_up_in_time_too(secret):
    with http(lambda _: Reply(body=b"x" * 4000, drip_s=0.1)) as server:
        assert "no answer within 1 s" in str(error(hook(server, secret, timeout_s=1)))
    assert server.written < 1000


def test_of_an_endless_answer_only_the_beginning_is_read(secret):
    with http(always(200, b"x" * 50_000_000)) as server:
        answer = hook(server, secret).send(MESSAGE, NOW)
    assert answer == "200 " + "x" * 4096
    assert server.written < 40_000_000


def test_nobody_there_is_tried_again_and_the_address_is_not_told(secret):
    gone = Server(always(), nobody())
    refused = error(hook(gone, secret))
    assert not refused.permanent
    assert "/in" not in str(refused)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "[::ffff:127.0.0.1]"],  # noqa: S104 - nothing is bound
)
def test_an_address_inside_is_not_gone_to_unless_it_is_named(secret, host):
    with http(always()) as server:
        given = {"url": f"http://{host}:{server.port}/", "secret": secret("hook", SECRET), "timeout_s": 20}
        refused = error(webhook.Notifier(webhook.Parameters.model_validate(given)))
    assert server.got == []
    assert not refused.permanent
    if not host.startswith("2"):
        assert "allow_private" in str(refused)


@pytest.mark.parametrize(
    "inside", ["10.1.2.3", "192.168.0.9", "169.254.169.254", "100.64.0.1", "fd00::1", "224.0.0.1"]
)
def test_what_is_inside_is_known(inside):
    reach = webhook.Reach()
    assert not reach.may_go_to(ipaddress.ip_address(inside))
    assert webhook.Reach(allow_private=("10.1.2.0/24",)).may_go_to(ipaddress.ip_address("10.1.2.3"))
    assert reach.may_go_to(ipaddress.ip_address("8.8.8.8"))


def test_over_tls_the_certificate_is_that_of_the_name(secret, tmp_path):
    authority = Authority(tmp_path / "ca")
    good = authority.issue("server")
    other = authority.issue("other", host="other.example")
    for pair, works in ((good, True), (other, False)):
        with http(always(), tls=(str(pair[0]), str(pair[1]))) as server:
            notifier = hook(server, secret, url=f"https://localhost:{server.port}/", ca=authority.certificate)
            if works:
                notifier.send(MESSAGE, NOW)
                assert server.got[0].headers["host"] == f"localhost:{server.port}"
            else:
                assert "certificate" in str(error(notifier)).lower()
    with http(always(), tls=(str(good[0]), str(good[1]))) as server:
        assert (
            "certificate" in str(error(hook(server, secret, url=f"https://localhost:{server.port}/"))).lower()
        )


@pytest.mark.parametrize("text", ["", "hunter2", "whsec_c2hvcnQ=", "whsec_%%%"])
def test_a_webhook_without_a_good_secret_is_refused(secret, text):
    with pytest.raises(ConfigError):
        hook(Server(always(), 1), secret, secret=secret("bad", text))


def test_a_secret_that_others_can_read_or_that_stands_in_clear_is_refused(secret, tmp_path, monkeypatch):
    given = secret("open", SECRET)
    Path(given["file"]).chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        hook(Server(always(), 1), secret, secret=given)
    with pytest.raises(ValueError, match="does not stand in this file"):
        hook(Server(always(), 1), secret, secret=SECRET)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    assert hook(Server(always(), 1), secret, secret={"env": "HOOK_SECRET"})._keys == [KEY]
    monkeypatch.delenv("HOOK_SECRET")
    with pytest.raises(ConfigError, match="HOOK_SECRET"):
        hook(Server(always(), 1), secret, secret={"env": "HOOK_SECRET"})


def says(field: str, code: int, text: str = "ok"):
    return always(200, json.dumps({field: code, "errmsg": text, "msg": text}).encode())


ROBOTS = [(wecom, "errcode"), (dingtalk, "errcode"), (feishu, "code")]


def robot(kind, server: Server, secret, **more: object):
    given = {"url": secret("robot", f"{server.url}/robot?key=k-e-y"), **HERE, **more}
    return kind.Notifier(kind.Parameters.model_validate(given))


@pytest.mark.parametrize(("kind", "field"), ROBOTS)
@pytest.mark.parametrize("what", ["fast", "bad", "unknown"])
def test_a_robots_refusal_stands_in_a_200_answer_and_is_heard(secret, kind, field, what):
    codes, permanent, wait_s = {
        "fast": (kind.CODES.too_fast, False, 60.0),
        "bad": (kind.CODES.bad, True, None),
        "unknown": ({310001}, False, None),
    }[what]
    for code in codes:
        with http(says(field, code, "why")) as server:
            refused = error(robot(kind, server, secret))
        assert (refused.permanent, refused.wait_s) == (permanent, wait_s)
        assert "why" in str(refused)
        assert "k-e-y" not in str(refused)


@pytest.mark.parametrize(("kind", "field"), ROBOTS)
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"errcode": "0", "code": "0"}'])
def test_an_answer_without_a_code_is_no_success(secret, kind, field, body):
    with http(always(200, body)) as server:
        assert not error(robot(kind, server, secret)).permanent
    with http(always(502, body)) as server:
        assert "502" in str(error(robot(kind, server, secret)))


@pytest.mark.parametrize(("kind", "field"), ROBOTS)
def test_a_robot_is_told_in_both_languages_with_its_keyword_and_nobody_is_called_by_a_machines_text(
    secret, kind, field
):
    with http(says(field, 0)) as server:
        robot(kind, server, secret, keyword="安灯").send(MESSAGE, NOW)
    (request,) = server.got
    assert request.path.startswith("/robot?key=k-e-y")
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    text = json.dumps(json.loads(request.body), ensure_ascii=False)
    for wanted in ("安灯", "轴承外圈", "outer race", "13812345678"):
        assert wanted in text
    assert "@all" not in text
    assert "user_id='all'>" not in text


def test_wecom_says_markdown_of_at_most_4096_bytes_and_calls_people_by_their_id(secret):
    long = replace(MESSAGE, said=(Said("zh", "很长", ("字" * 5000,)),), addresses=("zhang", "li"))
    with http(says("errcode", 0)) as server:
        robot(wecom, server, secret).send(long, NOW)
    document = json.loads(server.got[0].body)
    assert document["msgtype"] == "markdown"
    content = document["markdown"]["content"]
    assert len(content.encode()) <= 4096
    assert content.endswith("<@zhang><@li>")


def test_wecom_shows_photos_after_the_text_and_does_not_say_it_again_for_a_photo_that_is_refused(secret):
    def judge(request: Request) -> Reply:
        image = json.loads(request.body).get("image")
        good = (
            image is None
            or hashlib.md5(base64.b64decode(image["base64"]), usedforsecurity=False).hexdigest()
            == image["md5"]
        )
        big = image is not None and len(image["base64"]) > 1000
        return Reply(
            200, b'{"errcode":0}' if good and not big else b'{"errcode":40009,"errmsg":"invalid image size"}'
        )

    with http(judge) as server:
        said = robot(wecom, server, secret).send(replace(MESSAGE, pictures=(b"small", b"x" * 2000)), NOW)
    kinds = [json.loads(request.body)["msgtype"] for request in server.got]
    assert kinds == ["markdown", "image", "image"]
    assert "invalid image size" in said


def test_wecom_shows_a_card_with_the_place_at_a_node_and_the_floor_plan_after_it(secret):
    plant = Plant.model_validate(
        {
            "name": "Wuxi",
            "assets": [
                {
                    "id": f"M{n}",
                    "name": f"Press {n}",
                    "asset_class": "press",
                    "path": "a/b/c/L1",
                    "position": at,
                }
                for n, at in ((7, {"x_m": 10.0, "y_m": 20.0}), (8, {"x_m": 70.0, "y_m": 60.0}))
            ],
            "people": [
                {"id": "li", "name": "Li", "role": "technician", "position": {"x_m": 10.0, "y_m": 50.0}}
            ],
        }
    )
    content = {"asset": "M7", "assignee": "li", "priority": "high", "state": "in_progress", "line": "L1"}
    content |= {"site": "b", "area": "c", "asset_name": "Press 7", "asset_name_zh": "压机7", "backup": None}
    head = {"family": "stop", "component": "E1", "condition": "stop", "numbers": [], "text": {}}
    at_node = replace(MESSAGE, kind="ticket.depart", content=content | head)
    said = tuple(say(at_node, ("zh",), plant, NOW, "https://andon.example"))
    plan = drawn(plant, "M7", "li")
    assert plan is not None
    with http(says("errcode", 0)) as server:
        robot(wecom, server, secret).send(
            replace(at_node, said=said, pictures=(plan,), addresses=("li",)), NOW
        )
    card, call, picture = [json.loads(request.body) for request in server.got]
    shown = {one["keyname"]: one["value"] for one in card["template_card"]["horizontal_content_list"]}
    assert shown == {
        "设备": "压机7",
        "位置": "b / c / L1",
        "坐标": "x 10 m, y 20 m",
        "人员": "Li",
        "距离": "30 m",
    }
    assert card["template_card"]["card_action"]["url"] == "https://andon.example/tickets/7"
    assert call["markdown"]["content"] == "<@li>"
    image = Image.open(BytesIO(base64.b64decode(picture["image"]["base64"])))
    marks = [image.getpixel((x, y)) for x in range(0, 800, 2) for y in range(0, 500, 2)]
    assert sum(red > 180 and green < 100 and blue < 90 for red, green, blue in marks) > 50  # the ring of M7
    assert sum(red < 80 and blue > 170 for red, green, blue in marks) > 50  # the way that Li goes
    assert drawn(plant, "M9") is None
    assert [one.facts for one in say(replace(at_node, kind="ticket.edited"), ("zh",), plant, NOW)] == [()]


def test_dingtalk_signs_the_time_with_its_secret_and_names_mobile_numbers(secret):
    def judge(request: Request) -> Reply:
        asked = parse_qs(urlsplit(request.path).query)
        at_ms = asked["timestamp"][0]
        wanted = hmac.new(b"SEC1", f"{at_ms}\nSEC1".encode(), hashlib.sha256).digest()
        good = asked["sign"][0] == base64.b64encode(wanted).decode() and at_ms == str(NOW // 1_000_000)
        return Reply(body=json.dumps({"errcode": 0 if good else 310000}).encode())

    with http(judge) as server:
        robot(dingtalk, server, secret, sign=secret("sign", "SEC1")).send(MESSAGE, NOW)
        assert "310000" in str(error(robot(dingtalk, server, secret, sign=secret("sign", "SEC2"))))
    document = json.loads(server.got[0].body)
    assert document["at"] == {"atMobiles": ["13812345678"], "isAtAll": False}
    assert "@13812345678" in document["markdown"]["text"]
    assert document["markdown"]["title"] == MESSAGE.said[0].title


def test_feishu_signs_nothing_with_time_and_secret_and_sends_a_card(secret):
    def judge(request: Request) -> Reply:
        document = json.loads(request.body)
        wanted = hmac.new(f"{document['timestamp']}\ns3".encode(), b"", hashlib.sha256).digest()
        good = document["sign"] == base64.b64encode(wanted).decode() and document["timestamp"] == "1772445600"
        return Reply(body=json.dumps({"code": 0 if good else 19021}).encode())

    with http(judge) as server:
        robot(feishu, server, secret, sign=secret("sign", "s3")).send(MESSAGE, NOW)
        assert "19021" in str(error(robot(feishu, server, secret, sign=secret("sign", "s4"))))
    card = json.loads(server.got[0].body)["card"]
    assert card["header"]["template"] == "orange"
    assert "<at id=13812345678></at>" in card["elements"][0]["content"]


def sms(server: Server, secret, **more: object) -> http_sms.Notifier:
    given = {"url": secret("gate", f"{server.url}/sms"), **HERE, **more}
    return http_sms.Notifier(http_sms.Parameters.model_validate(given))


def test_a_text_message_is_filled_in_as_json_and_its_number_is_masked_wherever_it_is_told(secret):
    def judge(request: Request) -> Reply:
        return Reply(
            body=b'{"result": {"code": 0}, "to": "' + json.loads(request.body)["phone"].encode() + b'"}'
        )

    odd = replace(MESSAGE, said=(Said("en", 'a "quoted"\nline', ("\\",)),))
    with http(judge) as server:
        answer = sms(server, secret, token=secret("token", "t0ken"), success="result.code=0").send(odd, NOW)
        refused = error(sms(server, secret, success="result.code=1"))
    document = json.loads(server.got[0].body)
    assert document == {"phone": "13812345678", "text": 'a "quoted"\nline / \\', "id": MESSAGE.key}
    assert server.got[0].headers["authorization"] == "Bearer t0ken"
    for said in (answer, str(refused)):
        assert "13812345678" not in said
        assert "138****5678" in said


def test_a_gateways_form_can_be_another_and_a_long_text_is_cut(secret):
    body = "<sms><to>{phone}</to><text>{text}</text></sms>"
    with http(always()) as server:
        notifier = sms(server, secret, body=body, content_type="text/xml", limit=40)
        notifier.send(replace(MESSAGE, said=(Said("en", "x" * 99, ()),)), NOW)
    assert server.got[0].body == f"<sms><to>13812345678</to><text>{'x' * 40}</text></sms>".encode()
    assert error(notifier, replace(MESSAGE, addresses=())).permanent
    with pytest.raises(ValueError, match="phone"):
        sms(server, secret, body="{text}")
