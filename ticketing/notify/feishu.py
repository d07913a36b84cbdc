r"""A robot in a Feishu (飞书) group: a signed card, with the people that a message names called by their open id.

100 messages a minute and 5 a second for each robot (11232 beyond that), 20 KB a message. The signature is
HMAC-SHA256 of nothing under the key `timestamp\nsecret` (seconds), valid for an hour.
Source: open.feishu.cn, 自定义机器人使用指南.
"""

from pydantic import Field

from andon.config import Secret
from andon.events import SECOND_NS, Json
from andon.ports import Message
from ticketing.robots import Codes, Robot, address, markdown, sign, tell, title
from ticketing.subscriptions import Audience

CODES = Codes(
    ("code", "StatusCode"),
    too_fast=frozenset({11232, 11233, 2200}),  # limits of the service and of the group; an internal error
    bad=frozenset({9499, 10208}),  # a body that it cannot read
)
LIMIT = 16_000
COLOURS = {"critical": "red", "high": "orange", "medium": "yellow", "low": "blue"}


class Parameters(Robot):
    """The robot's address and, if it asks for signatures, its secret; `people` holds open ids (`ou_…`)."""

    sign: Secret | None = Field(default=None, description="the secret of the robot's signature check")


class Notifier:
    """One card into the group."""

    kind = "feishu"
    audience = Audience.GROUP

    def __init__(self, parameters: Parameters) -> None:
        self._robot, self._url = parameters, address(parameters)
        self._secret = parameters.sign.read() if parameters.sign else None

    def send(self, message: Message, now_ns: int) -> str:
        """Post it; the answer's code decides."""
        mentions = "".join(f"<at id={who}></at>" for who in message.addresses)
        text = markdown(message, self._robot.keyword, LIMIT, f"\n{mentions}" if mentions else "")
        document: dict[str, Json] = {
            "msg_type": "interactive",
            "card": {
                "header": {
                    "title": {"tag": "plain_text", "content": title(message)},
                    "template": COLOURS.get(str(message.content.get("priority")), "blue"),
                },
                "elements": [{"tag": "markdown", "content": text}],
            },
        }
        if self._secret is not None:
            at_s = now_ns // SECOND_NS
            document |= {"timestamp": str(at_s), "sign": sign(f"{at_s}\n{self._secret}", "")}
        return tell(self._robot, self._url, document, CODES)
