"""Random tokens of sessions and keys: given out once, kept as a hash."""

import secrets
from hashlib import sha256

_BYTES = 24
"""192 bits: nobody guesses one, so that a fast hash keeps it well."""


def token() -> str:
    """A new one, of letters, digits, - and _."""
    return secrets.token_urlsafe(_BYTES)


def hash_of(token: str) -> str:
    """What is kept of it."""
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
