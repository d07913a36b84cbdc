"""Who may publish, and where: users with the scrypt hash of a password, or with a certificate of that name."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field, field_validator

_LOG_COST, _BLOCK, _PARALLEL = 14, 8, 1
"""16 MiB and some 50 ms (RFC 7914): devices come back by the hundred, so no more by default."""
_ANY, _CLIMBING = b"+", frozenset({b".", b".."})
_NO_NAME = frozenset({b"", b"$"})
_TOPIC_MAX = 512
_HASH = r"^scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)$"


class User(BaseModel):
    """One user of a listener; the name is its key in the table, or the CN of its certificate."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    password: str | None = Field(
        default=None,
        pattern=_HASH,
        repr=False,
        description="hash of the password, made by ingest.credentials.hash_password; none: by certificate only",
    )
    topics: tuple[str, ...] = Field(
        default=(),
        description="the only topics it may publish to, with all levels below them; `+` is any one level; "
        "empty: any topic",
    )

    @field_validator("topics")
    @classmethod
    def _are_topics(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            wrong = fault_of(topic)
            if wrong:
                raise ValueError(f"{topic!r} is no place to publish: {wrong}")
        return topics


def fault_of(topic: str) -> str:
    """Why a topic cannot be granted; empty if it can.

    >>> fault_of("acme/press7"), fault_of("acme/+/press7")
    ('', '')
    >>> fault_of("acme/press+")
    '+ stands for a whole level'
    """
    levels = topic.rstrip("/").split("/")
    if not topic.strip("/+"):
        return "give at least one level by its name"
    if not topic.isprintable() or len(topic) > _TOPIC_MAX:
        return f"it has to be printable and at most {_TOPIC_MAX} characters long"
    if "#" in topic:
        return "all levels below are meant without #"
    if any("+" in level and level != "+" for level in levels):
        return "+ stands for a whole level"
    if topic.startswith("$"):
        return "what begins with $ belongs to brokers"
    return "a level cannot be . or .." if _CLIMBING.intersection(level.encode() for level in levels) else ""


class Rights:
    """Where one user may publish."""

    def __init__(self, topics: Sequence[str]) -> None:
        granted = [topic.rstrip("/").encode() for topic in topics]
        self._anywhere = not granted
        self._whole = frozenset(topic for topic in granted if _ANY not in topic)
        self._below = tuple(topic + b"/" for topic in self._whole)
        self._open = [topic.split(b"/") for topic in granted if _ANY in topic]

    def allow(self, topic: bytes) -> bool:
        """Whether `topic` is one of the user's or below it, by whole levels.

        >>> rights = Rights(["andon/v1/m7", "acme/+/m7"])
        >>> rights.allow(b"andon/v1/m7/_event/stop"), rights.allow(b"andon/v1/m70/_event/stop")
        (True, False)
        >>> rights.allow(b"acme/east/m7/state"), rights.allow(b"acme/east/m7/../m8/state")
        (True, False)
        """
        if self._anywhere:
            return True
        if (b"/." in topic or topic[:1] == b".") and not _CLIMBING.isdisjoint(topic.split(b"/")):
            return False
        return (
            topic.startswith(self._below)
            or topic in self._whole
            or any(_fits(granted, topic) for granted in self._open)
        )


def _fits(granted: Sequence[bytes], topic: bytes) -> bool:
    """Whether the topic begins with these levels; `+` is one that has a name and is not a broker's own."""
    levels = topic.split(b"/", len(granted))
    return len(levels) >= len(granted) and all(
        one == level if one != _ANY else level[:1] not in _NO_NAME
        for one, level in zip(granted, levels, strict=False)
    )


def hash_password(password: str, *, log_cost: int = _LOG_COST) -> str:
    """The hash of a password as `scrypt$ln=14,r=8,p=1$salt$hash` (base64), with a new salt each time."""
    salt = secrets.token_bytes(16)
    derived = _scrypt(password.encode(), salt, log_cost, _BLOCK, _PARALLEL)
    parts = (base64.b64encode(part).decode() for part in (salt, derived))
    return "$".join((f"scrypt$ln={log_cost},r={_BLOCK},p={_PARALLEL}", *parts))


class Doorkeeper:
    """Tells who may come in. Checking a password is slow on purpose: `check` belongs on a thread.

    A password that was right once is known again at once, so that reconnecting costs nothing; what is kept of
    it is a MAC under a key that lives as long as the process.
    """

    def __init__(self, users: Mapping[str, User], *, anonymous: bool = False) -> None:
        self.users = users
        self.anonymous = anonymous
        self._key = secrets.token_bytes(32)
        self._known: set[bytes] = set()
        # An unknown user costs as much time as a known one, so that names cannot be found by the clock.
        self._stranger = hash_password(secrets.token_hex())

    def welcomes(self, user: str | None, password: bytes | None) -> bool:
        """Whether no check is needed: nobody has to say a name here, or this password was right before."""
        if user is None:
            return self.anonymous
        return password is not None and self._mac(user, password) in self._known

    def certifies(self, user: str) -> bool:
        """Whether a verified certificate of that name may come in."""
        return user in self.users

    def check(self, user: str | None, password: bytes | None) -> bool:
        """Whether user and password are right; takes some 50 ms and 16 MiB."""
        if user is None or password is None:
            return False
        known = self.users.get(user)
        stored = known.password if known is not None else None
        right = _matches(password, stored or self._stranger) and stored is not None
        if right:
            self._known.add(self._mac(user, password))
        return right

    def rights(self, user: str | None) -> Rights:
        """Where the user may publish."""
        known = self.users.get(user) if user is not None else None
        return Rights(known.topics if known is not None else ())

    def _mac(self, user: str, password: bytes) -> bytes:
        return hmac.digest(self._key, len(user).to_bytes(4, "big") + user.encode() + password, "sha256")


def _matches(password: bytes, stored: str) -> bool:
    found = re.match(_HASH, stored)
    if found is None:
        return False
    log_cost, block, parallel = (int(number) for number in found.groups()[:3])
    salt, derived = (base64.b64decode(part) for part in found.groups()[3:])
    return hmac.compare_digest(_scrypt(password, salt, log_cost, block, parallel), derived)


def _scrypt(password: bytes, salt: bytes, log_cost: int, block: int, parallel: int) -> bytes:
    cost = 1 << log_cost
    return hashlib.scrypt(
        password, salt=salt, n=cost, r=block, p=parallel, maxmem=129 * cost * block + (1 << 20), dklen=32
    )
