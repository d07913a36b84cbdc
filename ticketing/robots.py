"""What the three chat robots share: an address that is a secret, and answers whose success stands in the body.

Each answers 200 to everything and says in a code what became of the message. A pace that is too fast, and a
service that is busy, are tried again; so is what a person has to mend at the robot (key, signature, keyword), for
the messages are good and are wanted once it is mended; only content that is refused is given up at once.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from pydantic import Field

from andon.config import ConfigError, Secret
from andon.events import Json
from andon.ports import Message, NotifyError
from ticketing.posting import Reach, judged, post
from ticketing.sql import to_json

PAUSE_S = 60.0
"""All three count their limits by the minute."""


class Robot(Reach):
    """The robot's address holds its key, so it is a secret as a whole."""

    url: Secret = Field(description="the address that the chat shows for the robot; it is a secret")
    keyword: str = Field(default="", description="the word that the robot's settings ask for, if they do")


def address(robot: Robot) -> str:
    """The robot's address; ConfigError if it is none."""
    url = robot.url.read()
    if not url.startswith(("https://", "http://")):
        raise ConfigError("what the secret holds is no address of a robot; copy it whole, https:// included")
    return url


def sign(key: str, signed: str) -> str:
    """HMAC-SHA256 in base64: how DingTalk and Feishu sign, each with its own idea of what is key and what is signed."""
    return base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()).decode()


@dataclass(frozen=True, slots=True)
class Codes:
    """Where an answer's code stands, which codes are a pace that is too fast, and which are the message's fault."""

    field: tuple[str, ...]
    too_fast: frozenset[int]
    bad: frozenset[int]


def tell(robot: Robot, url: str, document: Json, codes: Codes) -> str:
    """Post it and judge the answer by its code: 0 is success."""
    body = to_json(document).encode()
    answer = post(robot, url, body, {"Content-Type": "application/json; charset=utf-8"})
    try:
        said = msgspec.json.decode(answer.head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = None
    found = (
        next((said[name] for name in codes.field if name in said), None) if isinstance(said, dict) else None
    )
    if not isinstance(found, int):
        judged(answer)
        raise NotifyError(f"an answer without a code: {answer}", permanent=False)
    if found == 0 and 200 <= answer.status < 300:
        return answer.head
    paused = found in codes.too_fast or answer.status == 429
    raise NotifyError(answer.head, permanent=found in codes.bad, wait_s=PAUSE_S if paused else None)


def markdown(message: Message, keyword: str, limit: int, mentions: str = "") -> str:
    """What is said, in every language of the channel, as the markdown that all three understand; at most `limit` bytes."""
    parts = [
        *([keyword] if keyword else []),
        *(
            "\n".join([f"**{_plain(said.title)}**", *(f"> {_plain(line)}" for line in said.lines)])
            for said in message.said
        ),
    ]
    text = "\n\n".join(parts)
    room = limit - len(mentions.encode())
    cut = text.encode()[:room].decode("utf-8", "ignore") if len(text.encode()) > room else text
    return cut + mentions


def title(message: Message) -> str:
    """The one line that a list of chats shows."""
    return message.said[0].title if message.said else message.ticket


def _plain(text: str) -> str:
    """Text from machines and people cannot become markup, nor call anybody."""
    return text.translate(_ESCAPED)


_ESCAPED: Mapping[int, str] = str.maketrans(
    {"<": "＜", ">": "＞", "*": "＊", "[": "［", "]": "］", "@": "＠"}
)
