r"""A robot in a DingTalk (钉钉) group: signed markdown, with the people that a message names called by mobile number.

20 messages a minute for each robot. The signature is HMAC-SHA256 of `timestamp\nsecret` (milliseconds) under the
secret, valid for an hour. Source: open.dingtalk.com, 自定义机器人接入 and its table of error codes.
"""

from urllib.parse import urlencode

from pydantic import Field

from andon.config import Secret
from andon.ports import Message
from ticketing.robots import Codes, Robot, address, markdown, sign, tell, title
from ticketing.subscriptions import Audience

CODES = Codes(
    ("errcode",),
    too_fast=frozenset(
        {410100, 130101, 90030, -1}
    ),  # sent too fast, in the words of three versions of the service; the system is busy
    bad=frozenset(
        {430101, 430102, 430103, 430104, 400105, 40035}
    ),  # content that is not let through; a kind of message or a parameter that it does not know
)
LIMIT = 20_000


class Parameters(Robot):
    """The robot's address and, if it asks for signatures, its secret; `people` holds mobile numbers."""

    sign: Secret | None = Field(default=None, description="the `SEC…` of the robot's security settings")


class Notifier:
    """One message into the group."""

    kind = "dingtalk"
    audience = Audience.GROUP

    def __init__(self, parameters: Parameters) -> None:
        self._robot, self._url = parameters, address(parameters)
        self._secret = parameters.sign.read() if parameters.sign else None

    def send(self, message: Message, now_ns: int) -> str:
        """Post it; the answer's errcode decides."""
        url = self._url
        if self._secret is not None:
            at_ms = now_ns // 1_000_000
            signature = sign(self._secret, f"{at_ms}\n{self._secret}")
            url += ("&" if "?" in url else "?") + urlencode({"timestamp": at_ms, "sign": signature})
        mentions = "".join(f" @{who}" for who in message.addresses)
        text = markdown(message, self._robot.keyword, LIMIT, f"\n\n{mentions}" if mentions else "")
        document = {
            "msgtype": "markdown",
            "markdown": {"title": title(message), "text": text},
            "at": {"atMobiles": list(message.addresses), "isAtAll": False},
        }
        return tell(self._robot, url, document, CODES)
