"""Text messages through any provider with an HTTP gateway, by a template: one call per number.

Numbers never stand in a log, an error or a receipt: `138****5678`.
"""

import re
from collections.abc import Mapping

import msgspec
from pydantic import Field, field_validator

from andon.config import Secret
from andon.ports import Message, NotifyError
from ticketing.posting import Reach, field_of, judged, post
from ticketing.subscriptions import Audience

_PLACE = re.compile(r"\{(phone|text|id)\}")
_NUMBER = re.compile(r"(\+?\d{3})\d{4,}(\d{4})")


class Parameters(Reach):
    """The gateway, what it is sent, and how it says that it took it; `people` holds phone numbers."""

    url: Secret = Field(description="the gateway's address; it often holds a key, so it is a secret")
    body: str = Field(
        default='{"phone": "{phone}", "text": "{text}", "id": "{id}"}',
        description="what is posted; {phone}, {text} and {id} are filled in, escaped as in JSON",
    )
    content_type: str = Field(default="application/json", description="what the body is")
    token: Secret | None = Field(default=None, description="sent as `Authorization: Bearer …`")
    success: str = Field(
        default="", description="`field.of.answer=value` that means taken; empty: 2xx is enough"
    )
    limit: int = Field(default=140, ge=40, le=1000, description="characters of text; the rest is cut off")

    @field_validator("body")
    @classmethod
    def _names_both(cls, body: str) -> str:
        if not {"phone", "text"} <= set(_PLACE.findall(body)):
            raise ValueError("it has to hold {phone} and {text}")
        return body


class Notifier:
    """One message to one number."""

    kind = "http_sms"
    audience = Audience.PERSON

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._url = parameters.url.read()
        self._token = parameters.token.read() if parameters.token else None

    def send(self, message: Message, now_ns: int) -> str:  # noqa: ARG002 - gateways have a clock of their own
        """Post it; NotifyError says what the gateway answered, numbers masked."""
        if not message.addresses:
            raise NotifyError("there is no number for this person under people", permanent=True)
        text = " / ".join([one for said in message.said for one in (said.title, *said.lines[:1])])
        filled = {"phone": message.addresses[0], "text": text[: self._parameters.limit], "id": message.key}
        body = _PLACE.sub(lambda found: _escaped(filled[found[1]]), self._parameters.body)
        headers = {"Content-Type": self._parameters.content_type}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            answer = post(self._parameters, self._url, body.encode(), headers)
            judged(answer)
            self._check(answer.head)
        except NotifyError as error:
            raise NotifyError(masked(str(error)), permanent=error.permanent, wait_s=error.wait_s) from None
        return masked(str(answer))

    def _check(self, head: str) -> None:
        path, _, wanted = self._parameters.success.partition("=")
        if not path:
            return
        try:
            said = msgspec.json.decode(head)
        except (msgspec.DecodeError, UnicodeDecodeError):
            said = None
        found = field_of(said, path.split(".")) if isinstance(said, Mapping) else None
        if str(found) != wanted:
            raise NotifyError(f"{path} is {found}, not {wanted}: {head}", permanent=False)


def masked(text: str) -> str:
    """Text with the middle of every number that could be a telephone's taken out.

    >>> masked("sent to 13812345678 and +8613812345678")
    'sent to 138****5678 and +861****5678'
    """
    return _NUMBER.sub(r"\1****\2", text)


def _escaped(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]
