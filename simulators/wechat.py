"""A WeChat platform that behaves like the real one where a wrong client would pass: it checks all that it is sent.

On one side its servers: an access token that ends, media by id, template messages that are refused if their fields are
not the template's. On the other what it does to an account's address: signed and, in secure mode, sealed callbacks,
whose answers it opens and checks. Written from the platform's documents alone, apart from what Andon makes of them.
Source: developers.weixin.qq.com, 公众号 (接入概述, 消息加解密说明, 获取稳定版接口调用凭据, 获取临时素材, 模板消息).
"""

import base64
import hashlib
import json
import secrets
import struct
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

LASTS_S = 7200
_LONGEST = {"thing": 20, "character_string": 32, "phrase": 5, "time": 40}


@dataclass
class Platform:
    """One official account on it. `now_s` is its clock; `sent` are the template messages that arrived."""

    app_id: str
    secret: str
    token: str
    now_s: Callable[[], int]
    aes_key: str = ""
    followers: set[str] = field(default_factory=set)
    templates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    media: dict[str, bytes] = field(default_factory=dict)
    videos: set[str] = field(default_factory=set)
    sent: list[Mapping[str, Any]] = field(default_factory=list)
    _access: str = ""
    _until_s: int = 0
    tokens_made: int = 0

    def expire(self) -> None:
        """The access token ends now, as when somebody has another one made."""
        self._until_s = 0

    def callback(self, said: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
        """The address's parameters and the body with which a message is posted to the account's address."""
        body = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in said.items())
        plain = f"<xml>{body}</xml>".encode()
        stamp, nonce = str(self.now_s()), secrets.token_hex(5)
        asked = {"signature": self._signed(stamp, nonce), "timestamp": stamp, "nonce": nonce}
        asked["openid"] = said["FromUserName"]
        if not self.aes_key:
            return asked, plain
        sealed = self._sealed(plain)
        asked |= {"encrypt_type": "aes", "msg_signature": self._signed(stamp, nonce, sealed)}
        whole = f"<xml><ToUserName>{said['ToUserName']}</ToUserName><Encrypt>{sealed}</Encrypt></xml>"
        return asked, whole.encode()

    def echo(self) -> dict[str, str]:
        """The parameters with which the platform makes sure of an address."""
        stamp, nonce = str(self.now_s()), secrets.token_hex(5)
        asked = {"signature": self._signed(stamp, nonce), "timestamp": stamp, "nonce": nonce}
        return asked | {"echostr": secrets.token_hex(9)}

    def answer(self, body: bytes) -> str:
        """What a follower is shown of an account's answer; ValueError where the platform would show an error instead."""
        if body in {b"", b"success"}:
            return ""
        tree = ET.fromstring(body)  # noqa: S314 - from the program under test
        if self.aes_key:
            sealed, stamp = tree.findtext("Encrypt") or "", tree.findtext("TimeStamp") or ""
            if tree.findtext("MsgSignature") != self._signed(stamp, tree.findtext("Nonce") or "", sealed):
                raise ValueError("the answer is not signed")
            tree = ET.fromstring(self._opened(sealed))  # noqa: S314
        if tree.findtext("MsgType") != "text" or not (tree.findtext("CreateTime") or "").isdecimal():
            raise ValueError("the answer is no text")
        if tree.findtext("ToUserName") not in self.followers:
            raise ValueError("the answer is to nobody who follows the account")
        return tree.findtext("Content") or ""

    def access_token(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The stable token: the same for whoever asks, until it ends."""
        if asked.get("grant_type") != "client_credential" or asked.get("appid") != self.app_id:
            return _error(40013, "invalid appid")
        if asked.get("secret") != self.secret:
            return _error(40125, "invalid appsecret")
        if self.now_s() >= self._until_s:
            self._access, self._until_s = secrets.token_hex(20), self.now_s() + LASTS_S
            self.tokens_made += 1
        return {"access_token": self._access, "expires_in": self._until_s - self.now_s()}

    def refused(self, given: str) -> dict[str, Any] | None:
        """Why that access token is not taken; None if it is."""
        if given != self._access or not given:
            return _error(40001, "invalid credential, access_token is invalid or not latest")
        return _error(42001, "access_token expired") if self.now_s() >= self._until_s else None

    def send(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """A template message: to a follower, by a template of the account, with exactly its fields."""
        fields = self.templates.get(str(said.get("template_id")))
        if fields is None:
            return _error(40037, "invalid template_id")
        if said.get("touser") not in self.followers:
            return _error(43004, "require subscribe")
        given = said.get("data", {})
        if set(given) != set(fields) or any(not _fits(name, given[name].get("value")) for name in fields):
            return _error(47003, "argument invalid")
        self.sent.append(said)
        return {"errcode": 0, "errmsg": "ok", "msgid": len(self.sent)}

    def _signed(self, *parts: str) -> str:
        return hashlib.sha1("".join(sorted((self.token, *parts))).encode(), usedforsecurity=False).hexdigest()

    def _cipher(self) -> Cipher[modes.CBC]:
        key = base64.b64decode(f"{self.aes_key}=")
        return Cipher(algorithms.AES(key), modes.CBC(key[:16]))

    def _sealed(self, plain: bytes) -> str:
        pad = padding.PKCS7(256).padder()
        whole = secrets.token_bytes(16) + struct.pack("!I", len(plain)) + plain + self.app_id.encode()
        encryptor = self._cipher().encryptor()
        padded = pad.update(whole) + pad.finalize()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def _opened(self, sealed: str) -> bytes:
        decryptor, unpad = self._cipher().decryptor(), padding.PKCS7(256).unpadder()
        padded = decryptor.update(base64.b64decode(sealed)) + decryptor.finalize()
        whole = unpad.update(padded) + unpad.finalize()
        length = struct.unpack("!I", whole[16:20])[0]
        if whole[20 + length :] != self.app_id.encode():
            raise ValueError("the answer is sealed for another account")
        return whole[20 : 20 + length]


@contextmanager
def served(platform: Platform) -> Iterator[str]:
    """Its servers on a free port of this machine; gives their address."""

    class Handler(_Handler):
        of = platform

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    of: ClassVar[Platform]

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(address.query).items()}
        media = asked.get("media_id", "") or address.path.rpartition("/")[2]
        if address.path.startswith("/video/") and media in self.of.videos:
            self._give(self.of.media[media], "video/mp4")
        elif address.path != "/cgi-bin/media/get":
            self._give(b"", "text/plain", 404)
        elif refused := self.of.refused(asked.get("access_token", "")):
            self._say(refused)
        elif media not in self.of.media:
            self._say(_error(40007, "invalid media_id"))
        elif media in self.of.videos:
            self._say({"video_url": f"http://{self.headers['Host']}/video/{media}"})
        else:
            self._give(self.of.media[media], "application/octet-stream")

    def do_POST(self) -> None:
        address = urlsplit(self.path)
        asked = parse_qs(address.query)
        try:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        except ValueError:
            self._say(_error(47001, "data format error"))
            return
        if address.path == "/cgi-bin/stable_token":
            self._say(self.of.access_token(said))
        elif address.path == "/cgi-bin/message/template/send":
            self._say(self.of.refused(asked.get("access_token", [""])[0]) or self.of.send(said))
        else:
            self._give(b"", "text/plain", 404)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def _say(self, said: Mapping[str, Any]) -> None:
        self._give(json.dumps(said).encode(), "application/json; charset=utf-8")

    def _give(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def text(sender: str, words: str, *, number: int, at_s: int) -> dict[str, str]:
    """A text message as a follower sends it."""
    return {**_head(sender, "text", at_s), "Content": words, "MsgId": str(number)}


def media(sender: str, kind: str, media_id: str, *, number: int, at_s: int) -> dict[str, str]:
    """A photo (`image`), `voice` or `video`."""
    return {**_head(sender, kind, at_s), "MediaId": media_id, "MsgId": str(number)}


def event(sender: str, name: str, key: str = "", *, at_s: int) -> dict[str, str]:
    """An event: `subscribe`, `SCAN` of a code that stands for `key` ..."""
    return {**_head(sender, "event", at_s), "Event": name, "EventKey": key}


def _head(sender: str, kind: str, at_s: int) -> dict[str, str]:
    return {"ToUserName": "gh_andon", "FromUserName": sender, "CreateTime": str(at_s), "MsgType": kind}


def _error(code: int, why: str) -> dict[str, Any]:
    return {"errcode": code, "errmsg": why}


def _fits(name: str, value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST.get(name.rstrip("0123456789"), 200)
