"""A robot in a WeCom (企业微信) group: markdown, with the people that a message names called by their user id.

At the nodes of the work it is a card with the place, and the floor plan follows as a picture (rule 71).
20 messages a minute for each robot (45009 beyond that), 4096 bytes of markdown, pictures of up to 2 MB.
Source: developer.work.weixin.qq.com, 群机器人配置说明 (path 91770) and 全局错误码.
"""

import base64
import hashlib

from andon.events import Json
from andon.ports import Message, NotifyError
from ticketing.robots import Codes, Robot, address, markdown, tell
from ticketing.subscriptions import Audience

CODES = Codes(
    ("errcode",),
    too_fast=frozenset({45009, 45033, -1}),  # called too often; too many at once; the system is busy
    bad=frozenset({40058, 44004, 45002}),  # a wrong parameter, empty or too long content
)
LIMIT = 4096


class Parameters(Robot):
    """The robot's address; `people` holds WeCom user ids."""


class Notifier:
    """One message into the group."""

    kind = "wecom"
    audience = Audience.GROUP
    shows_plan = True

    def __init__(self, parameters: Parameters) -> None:
        self._robot, self._url = parameters, address(parameters)

    def send(self, message: Message, now_ns: int) -> str:  # noqa: ARG002 - nothing of it is signed
        """Post it; the answer's errcode decides."""
        mentions = "".join(f"<@{who}>" for who in message.addresses)
        if (card := card_of(message)) is not None:
            said = tell(self._robot, self._url, {"msgtype": "template_card", "template_card": card}, CODES)
            called = [self._call(mentions)] if mentions else []
            return "; ".join([said, *called, *(self._show(picture) for picture in message.pictures)])
        text = markdown(message, self._robot.keyword, LIMIT, f"\n{mentions}" if mentions else "")
        document = {"msgtype": "markdown", "markdown": {"content": text}}
        said = tell(self._robot, self._url, document, CODES)
        return "; ".join([said, *(self._show(picture) for picture in message.pictures)])

    def _call(self, mentions: str) -> str:
        """A card calls nobody: who is named is called by a line of its own."""
        try:
            return tell(
                self._robot, self._url, {"msgtype": "markdown", "markdown": {"content": mentions}}, CODES
            )
        except NotifyError as error:
            return f"mention: {error}"

    def _show(self, picture: bytes) -> str:
        """A photo is a message of its own. One that is refused is noted, no more: the text has arrived and is not said again."""
        image = {
            "base64": base64.b64encode(picture).decode(),
            "md5": hashlib.md5(picture, usedforsecurity=False).hexdigest(),
        }
        try:
            return tell(self._robot, self._url, {"msgtype": "image", "image": image}, CODES)
        except NotifyError as error:
            return f"picture: {error}"


def card_of(message: Message) -> Json | None:
    """The card of a node of the work (rule 71): what, where, who, how far, a touch from the ticket; None where it is no node.

    A card has to lead somewhere: without a link to the console there is none. Lengths are what phones show whole.
    """
    said = message.said[0] if message.said else None
    if said is None or not said.facts or not said.lines[-1].startswith(("https://", "http://")):
        return None
    go = {"type": 1, "url": said.lines[-1]}
    return {
        "card_type": "text_notice",
        "source": {"desc": "Andon"},
        "main_title": {"title": said.lines[0][:36], "desc": said.title[:44]},
        "horizontal_content_list": [{"keyname": name[:5], "value": value[:30]} for name, value in said.facts][
            :6
        ],
        "jump_list": [{**go, "title": message.ticket}],
        "card_action": go,
    }
