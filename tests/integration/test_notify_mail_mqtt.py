"""E-mail through a real mail server and events to a real broker: what arrives, and what is made of each refusal."""

import json
import ssl
import threading
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from paho.mqtt.enums import CallbackAPIVersion

from andon.ports import Message, NotifyError
from tests.certificates import Authority
from tests.integration.test_notifiers import MESSAGE, NOW, error
from tests.mosquitto import mosquitto, needs_mosquitto
from tests.receivers import nobody, until
from ticketing.notify import mqtt, smtp

MAIL = replace(MESSAGE, addresses=("zhang@plant.example",))


@dataclass
class Postman:
    """What the mail server does with a mail: keeps it, or answers as it is told."""

    answers: list[str] = field(default_factory=list)
    got: list[Envelope] = field(default_factory=list)

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: ARG002, N802 -- aiosmtpd's name
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        if address.startswith("full"):
            return "452 4.2.2 mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: ARG002, N802 -- aiosmtpd's name
        if self.answers:
            return self.answers.pop(0)
        self.got.append(envelope)
        return "250 taken"


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def office(authority, tmp_path):
    """A mail server with STARTTLS and a login; gives the postman and what the notifier has to know."""
    certificate, key = authority.issue("mail")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    postman, port = Postman(), nobody()

    def login(server, session, envelope, mechanism, given):
        return AuthResult(success=given.login == b"andon" and given.password == b"right", handled=False)

    controller = Controller(
        postman,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=login,
        auth_required=True,
    )
    controller.start()
    password = tmp_path / "password"
    password.write_text("right\n")
    password.chmod(0o600)
    given = {
        "host": "localhost",
        "port": port,
        "sender": "andon@plant.example",
        "user": "andon",
        "password": {"file": str(password)},
        "ca": str(authority.certificate),
        "timeout_s": 30,
    }
    try:
        yield postman, given, password
    finally:
        controller.stop()


def mailer(given: dict[str, object], **more: object) -> smtp.Notifier:
    return smtp.Notifier(smtp.Parameters.model_validate({**given, **more}))


def test_a_mail_is_in_both_languages_as_text_and_html_and_the_same_mail_when_it_is_sent_again(office):
    postman, given, _ = office
    notifier = mailer(given)
    assert notifier.send(MAIL, NOW).startswith("250 <")
    notifier.send(MAIL, NOW)
    first, second = (message_from_bytes(one.content, policy=policy.default) for one in postman.got)
    assert postman.got[0].rcpt_tos == ["zhang@plant.example"]
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"].endswith("@plant.example>")
    assert (first["X-Andon-Key"], first["X-Andon-Trace"]) == (MAIL.key, "floor:1041")
    assert first["Date"].datetime.isoformat() == "2026-03-02T10:00:00+00:00"
    assert "轴承外圈" in first["Subject"]
    plain, rich = (first.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "新建了工单。" in plain
    assert "A ticket was opened." in plain
    assert '<section lang="zh">' in rich
    assert "<at user_id" not in rich


def test_photos_of_the_site_stand_in_the_mail_and_nothing_is_fetched(office):
    postman, given, _ = office
    smtp.Notifier(smtp.Parameters.model_validate(given)).send(
        replace(MAIL, pictures=(b"first", b"second")), NOW
    )
    mail = message_from_bytes(postman.got[0].content, policy=policy.default)
    page = mail.get_body(("html",)).get_content()
    pictures = {
        part["Content-ID"].strip("<>"): part
        for part in mail.walk()
        if part.get_content_type() == "image/jpeg"
    }
    assert [part.get_content() for part in pictures.values()] == [b"first", b"second"]
    assert all(f'src="cid:{name}"' in page for name in pictures)
    assert "http" not in page


def test_a_receiver_that_does_not_exist_is_given_up_and_a_full_one_is_tried_again(office):
    _, given, _ = office
    gone = error(mailer(given), replace(MAIL, addresses=("nobody@plant.example",)))
    assert (gone.permanent, "no such user" in str(gone)) == (True, True)
    assert not error(mailer(given), replace(MAIL, addresses=("full@plant.example",))).permanent
    assert error(mailer(given), replace(MAIL, addresses=())).permanent


@pytest.mark.parametrize(("answer", "permanent"), [("554 5.7.1 refused", True), ("451 4.3.0 later", False)])
def test_a_mail_that_is_refused_for_good_is_given_up(office, answer, permanent):
    postman, given, _ = office
    postman.answers.append(answer)
    assert error(mailer(given), MAIL).permanent is permanent


def test_a_wrong_login_is_the_channels_fault_and_a_wrong_certificate_too(office, tmp_path):
    postman, given, password = office
    password.write_text("wrong")
    refused = error(mailer(given), MAIL)
    assert (refused.permanent, str(refused)[:3]) == (False, "535")
    other = Authority(tmp_path / "other").certificate
    assert "certificate" in str(error(mailer(given, ca=str(other)), MAIL)).lower()
    assert not error(mailer(given, port=nobody()), MAIL).permanent
    assert postman.got == []


def test_a_server_that_offers_no_encryption_gets_no_mail_and_no_password(office):
    _, given, _ = office
    plain = Controller(postman := Postman(), hostname="127.0.0.1", port=nobody())
    plain.start()
    try:
        assert "STARTTLS" in str(error(mailer(given, port=plain.port), MAIL))
        assert postman.got == []
        loose = {"security": "none", "user": None, "password": None, "port": plain.port}
        mailer(given, **loose).send(MAIL, NOW)
        assert len(postman.got) == 1
    finally:
        plain.stop()
    with pytest.raises(ValueError, match="in the clear"):
        mailer(given, security="none", host="mail.example")


def test_nothing_that_a_machine_says_becomes_a_header_of_the_mail(office):
    postman, given, _ = office
    title = "a\r\nBcc: everybody@plant.example\n\nx"
    mailer(given).send(replace(MAIL, said=(replace(MAIL.said[0], title=title),)), NOW)
    mail = message_from_bytes(postman.got[0].content, policy=policy.default)
    assert mail["Bcc"] is None
    assert mail["Subject"] == "a Bcc: everybody@plant.example x"


class Listener:
    """Somebody who has subscribed to all of a broker."""

    def __init__(self, port: int) -> None:
        self.got: list[paho.MQTTMessage] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="listener")
        self._client.on_message = lambda *arguments: self.got.append(arguments[2])
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("#", qos=1)
        assert self._subscribed.wait(30)

    def close(self) -> None:
        """Go."""
        self._client.disconnect()
        self._client.loop_stop()


