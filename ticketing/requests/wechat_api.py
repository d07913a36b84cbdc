"""What is asked of WeChat's servers for an official account: an access token, the media of a message, a template message.

The token is the stable one: asking for it again gives the same, so that two processes of ours never take it from each
other. It ends after two hours, or when somebody has another made: whoever is told so asks once more. Source: developers.weixin.qq.com, 获取稳定版接口调用凭据, 获取临时素材, 发送模板消息.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import msgspec
from pydantic import Field, field_validator

from andon.config import ConfigError, Secret, is_loopback
from andon.events import SECOND_NS, Json
from andon.ports import NotifyError
from ticketing.posting import Answer, Reach, judged, post
from ticketing.requests.wechat_wire import Account, key_of
from ticketing.sql import to_json

STALE = frozenset({40001, 40014, 42001})
"""The access token is wrong or has ended."""
TOO_FAST = frozenset({45009, 45011, -1})
_EARLY_S = 120
_PLAIN = {"Accept-Encoding": "identity"}
_JSON = {"Content-Type": "application/json; charset=utf-8", **_PLAIN}


class Reached(Reach):
    """The account, its secrets, and where WeChat's servers are."""

    app_id: str = Field(pattern=r"^[A-Za-z0-9_-]{4,64}$", description="the account's AppID")
    secret: Secret = Field(description="its AppSecret")
    token: Secret = Field(description="the Token that its callbacks are signed with")
    aes_key: Secret | None = Field(
        default=None, description="its EncodingAESKey: with it only sealed callbacks are taken (secure mode)"
    )
    api: str = Field(default="https://api.weixin.qq.com", description="WeChat's servers, or a proxy to them")

    @field_validator("api")
    @classmethod
    def _private(cls, api: str) -> str:
        parts = urlsplit(api)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise ValueError(f"{api}: use https; http goes to this machine alone")
        return api.rstrip("/")

    def account(self, name: str) -> Account:
        """What its callbacks are checked with; ConfigError if a secret is not there, or is none."""
        try:
            key = key_of(self.aes_key.read()) if self.aes_key else None
        except ValueError as error:
            raise ConfigError(str(error)) from error
        return Account(name, self.app_id, self.token.read(), key)


@dataclass(slots=True)
class Server:
    """WeChat's servers as one account knows them."""

    reached: Reached
    _secret: str = field(init=False)
    _token: str = ""
    _until_ns: int = 0

    def __post_init__(self) -> None:
        self._secret = self.reached.secret.read()

    def tell(self, path: str, said: Json, now_ns: int) -> dict[str, Json]:
        """Post it and give what was answered; NotifyError where that is no success."""
        body = to_json(said).encode()
        return self._asked(
            lambda token: _document(post(self.reached, self._at(path, access_token=token), body, _JSON)),
            now_ns,
        )

    def media(self, media_id: str, now_ns: int, most: int) -> bytes:
        """The bytes of a message's photo, voice or video, at most so many and one; NotifyError if they are not there."""
        got: list[Answer] = []

        def ask(token: str) -> dict[str, Json]:
            address = self._at("/cgi-bin/media/get", access_token=token, media_id=media_id)
            got[:] = [post(self.reached, address, b"", _PLAIN, "GET", most=most + 1)]
            return _errors(got[0])

        said = self._asked(ask, now_ns)
        if address := said.get("video_url"):
            got[:] = [post(self.reached, str(address), b"", _PLAIN, "GET", most=most + 1)]
        judged(got[0])
        return got[0].body

    def _asked(self, ask: Callable[[str], dict[str, Json]], now_ns: int) -> dict[str, Json]:
        """What is answered; where the token had ended, with a new one."""
        said = ask(self._access_token(now_ns))
        if said.get("errcode", 0) in STALE:
            self._until_ns = 0
            said = ask(self._access_token(now_ns))
        return _success(said)

    def _access_token(self, now_ns: int) -> str:
        if now_ns >= self._until_ns:
            asked = {"grant_type": "client_credential", "appid": self.reached.app_id, "secret": self._secret}
            said = _success(
                _document(
                    post(self.reached, self._at("/cgi-bin/stable_token"), to_json(asked).encode(), _JSON)
                )
            )
            lasts_s = max(int(said.get("expires_in", 0)) - _EARLY_S, 1)
            self._token, self._until_ns = str(said.get("access_token", "")), now_ns + lasts_s * SECOND_NS
        return self._token

    def _at(self, path: str, **asked: str) -> str:
        return f"{self.reached.api}{path}" + (f"?{urlencode(asked)}" if asked else "")


def _document(answer: Answer) -> dict[str, Json]:
    judged(answer)
    try:
        return msgspec.json.decode(answer.body, type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotifyError(f"an answer that is no JSON: {answer}", permanent=False) from error


def _errors(answer: Answer) -> dict[str, Json]:
    """What an answer with media says instead of them: an error, or where a video lies; nothing where they are there."""
    if not answer.body.lstrip().startswith(b"{"):
        return {}
    try:
        said = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return said if isinstance(said, dict) else {}


def _success(said: dict[str, Json]) -> dict[str, Json]:
    code = said.get("errcode", 0)
    if code:
        text = f"{code} {said.get('errmsg', '')}".strip()
        raise NotifyError(text, permanent=code in PERMANENT, wait_s=60.0 if code in TOO_FAST else None)
    return said


PERMANENT = frozenset({40003, 40007, 40037, 43004, 43116, 47003, 45002})
"""Nobody of that id, no such media or template, a person who does not follow the account, content that is refused."""
