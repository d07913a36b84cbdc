"""What we say to the plant as a Sparkplug host: nothing, unless we are asked to.

Rebirth is the one write towards the plant, and a host that asks every node at once makes a storm of births: so each
edge node is asked at most once in a while, and all of them together no more than a few times a minute.
"""

import json
import logging
import math
import time
from collections import deque
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from andon.clock import Now

_log = logging.getLogger(__name__)
_MS = 1_000_000
_MINUTE_S, _HOUR_S = 60.0, 3600.0
_ANSWER_S = 1.0
"""Two hosts of one name would answer each other for ever: we answer once a second."""
NAMESPACE = "spBv1.0"
Said = tuple[str, bytes]
"""A topic and a payload to publish."""


class HostRole(BaseModel):
    """What we are for the Sparkplug edge nodes behind this source."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    role: Literal["passive", "primary"] = Field(
        default="passive",
        description="primary: say that we are here, and ask for births; passive: only listen",
    )
    host_id: str = Field(
        default="andon",
        pattern=r"^[^/+#\x00]{1,100}$",
        description="the name of this host in its STATE topic",
    )
    rebirth: bool = Field(default=False, description="passive: ask for births that are missing all the same")
    rebirth_every_s: float = Field(
        default=60.0, ge=1, le=86_400, description="seconds between two births asked of one edge node"
    )
    rebirths_per_minute: int = Field(
        default=30, ge=1, le=10_000, description="births asked of all edge nodes together"
    )

    @property
    def asks(self) -> bool:
        """Whether we ask for births."""
        return self.rebirth or self.role == "primary"


class Voice:
    """Everything we say on one source, and how often."""

    def __init__(self, role: HostRole, now: Now) -> None:
        self._role, self._now = role, now
        self._since_ms = 0
        self._answered_s = -math.inf
        self._contradicted = False
        self._asked: dict[str, float] = {}
        self._lately: deque[float] = deque()
        self.rebirths = 0

    def now_of(self, role: HostRole) -> None:
        """Go on as another host; what was asked lately is remembered."""
        self._role = role

    @property
    def is_primary(self) -> bool:
        """Whether we say that we are here."""
        return self._role.role == "primary"

    @property
    def topic(self) -> str:
        """Where we say it."""
        return f"{NAMESPACE}/STATE/{self._role.host_id}"

    def begin(self) -> Said:
        """A new session: what the broker says for us when it ends without a word."""
        self._since_ms = max(self._since_ms + 1, self._now() // _MS)
        return self.state(online=False)

    def state(self, *, online: bool) -> Said:
        """Whether we are here, with the time of this session: a will that comes late is older than the next one."""
        return self.topic, json.dumps({"online": online, "timestamp": self._since_ms}).encode()

    def hear(self, body: bytes) -> None:
        """Take word of our own state."""
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        self._contradicted = not (isinstance(said, dict) and said.get("online") is True)

    def answer(self) -> Said | None:
        """What to say where somebody has said for us that we are not here; None if it is not time for it."""
        at_s = time.monotonic()
        if not self._contradicted or at_s - self._answered_s < _ANSWER_S:
            return None
        self._contradicted, self._answered_s = False, at_s
        return self.state(online=True)

    def rebirth(self, edge: str) -> Said | None:
        """The command that asks an edge node (`group/edge`) for its births; None if we do not ask, or asked lately."""
        group, slash, node = edge.partition("/")
        at_s = time.monotonic()
        if not (self._role.asks and slash) or self._asked_lately(edge, at_s):
            return None
        self._asked[edge] = at_s
        self._lately.append(at_s)
        self.rebirths += 1
        _log.warning("a Sparkplug edge node is asked for its births", extra={"edge": edge})
        return f"{NAMESPACE}/{group}/NCMD/{node}", rebirth_command(self._now() // _MS)

    def _asked_lately(self, edge: str, at_s: float) -> bool:
        """Whether it is too early. Who was asked within the hour has half of what all may: none waits for those for ever."""
        every_s, most = self._role.rebirth_every_s, self._role.rebirths_per_minute
        while self._lately and at_s - self._lately[0] >= _MINUTE_S:
            self._lately.popleft()
        remembered_s = max(every_s, _HOUR_S)
        self._asked = {name: s for name, s in self._asked.items() if at_s - s < remembered_s}
        if edge not in self._asked:
            return len(self._lately) >= most
        return at_s - self._asked[edge] < every_s or len(self._lately) >= max(1, most // 2)


def rebirth_command(at_ms: int) -> bytes:
    """The payload of NCMD `Node Control/Rebirth` = true.

    >>> rebirth_command(1).hex()
    '0801121c0a144e6f646520436f6e74726f6c2f526562697274681801200b7001'
    """
    name = b"Node Control/Rebirth"
    when = _number(at_ms)
    metric = b"\x0a" + _number(len(name)) + name + b"\x18" + when + b"\x20\x0b\x70\x01"
    return b"\x08" + when + b"\x12" + _number(len(metric)) + metric


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
