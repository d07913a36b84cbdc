"""Requests by e-mail (rules 6 and 8): a real IMAP conversation in, answers by SMTP, no answer to a machine, nothing lost."""

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from andon.database import reading
from andon.events import HOUR_NS
from andon.installation import free_port
from api.replies import reply as words_of_answer
from simulators import mailbox as fake
from simulators.mailbox import Letters
from tests.films import film
from tests.hostile_photos import image
from tests.shop_floor import ShopFloor
from ticketing import reports
from ticketing.notify.smtp import Parameters
from ticketing.requests import attachments, talks
from ticketing.requests.mailbox import MailboxAway
from ticketing.requests.mailing import MOST, Mailing

OWN = "andon@factory.example"


class Post:
    """The mail server that answers leave by: keeps them, or refuses."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.refuses = ""

    async def handle_DATA(self, server, session, envelope):  # noqa: ARG002, N802 -- aiosmtpd's name
        if self.refuses:
            return self.refuses
        self.sent.append(envelope.content)
        return "250 OK"


class Office:
    """A mailbox, the server that answers leave by, and what looks into both."""

    def __init__(self, floor: ShopFloor, letters: Letters, post: Post, mailing: Mailing) -> None:
        self.floor, self.letters, self.post, self._mailing = floor, letters, post, mailing

    def look(self) -> dict[str, int]:
        return dict(self._mailing.turn(self.floor.plant, self.floor.clock()))

    def gets(self, words: str, *, sender: str = "li@customer.example", **headers: str) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = f"Li <{sender}>", OWN, "液压泵漏油"
        mail["Message-ID"] = f"<{len(self.letters.mails)}@customer.example>"
        mail.set_content(words)
        for name, value in headers.items():
            del mail[name]
            mail[name.replace("_", "-")] = value
        self.letters.put(mail.as_bytes())
        return mail

    def tickets(self) -> list[int | None]:
        with reading(self.floor.database) as conn:
            return [one.ticket for one in reports.newest(conn)]


@pytest.fixture
def office(floor: ShopFloor, tmp_path: Path) -> Iterator[Office]:
    letters, post = Letters("requests", "open sesame"), Post()
    controller = Controller(post, hostname="127.0.0.1", port=free_port())
    (tmp_path / "password").write_text("open sesame")
    (tmp_path / "password").chmod(0o600)
    controller.start()
    try:
        with fake.served(letters) as port:
            inbox = {"host": "127.0.0.1", "port": port, "security": "none", "user": "requests"}
            inbox["password"] = {"file": str(tmp_path / "password")}
            out = {"host": "127.0.0.1", "port": controller.port}
            given = Parameters.model_validate({**out, "security": "none", "sender": OWN, "inbox": inbox})
            say = lambda answer: words_of_answer(answer, "Wuxi")  # noqa: E731
            mailing = Mailing(given, floor.tickets, floor.context.photos, say)
            yield Office(floor, letters, post, mailing)
    finally:
        controller.stop()


def test_a_mail_with_photo_and_video_becomes_a_ticket_and_is_answered_once(office: Office) -> None:
    mail = office.gets("电话 13800138000，设备 L1-SPN-01")
    mail.add_attachment(image("JPEG", (400, 300)), "image", "jpeg", filename="a.jpg")
    mail.add_attachment(film(), "video", "mp4", filename="../../b.mp4")
    mail.add_attachment(b"MZ" * 9, "application", "octet-stream", filename="virus.exe")
    office.letters.mails[1] = mail.as_bytes()
    assert office.look() == {"taken": 1}
    assert (office.look(), office.letters.unread) == ({}, [])
    assert office.tickets() == [1]
    with reading(office.floor.database) as conn:
        found = {one.mime for one in attachments.of_ticket(conn, 1)}
        (told,) = reports.told(conn, 1)
    assert found == {"image/jpeg", "video/mp4"}
    assert told.text["description"] == "液压泵漏油\n电话 13800138000,设备 L1-SPN-01".replace(",", "，")
    assert told.text["reporter"] == "mailto:li@customer.example"
    (answer,) = office.post.sent
    assert b"Auto-Submitted: auto-replied" in answer
    assert b"In-Reply-To: <0@customer.example>" in answer


def test_a_mail_that_names_no_event_is_asked_and_its_answer_goes_on(office: Office) -> None:
    office.gets("泵坏了")
    assert office.look() == {"ask_id": 1}
    office.gets("13800138000\n\n在 2026年3月12日 Andon 写道：\n> 请回复设备序列号", Subject="Re: 液压泵漏油")
    assert office.look() == {"taken": 1}
    with reading(office.floor.database) as conn:
        assert reports.told(conn, 1)[0].text["description"] == "液压泵漏油\n泵坏了"
        assert talks.talks(conn) == []


MACHINES: tuple[tuple[dict[str, str], str], ...] = (
    ({"Auto_Submitted": "auto-replied"}, "automatic"),
    ({"X_Autoreply": "yes"}, "automatic"),
    ({"Precedence": "bulk"}, "bulk"),
    ({"List_Id": "<news.example>"}, "list"),
    ({"Return_Path": "<>"}, "bounce"),
    ({"X_Andon_Key": "A-1/opened"}, "own"),
    ({"From": OWN}, "own"),
    ({"From": "MAILER-DAEMON@x.example"}, "bounce"),
    ({"From": "nobody"}, "no_sender"),
)


def test_a_machine_is_never_answered_and_opens_nothing(office: Office) -> None:
    for headers, why in MACHINES:
        office.gets("I am away, call 13800138000", **headers)
        assert office.look() == {why: 1}
    assert (office.tickets(), office.post.sent, office.letters.unread) == ([], [], [])


def test_a_mail_that_could_not_be_answered_is_answered_later_and_taken_once(office: Office) -> None:
    office.gets("13800138000 漏油")
    office.post.refuses = "451 try again later"
    assert office.look() == {"unanswered": 1}
    assert (office.tickets(), office.letters.unread) == ([1], [1])
    office.post.refuses = ""
    assert office.look() == {"taken": 1}
    assert (office.tickets(), office.letters.unread, len(office.post.sent)) == ([1], [], 1)


def test_somebody_who_writes_without_end_waits_and_loses_nothing(office: Office) -> None:
    for n in range(MOST + 2):
        office.gets(f"{n} 13800138000 漏油")
    assert office.look() == {"taken": MOST, "too_many": 2}
    office.floor.clock.now_ns += HOUR_NS
    assert office.look() == {"taken": 2}
    assert len(office.tickets()) == MOST + 2


BROKEN = (
    b"",
    b"\xff\xfe\x00" * 100,
    b"From: a@b.cn\r\nContent-Type: multipart/mixed; boundary=\r\n\r\n--\r\n",
    b"From: a@b.cn\r\nContent-Type: text/plain; charset=no-such\r\nSubject: =?x?b?////?=\r\n\r\n\xff 13800138000",
    b"From: =?utf-8?b?%%%?= <a@b.cn>\r\nMessage-ID: " + b"x" * 4000 + b"\r\n\r\n<b",
    b"From: a@b.cn\r\nContent-Type: text/html\r\n\r\n<script>x</script><p>leak<div>13800138000",
)


def test_broken_mails_end_somewhere_and_hold_up_nobody(office: Office) -> None:
    for body in BROKEN:
        office.letters.put(body)
    office.gets("13800138000 漏油", sender="wang@customer.example")
    assert sum(office.look().values()) == len(BROKEN) + 1
    assert office.letters.unread == []
    assert 1 in office.tickets()


def test_a_mailbox_that_is_away_says_so_and_not_its_password(office: Office) -> None:
    office.letters.refuses = True
    with pytest.raises(MailboxAway) as away:
        office.look()
    assert "open sesame" not in str(away.value)
