"""CloudEvents to another system over HTTP, signed as Standard Webhooks say.

`webhook-id` is the key of the message, `webhook-timestamp` when it was sent, `webhook-signature` the HMAC-SHA256 of
`id.timestamp.body`, once for each secret: while a secret is changed both the old and the new one hold.
Only 2xx is success. Source: standardwebhooks.com, specification 1.0.
"""

import base64
import binascii
import hashlib
import hmac

from pydantic import Field

from andon.config import ConfigError, Secret
from andon.events import SECOND_NS
from andon.ports import Message
from ticketing.cloud_events import CONTENT_TYPE, as_json, cloud_event
from ticketing.posting import Reach, judged, post
from ticketing.subscriptions import Audience

LEAST_BYTES = 24


class Parameters(Reach):
    """Where to, and with which secrets."""

    url: str = Field(pattern=r"^https?://[^/\s@]+(/\S*)?$", description="where events are posted to")
    secret: Secret = Field(description="`whsec_` and base64 of 24 bytes or more, which the receiver has too")
    old_secret: Secret | None = Field(default=None, description="the one before, while it is still believed")


class Notifier:
    """Signs and posts one event per call."""

    kind = "webhook"
    audience = Audience.SYSTEMS

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._keys = keys_of(parameters)

    def send(self, message: Message, now_ns: int) -> str:
        """Post it; anything but 2xx is a NotifyError, permanent where the message is refused as such."""
        body, at_s = as_json(message), now_ns // SECOND_NS
        signatures = [signature(key, message.key, at_s, body) for key in self._keys]
        headers = {
            "Content-Type": CONTENT_TYPE,
            "webhook-id": message.key,
            "webhook-timestamp": str(at_s),
            "webhook-signature": " ".join(signatures),
            "traceparent": str(cloud_event(message)["traceparent"]),
        }
        return judged(post(self._parameters, self._parameters.url, body, headers))


def keys_of(parameters: Parameters) -> list[bytes]:
    """The keys that hold: the secret's, and the one's before while it is still believed."""
    secrets = [parameters.secret, *([parameters.old_secret] if parameters.old_secret else [])]
    return [key_of(secret.read()) for secret in secrets]


def key_of(secret: str) -> bytes:
    """The bytes of a `whsec_` secret; ConfigError if it is none or too short."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith("whsec_") or len(key) < LEAST_BYTES:
        raise ConfigError(
            f"a webhook's secret is whsec_ and base64 of {LEAST_BYTES} bytes or more; "
            "make one with: echo whsec_$(openssl rand -base64 32)"
        )
    return key


def signature(key: bytes, message_id: str, at_s: int, body: bytes) -> str:
    """One signature of the header.

    >>> key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    >>> signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    signed = f"{message_id}.{at_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
