"""What a mail says as a request: who wrote it, their words without what they quoted, what came with it, and whether a machine wrote it.

A mail that a machine wrote is never answered, and opens nothing: two of them would answer one another for ever. Sources:
RFC 3834 (automatic responses), RFC 2919 and 2369 (lists), RFC 3464 (delivery reports), RFC 5322 3.6.4 (In-Reply-To).
"""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from email.utils import make_msgid, parseaddr
from hashlib import sha256
from html.parser import HTMLParser

KEY = "X-Andon-Key"
"""In every mail of ours."""
ADDRESS_MAX = 120
WORDS_MAX = 6000
_LOGO_BYTES = 8 * 1024
"""An inline picture below that is a logo in a signature."""
_AGAIN = re.compile(r"^\s*((re|aw|fwd?|回复|答复|转发)\s*[:：]\s*)+", re.IGNORECASE)
_QUOTED = re.compile(
    r"^\s*(>|-{2,}\s*(original message|原始邮件|转发的邮件)|on .{4,120} wrote:\s*$|在.{4,120}写道[:：]\s*$|发件人[:：]|from:\s)",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(r"^-- ?$")
_BULK = frozenset({"bulk", "junk", "list", "auto_reply"})
_DAEMONS = ("mailer-daemon@", "postmaster@", "no-reply@", "noreply@", "do-not-reply@", "donotreply@")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as a request; `machine` says by what sign a machine wrote it, empty if a person did."""

    id: str
    sender: str
    subject: str
    words: str
    files: tuple[bytes, ...]
    machine: str


def read(body: bytes, own: str) -> Mail:
    r"""The mail in these bytes, however broken; `own` is the address that we send from.

    >>> read(b"From: Li <li@x.cn>\r\nSubject: Re: P-101\r\n\r\nleaks\r\n> what did you say?", "a@b.cn").words
    'leaks'
    """
    mail = message_from_bytes(body, policy=policy.default)
    assert isinstance(mail, EmailMessage)  # noqa: S101 - that is what the policy makes
    sender = parseaddr(_header(mail, "From"))[1].strip().lower()
    subject = " ".join(_header(mail, "Subject").split())
    said = _said(_text(mail))
    words = said if _AGAIN.match(subject) or not subject else f"{subject}\n{said}".strip()
    return Mail(
        id=(_header(mail, "Message-ID").strip() or f"<{sha256(body).hexdigest()}>")[:250],
        sender=sender,
        subject=subject,
        words=words[:WORDS_MAX],
        files=tuple(_files(mail)),
        machine=_machine(mail, sender, own.lower()),
    )


def reply(mail: Mail, own: str, words: str) -> EmailMessage:
    """An answer to that mail, marked so that no machine answers it in turn."""
    answer = EmailMessage()
    answer["From"], answer["To"] = own, mail.sender
    answer["Subject"] = f"Re: {_AGAIN.sub('', mail.subject)}".strip()
    answer["Message-ID"] = make_msgid(domain=own.rpartition("@")[2])
    if re.fullmatch(r"<[^<>\s]{3,240}>", mail.id):
        answer["In-Reply-To"] = answer["References"] = mail.id
    answer["Auto-Submitted"] = "auto-replied"
    answer[KEY] = f"reply/{sha256(mail.id.encode()).hexdigest()[:32]}"
    answer.set_content(words)
    return answer


def _machine(mail: EmailMessage, sender: str, own: str) -> str:
    """By what sign a machine wrote it."""
    signs = (
        ("no_sender", "@" not in sender or len(sender) > ADDRESS_MAX),
        ("own", sender == own or KEY in mail),
        ("automatic", _header(mail, "Auto-Submitted").strip().lower() not in {"", "no"}),
        ("automatic", any(name in mail for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Reply"))),
        ("bulk", _header(mail, "Precedence").strip().lower() in _BULK),
        ("list", any(name in mail for name in ("List-Id", "List-Unsubscribe", "List-Post"))),
        ("bounce", _header(mail, "Return-Path").strip() == "<>" or sender.startswith(_DAEMONS)),
        ("bounce", mail.get_content_type() == "multipart/report"),
    )
    return next((name for name, is_so in signs if is_so), "")


def _header(mail: EmailMessage, name: str) -> str:
    """A header as text; one that cannot be read is as good as none."""
    try:
        return str(mail[name] or "")
    except (
        ValueError,
        LookupError,
        AttributeError,
        IndexError,
        TypeError,
    ):  # what the parser raises at broken ones
        return ""


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain", "html"))
    if body is None:
        return ""
    text = _content(body)
    if body.get_content_type() != "text/html":
        return text
    reader = _Html()
    reader.feed(text)
    reader.close()
    return "".join(reader.found)


def _content(part: MIMEPart) -> str:
    """Text of a part, whatever it says of its encoding."""
    try:
        return str(part.get_content())
    except (LookupError, ValueError, KeyError):
        raw = part.get_payload(decode=True)
        return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""


def _said(text: str) -> str:
    """The words that the mail adds: up to what it quotes, and without a signature."""
    lines = []
    for line in text.splitlines():
        if _QUOTED.match(line) or _SIGNATURE.match(line):
            break
        lines.append(line.rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _files(mail: EmailMessage) -> list[bytes]:
    """Bytes of the photos, videos and recordings; logos in signatures are left out."""
    found = []
    for part in mail.walk():
        if part.get_content_maintype() not in {"image", "video", "audio"}:
            continue
        raw = part.get_payload(decode=True)
        inline = part.get_content_disposition() != "attachment"
        if isinstance(raw, bytes) and raw and not (inline and len(raw) < _LOGO_BYTES):
            found.append(raw)
    return found


class _Html(HTMLParser):
    """The text of a page, a line for each block; scripts and styles are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the library's signature
        if tag in {"script", "style", "title"}:
            self._silent += 1
        if tag in {"br", "p", "div", "tr", "li"}:
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style", "title"}:
            self._silent = max(0, self._silent - 1)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)
