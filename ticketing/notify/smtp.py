"""E-mail through the plant's own mail server: one message per person, every language in it, as text and as HTML.

Whoever reported by e-mail is told at the address that they wrote from, without being listed under `people`.

The Message-ID comes from the key, so that a mail that was sent twice is one mail to whoever looks. Without
encryption it goes to this machine only. Source: RFC 5321, RFC 5322, RFC 3207.
"""

import hashlib
import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from andon.config import Secret, is_loopback
from andon.events import SECOND_NS
from andon.ports import Message, NotifyError
from ticketing.subscriptions import Audience


class Inbox(BaseModel):
    """The mailbox that people write their requests to (IMAP); what is unread in it is taken in and marked as read."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field(description="the IMAP server")
    port: int = Field(default=993, ge=1, le=65535, description="993 with TLS, 143 with STARTTLS")
    security: Literal["starttls", "tls", "none"] = Field(
        default="tls", description="none only to this machine"
    )
    user: str = Field(description="login")
    password: Secret = Field(description="its password")
    folder: str = Field(default="INBOX", description="the folder that is looked into")
    poll_s: float = Field(default=30.0, ge=1, le=3600, description="s; how often it is looked into")
    size_max_mb: int = Field(default=40, ge=1, le=200, description="MiB of a mail that are read at most")
    type: str = Field(default="", description="the type of ticket that mails open; empty: by channel")
    timeout_s: float = Field(default=30.0, gt=0, le=120, description="s; one step of the conversation")

    @model_validator(mode="after")
    def _private(self) -> Self:
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError(f"the password for {self.host} would leave this machine in the clear; use tls")
        return self


class Parameters(BaseModel):
    """The mail server and how to sign in; `people` holds e-mail addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field(description="the mail server")
    port: int = Field(default=587, ge=1, le=65535, description="587 with STARTTLS, 465 with TLS")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="none only to this machine"
    )
    sender: str = Field(pattern=r"^[^\s@<>]+@[^\s@<>]+$", description="the address that mails come from")
    user: str | None = Field(default=None, description="login, if the server asks for one")
    password: Secret | None = Field(default=None, description="its password")
    ca: Path | None = Field(default=None, description="PEM file: who signed the server's certificate")
    timeout_s: float = Field(default=20.0, gt=0, le=120, description="s; one step of the conversation")
    inbox: Inbox | None = Field(
        default=None, description="where mails of requesters arrive, if they are taken in"
    )

    @model_validator(mode="after")
    def _private(self) -> Self:
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError(
                f"mail to {self.host} would leave this machine in the clear; use starttls or tls"
            )
        if (self.user is None) != (self.password is None):
            raise ValueError("give user and password, or neither")
        return self


class Notifier:
    """One conversation with the server per mail: they are few, and none is left open."""

    kind = "smtp"
    audience = Audience.PERSON
    scheme = "mailto:"

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._password = parameters.password.read() if parameters.password else ""
        if parameters.inbox is not None:
            parameters.inbox.password.read()  # refused at the start, not at the first mail
        self._trust = ssl.create_default_context(cafile=str(parameters.ca) if parameters.ca else None)

    @property
    def sender(self) -> str:
        """The address that mails come from."""
        return self._parameters.sender

    def send(self, message: Message, now_ns: int) -> str:
        """Send it; NotifyError is permanent where the server refuses this mail or this receiver for good."""
        if not message.addresses:
            raise NotifyError("there is no address for this person under people", permanent=True)
        try:
            mail = written(message, self._parameters.sender, now_ns)
        except ValueError as error:
            raise NotifyError(f"no mail can be made of it: {error}", permanent=True) from error
        return self.post(mail)

    def post(self, mail: EmailMessage) -> str:
        """Hand a mail to the server; NotifyError as `send`."""
        try:
            with self._connected() as server:
                server.send_message(mail)
                return f"250 {mail['Message-ID']}"
        except smtplib.SMTPAuthenticationError as error:
            raise NotifyError(_said(error), permanent=False) from error
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            raise NotifyError(_said(error), permanent=_code(error) >= 500) from error
        except (smtplib.SMTPException, OSError) as error:
            raise NotifyError(f"{type(error).__name__}: {error}", permanent=False) from error

    def _connected(self) -> smtplib.SMTP:
        given = self._parameters
        if given.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                given.host, given.port, timeout=given.timeout_s, context=self._trust
            )
        else:
            server = smtplib.SMTP(given.host, given.port, timeout=given.timeout_s)
        try:
            if given.security == "starttls":
                server.starttls(
                    context=self._trust
                )  # SMTPNotSupportedError if it is not offered: never in the clear
            if given.user is not None:
                server.login(given.user, self._password)
        except BaseException:
            server.close()
            raise
        return server


def written(message: Message, sender: str, now_ns: int) -> EmailMessage:
    """The mail: all languages one after the other, as text and as HTML."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = message.addresses[0]
    mail["Subject"] = " / ".join(" ".join(said.title.split()) for said in message.said)
    mail["Date"] = format_datetime(_moment(now_ns))
    name = hashlib.sha256(message.key.encode()).hexdigest()[:32]
    mail["Message-ID"] = f"<{name}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Andon-Key"] = message.key
    mail["X-Andon-Trace"] = message.trace_id
    mail.set_content("\n\n".join("\n".join([said.title, "", *said.lines]) for said in message.said))
    parts = [
        f'<section lang="{said.language}"><h3>{escape(said.title)}</h3>'
        + "".join(f"<p>{escape(line)}</p>" for line in said.lines)
        + "</section>"
        for said in message.said
    ]
    names = [f"{name}.{n}" for n in range(len(message.pictures))]
    parts += [f'<p><img src="cid:{one}" alt="" width="640"></p>' for one in names]
    mail.add_alternative(f'<!doctype html><meta charset="utf-8">{"<hr>".join(parts)}', subtype="html")
    page = mail.get_body(("html",))
    assert page is not None, "it was just added"  # noqa: S101
    for picture, one in zip(message.pictures, names, strict=True):
        page.add_related(
            picture, "image", "jpeg", cid=f"<{one}>", filename=f"{one}.jpg", disposition="inline"
        )
    return mail


def _moment(now_ns: int) -> datetime:
    return datetime.fromtimestamp(now_ns / SECOND_NS, UTC)


def _code(error: smtplib.SMTPException) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return min(code for code, _ in error.recipients.values())
    return int(getattr(error, "smtp_code", 0))


def _said(error: smtplib.SMTPException) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{code} {_text(text)}" for code, text in error.recipients.values())
    return f"{_code(error)} {_text(getattr(error, 'smtp_error', b''))}"


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
