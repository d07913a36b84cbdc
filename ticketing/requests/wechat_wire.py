"""What a WeChat official account (公众号) says and hears over HTTP: signatures, sealed bodies, messages as XML.

Every callback is signed with the account's token; in secure mode its body is also sealed (AES-256-CBC) and signed once
more. Source: developers.weixin.qq.com, 接入概述, 消息加解密说明, 接收普通消息, 被动回复用户消息.
"""

import base64
import binascii
import hashlib
import hmac
import re
import struct
import xml.etree.ElementTree as ET  # entities and document types are refused before it reads
from dataclasses import dataclass
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BODY_MAX = 64 * 1024
SKEW_S = 600
"""A callback whose time is further off than this is an old one that somebody kept."""
_BLOCK = 32  # the padding's, not the cipher's
_CDATA = re.compile(rb"<!\[CDATA\[.*?\]\]>", re.DOTALL)


class WeChatRefused(Exception):
    """A callback that is not to be believed, or cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """What an official account is known by: its token signs, its key (32 bytes, none in plain mode) seals."""

    name: str
    app_id: str
    token: str
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """The parameters of a callback's address."""

    signature: str
    timestamp: str
    nonce: str
    msg_signature: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """One message or event: `media` are ids of what can be fetched, `scene` what the scanned code stands for."""

    id: str
    sender: str
    account: str
    kind: str
    event: str
    words: str
    media: tuple[str, ...]
    scene: str
    at_s: int


def signature(*parts: str) -> str:
    """How everything is signed: SHA-1 over the sorted parts.

    >>> signature("token", "1409304348", "xxxxxx")
    'f43b4a6571a6552356f482636e5a77e7fa33dcc9'
    """
    return hashlib.sha1("".join(sorted(parts)).encode(), usedforsecurity=False).hexdigest()


def check(account: Account, said: Signed, now_s: int) -> None:
    """WeChatRefused if the account's token did not sign this address, or long ago."""
    if not hmac.compare_digest(signature(account.token, said.timestamp, said.nonce), said.signature.lower()):
        raise WeChatRefused("the signature is not that of the account's token")
    if not said.timestamp.isdecimal() or abs(int(said.timestamp[:12]) - now_s) > SKEW_S:
        raise WeChatRefused(
            f"the time of the callback is more than {SKEW_S} s off: is this machine's clock right?"
        )


def key_of(encoding_aes_key: str) -> bytes:
    """The AES key out of the 43 characters that the platform shows; ValueError if they are none."""
    try:
        key = base64.b64decode(encoding_aes_key + "=", validate=True)
    except binascii.Error as error:
        raise ValueError("the EncodingAESKey is 43 letters and digits; copy it whole") from error
    if len(key) != 32:
        raise ValueError("the EncodingAESKey is 43 letters and digits; copy it whole")
    return key


def body_of(account: Account, said: Signed, body: bytes) -> bytes:
    """The message's XML: as it came, or unsealed where the account has a key; WeChatRefused if it is not for us."""
    if len(body) > BODY_MAX:
        raise WeChatRefused(f"the body has more than {BODY_MAX} bytes")
    if account.key is None:
        return body
    sealed = (_tree(body).findtext("Encrypt") or "").strip()
    signed = signature(account.token, said.timestamp, said.nonce, sealed)
    if not sealed or not hmac.compare_digest(signed, said.msg_signature.lower()):
        raise WeChatRefused("the body is not sealed and signed as the account's secure mode asks for")
    return unseal(sealed, account.key, account.app_id)


def unseal(sealed: str, key: bytes, app_id: str) -> bytes:
    """What stands in a sealed body: 16 random bytes, its length, itself, the account's id; WeChatRefused if it does not."""
    try:
        raw = base64.b64decode(sealed, validate=True)
        decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
        plain = decryptor.update(raw) + decryptor.finalize()
        pad = plain[-1]
        if not 1 <= pad <= _BLOCK or plain[-pad:] != bytes([pad]) * pad:
            raise WeChatRefused("the sealed body is padded as none is")
        (length,) = struct.unpack(">I", plain[16:20])
    except (binascii.Error, ValueError, IndexError, struct.error) as error:
        raise WeChatRefused("the sealed body cannot be opened") from error
    said, whose = plain[20 : 20 + length], plain[20 + length : -pad]
    if len(said) != length or not hmac.compare_digest(whose, app_id.encode()):
        raise WeChatRefused("the sealed body is for another account")
    return said


def seal(said: bytes, key: bytes, app_id: str, random: bytes) -> str:
    """The same the other way round; `random` are 16 bytes that nobody can guess."""
    plain = random + struct.pack(">I", len(said)) + said + app_id.encode()
    pad = _BLOCK - len(plain) % _BLOCK
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()).decode()


def heard(body: bytes) -> Heard:
    """The message in that XML; WeChatRefused if it names no sender or no time."""
    tree = _tree(body)
    said = {one.tag: (one.text or "").strip() for one in tree}
    sender, kind, at = said.get("FromUserName", ""), said.get("MsgType", ""), said.get("CreateTime", "")
    if not sender or not kind or not at.isdecimal() or len(at) > 12:
        raise WeChatRefused("the message has no sender, kind or time")
    event = said.get("Event", "") if kind == "event" else ""
    return Heard(
        id=said.get("MsgId") or f"{sender}/{at}/{event}",
        sender=sender,
        account=said.get("ToUserName", ""),
        kind=kind,
        event=event,
        words=_words(kind, said),
        media=tuple(media for media in (said.get("MediaId", ""),) if media),
        scene=said.get("EventKey", "").removeprefix("qrscene_") if event in {"SCAN", "subscribe"} else "",
        at_s=int(at),
    )


def answered(account: Account, to: Heard, words: str, random: bytes, nonce: str) -> bytes:
    """The answer in the same connection: a text to whoever spoke, sealed and signed in secure mode."""
    said = (
        f"<xml><ToUserName>{escape(to.sender)}</ToUserName><FromUserName>{escape(to.account)}</FromUserName>"
        f"<CreateTime>{to.at_s}</CreateTime><MsgType>text</MsgType><Content>{escape(words)}</Content></xml>"
    ).encode()
    if account.key is None:
        return said
    sealed, at = seal(said, account.key, account.app_id, random), str(to.at_s)
    signed = signature(account.token, at, nonce, sealed)
    return (
        f"<xml><Encrypt>{sealed}</Encrypt><MsgSignature>{signed}</MsgSignature>"
        f"<TimeStamp>{at}</TimeStamp><Nonce>{nonce}</Nonce></xml>"
    ).encode()


def _words(kind: str, said: dict[str, str]) -> str:
    """What somebody said, in words: a voice as it was recognised, a place by its name, a link by its title and address."""
    named = {
        "text": ("Content",),
        "voice": ("Recognition",),
        "location": ("Label",),
        "link": ("Title", "Description", "Url"),
    }.get(kind, ())
    return "\n".join(said[name] for name in named if said.get(name))


def _tree(body: bytes) -> ET.Element:
    if b"<!" in _CDATA.sub(b"", body):
        raise WeChatRefused("the body declares what a message never does")
    try:
        return ET.fromstring(body)  # noqa: S314 - no document type, so no entity
    except ET.ParseError as error:
        raise WeChatRefused("the body is no XML") from error