def publisher(port: int, **more: object) -> mqtt.Notifier:
    given = {"host": "127.0.0.1", "port": port, "tls": False, "timeout_s": 30, **more}
    return mqtt.Notifier(mqtt.Parameters.model_validate(given))


@needs_mosquitto
def test_an_event_is_published_with_qos_1_and_again_after_the_broker_was_away(tmp_path: Path):
    with mosquitto(tmp_path / "broker") as broker:
        listener = Listener(broker.port)
        notifier = publisher(broker.port, topic="plant/{line}/{type}")
        try:
            assert "confirmed" in notifier.send(MESSAGE, NOW)
            (message,) = until(lambda: listener.got)
            assert (message.topic, message.qos) == ("plant/L1/andon.ticket.opened.v1", 1)
            assert not message.retain
            assert json.loads(message.payload)["id"] == MESSAGE.key
            listener.close()
            broker.stop()
            notifier.close()
            assert not error(notifier).permanent
            broker.start()
            listener = Listener(broker.port)
            again = until(lambda: _sent(notifier))
            assert "confirmed" in again
            assert json.loads(until(lambda: listener.got)[0].payload)["id"] == MESSAGE.key
        finally:
            notifier.close()
            listener.close()


def _sent(notifier: mqtt.Notifier, message: Message = MESSAGE) -> str:
    try:
        return notifier.send(message, NOW)
    except NotifyError:
        return ""


@needs_mosquitto
def test_a_broker_that_does_not_want_us_says_why(tmp_path: Path):
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "acl").write_text("topic read #\n")
    with mosquitto(tmp_path / "broker", "allow_anonymous true", f"acl_file {tmp_path}/broker/acl") as broker:
        refused = error(publisher(broker.port))
    assert "Not authorized" in str(refused)
    with mosquitto(tmp_path / "closed", "allow_anonymous false") as broker:
        refused = error(publisher(broker.port, timeout_s=2))
    assert "Not authorized" in str(refused)
    assert not refused.permanent


@pytest.mark.parametrize("topic", ["spBv1.0/g/NDATA/e", "andon/v1/e/s", "$SYS/x", "a/#", "a/+/b", "a/"])
def test_it_never_speaks_where_machines_do(topic):
    with pytest.raises(ValueError, match="topic"):
        publisher(1, topic=topic)


def test_events_leave_this_machine_only_encrypted():
    with pytest.raises(ValueError, match="in the clear"):
        publisher(1, host="broker.example")
