"""A WeChat official account (微信公众号): template messages to those who follow it, with a link to the ticket.

Whoever reported by WeChat is told on the account that they wrote to, without being listed under `people`. What comes in
by the same account is heard at /wechat/NAME (`api/wechat.py`). Source: developers.weixin.qq.com, 模板消息接口: `thing`
takes 20 characters, `character_string` 32, `phrase` 5.
"""

import hashlib
from collections.abc import Mapping

from pydantic import Field, field_validator

from andon.ports import Message, NotifyError
from ticketing.requests.wechat_api import Reached, Server
from ticketing.subscriptions import Audience

SCHEME = "wechat:"
_PLACES = ("title", "number", "news", "machine", "time", "more")
_FIELDS = {"thing1": "{title}", "character_string2": "{number}", "thing3": "{news}", "thing4": "{more}"}
"""Where the configuration names none."""
_ROOM = {"thing": 20, "character_string": 32, "phrase": 5}
_MOST = 200


class Parameters(Reached):
    """The account and its template; `people` holds the openids of followers."""

    type: str = Field(default="", description="the type of ticket that messages open; empty: by channel")
    template: str = Field(
        default="", description="the id of the template that messages are sent by; empty: none are"
    )
    fields: dict[str, str] = Field(
        default={},
        description="field of the template -> what stands in it: {title} {number} {news} {machine} {time} {more}",
    )

    @field_validator("fields")
    @classmethod
    def _known(cls, fields: dict[str, str]) -> dict[str, str]:
        for name, text in fields.items():
            try:
                text.format(**dict.fromkeys(_PLACES, ""))
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"{name}: {text!r} holds a place that there is not") from error
        return fields


class Notifier:
    """One template message to one follower."""

    kind = "wechat"
    audience = Audience.PERSON
    scheme = SCHEME

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._server = Server(parameters)
        parameters.account("")  # the secrets of what comes in are there, too

    def send(self, message: Message, now_ns: int) -> str:
        """Send it; NotifyError is permanent where the follower or the template is refused."""
        if not message.addresses:
            raise NotifyError("there is no openid for this person under people", permanent=True)
        if not self._parameters.template:
            raise NotifyError("there is no template: messages cannot be sent by this account", permanent=True)
        document = {
            "touser": message.addresses[0],
            "template_id": self._parameters.template,
            "client_msg_id": hashlib.sha256(message.key.encode()).hexdigest()[:32],
            "data": {name: {"value": value} for name, value in self._values(message).items()},
        }
        if message.said and (link := message.said[0].lines[-1]).startswith(("https://", "http://")):
            document["url"] = link
        said = self._server.tell("/cgi-bin/message/template/send", document, now_ns)
        return f"msgid {said.get('msgid', '')}"

    def _values(self, message: Message) -> Mapping[str, str]:
        said = message.said[0] if message.said else None
        lines = [line for line in said.lines if not line.startswith(("https://", "http://"))] if said else []
        content = message.content
        known = {
            "title": said.title if said else message.ticket,
            "number": message.ticket,
            "news": lines[0] if lines else "",
            "machine": str(content.get("asset_name_zh") or content.get("asset_name") or ""),
            "time": lines[1] if len(lines) > 1 else "",
            "more": lines[2] if len(lines) > 2 else "",
        }
        fields = self._parameters.fields or _FIELDS
        return {name: _fit(name, text.format(**known)) for name, text in fields.items()}


def _fit(name: str, text: str) -> str:
    """Text in the room that a field of that name has; an empty one would be refused.

    >>> _fit("thing1", "主轴振动超限，请尽快到现场处理，谢谢大家配合"), _fit("phrase2", "")
    ('主轴振动超限，请尽快到现场处理，谢谢大…', '-')
    """
    room = _ROOM.get(name.rstrip("0123456789"), _MOST)
    plain = " ".join(text.split()) or "-"
    return plain if len(plain) <= room else plain[: room - 1] + "…"
